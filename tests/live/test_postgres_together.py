"""Several deliveries at once, and deliveries that die: nothing twice, nothing lost, whoever comes first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.live.cdm import SHAPES, ask, their_cdm, theirs, versions
from tests.unit.run.registry import deliver, filled, omop, periods, workbook

from caseweave.errors import Refusal
from caseweave.run.database import OmopServer
from caseweave.run.pipeline import Outcome
from caseweave.targets.omop import connect, own_tables, postgres
from caseweave.targets.omop.server import create_cdm

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="deliveries run in forked processes"),
]
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else multiprocessing.get_context()


def in_processes(work: Callable[..., object], *arguments: tuple[Any, ...]) -> list[int]:
    """Run work in several processes at once; returns their exit codes."""
    processes = [FORK.Process(target=work, args=one) for one in arguments]
    for one in processes:
        one.start()
    for one in processes:
        one.join(120)
    return [one.exitcode if one.exitcode is not None else 999 for one in processes]


def together(start: Any, folder: Path, form: Path, server: OmopServer) -> None:
    """Deliver when all others are ready to; 0 done, 4 refused since another run holds the workspace."""
    start.wait(60)
    try:
        os._exit(deliver(folder, form, omop=server).exit_code)
    except Refusal as refused:
        os._exit(refused.exit_code)
    except BaseException:
        os._exit(70)


def test_two_workspaces_with_one_key(postgres_database: str, tmp_path: Path) -> None:
    server = their_cdm(postgres_database)
    before = theirs(postgres_database)
    form = workbook(tmp_path / "form.xlsx", filled())
    deliver(tmp_path / "embedded", form)  # makes the key that both have
    start = FORK.Barrier(2)
    assert in_processes(together, *((start, tmp_path / name, form, server) for name in "ab")) == [0, 0]
    assert omop(tmp_path / "a") == omop(tmp_path / "b") == omop(tmp_path / "embedded")
    counted = "SELECT count(*) FROM cdm.person", "SELECT count(*) FROM cdm.measurement"
    assert [ask(postgres_database, one) for one in counted] == [[(30 + 2,)], [(166 + 1,)]]
    assert ask(postgres_database, "SELECT rows FROM cdm.caseweave_rows WHERE table_name = 'person'") == [(30,)]
    assert theirs(postgres_database) == before


def test_eight_processes_deliver_one_workspace(postgres_database: str, tmp_path: Path) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    form = workbook(tmp_path / "form.xlsx", filled())
    deliver(tmp_path / "embedded", form)
    start = FORK.Barrier(8)
    codes = in_processes(together, *[(start, tmp_path / "a", form, OmopServer(postgres_database, "cdm"))] * 8)
    assert set(codes) <= {0, 4} and 0 in codes
    assert omop(tmp_path / "a") == omop(tmp_path / "embedded")
    assert ask(postgres_database, "SELECT count(*) FROM cdm.person") == [(30,)]


class Steps:
    """Counts what is asked of the database, and kills the process before the step that is wanted."""

    def __init__(self, fatal: int = 0) -> None:
        self.fatal, self.count = fatal, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Every statement, every COPY and the commit go through it."""
    counted = Steps()
    execute, copy, commit = connect.Asking.execute, postgres.PostgresDatabase._copy, postgres.PostgresDatabase.__exit__

    def stepping(original: Callable[..., Any], after: bool = False) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            counted.step()
            found = original(*arguments, **named)
            if after:
                counted.step()
            return found

        return stepped

    monkeypatch.setattr(connect.Asking, "execute", stepping(execute))
    monkeypatch.setattr(postgres.PostgresDatabase, "_copy", stepping(copy))
    monkeypatch.setattr(postgres.PostgresDatabase, "__exit__", stepping(commit, after=True))
    monkeypatch.setattr(postgres, "make_own_tables", stepping(own_tables.make_own_tables))
    return counted


def dying(steps: Steps, fatal: int, folder: Path, form: Path, server: OmopServer) -> None:
    steps.fatal, steps.count = fatal, 0
    os._exit(deliver(folder, form, omop=server).exit_code)


def resumed(folder: Path, form: Path, server: OmopServer) -> Outcome:
    """Deliver as soon as the child that writes FHIR, which a killed run leaves behind, lets go of the workspace."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return deliver(folder, form, omop=server)
        except Refusal:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def killed_at(points: list[int], steps: Steps, dsn: str, tmp_path: Path, corrected: bool) -> None:
    """A delivery that dies at each of these points leaves all or nothing; the next ends as an undisturbed one does."""
    form, rows = workbook(tmp_path / "form.xlsx", filled()), filled()
    rows["Patients"][4][5] = 12.5
    rows["Visits"] = rows["Visits"][1:]
    second = workbook(tmp_path / "second.xlsx", rows) if corrected else form
    create_cdm(dsn, SHAPES, "undisturbed")
    undisturbed = tmp_path / "undisturbed"
    deliver(undisturbed, form, omop=OmopServer(dsn, "undisturbed"))
    deliver(undisturbed, second)
    for number, point in enumerate(points):
        folder, server = tmp_path / f"a{number}", OmopServer(dsn, f"a{number}")
        create_cdm(dsn, SHAPES, server.schema)
        if corrected:
            deliver(folder, form, omop=server)
        before = versions(dsn, server.schema)
        assert in_processes(dying, (steps, point, folder, second, server)) == [-signal.SIGKILL], point
        died_before_commit = versions(dsn, server.schema) == before
        outcome = resumed(folder, second, server)
        assert outcome.exit_code == 0
        again = outcome.manifest["targets"]["omop"]
        assert bool(again["new"] or again["changed"]) is died_before_commit, point
        assert omop(folder) == omop(undisturbed), point
        assert periods(folder) == periods(undisturbed), point


def count_steps(steps: Steps, dsn: str, tmp_path: Path, corrected: bool) -> int:
    form, rows = workbook(tmp_path / "counted.xlsx", filled()), filled()
    create_cdm(dsn, SHAPES, "counted")
    deliver(tmp_path / "counted", form, omop=OmopServer(dsn, "counted"))
    if corrected:
        rows["Patients"][4][5] = 12.5
        rows["Visits"] = rows["Visits"][1:]
        steps.count = 0
        deliver(tmp_path / "counted", workbook(tmp_path / "corrected.xlsx", rows))
    return steps.count


@pytest.mark.parametrize("corrected", [False, True])
def test_killed_at_some_steps(postgres_database: str, tmp_path: Path, steps: Steps, corrected: bool) -> None:
    count = count_steps(steps, postgres_database, tmp_path, corrected)
    killed_at([count // 2, count - 2, count], steps, postgres_database, tmp_path, corrected)


@pytest.mark.torture
@pytest.mark.parametrize("corrected", [False, True])
def test_killed_at_every_step(postgres_database: str, tmp_path: Path, steps: Steps, corrected: bool) -> None:
    count = count_steps(steps, postgres_database, tmp_path, corrected)
    killed_at(list(range(1, count + 1)), steps, postgres_database, tmp_path, corrected)
    print(f"killed at {count} of {count} steps")
