"""A delivery killed at every step between two durable writes, and many at once: what is resumed ends the same."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.live.fhir import ours, send, sent, theirs, versions
from tests.live.test_fhir_misbehaviour import rows, take_over
from tests.services import java
from tests.services.hapi import Hapi, start, stop
from tests.services.need import require
from tests.services.postgres import USER, Postgres
from tests.unit.run.registry import deliver as run_registry
from tests.unit.run.registry import filled, workbook

from caseweave.errors import Refusal
from caseweave.targets.fhir.server.transport import TimedTransport

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi")]
FORK = multiprocessing.get_context("fork")
HOW: dict[str, Any] = {"size": 16, "connections": 1}
KILLED = -signal.SIGKILL


class Steps:
    """Counts the steps between durable writes: before and after each request, commit and replaced file.

    Arguments: at step `last` the process kills itself, as a cut of power would; 0 never.
    """

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any], wanted: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        def both(*arguments: Any, **words: Any) -> Any:
            if not wanted(*arguments):
                return work(*arguments, **words)
            self.step()
            found = work(*arguments, **words)
            self.step()
            return found

        return both

    def install(self) -> None:
        """Put the counter into this process, which is a child that ends afterwards."""
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                work = super().execute
                found: sqlite3.Cursor = steps.around(work, lambda *said: said[0] == "COMMIT")(*arguments)
                return found

        connect = sqlite3.connect
        sqlite3.connect = lambda *given, **words: connect(*given, **{"factory": Connection, **words})  # type: ignore[assignment]
        os.replace = self.around(os.replace)
        TimedTransport.handle_request = self.answered(TimedTransport.handle_request)  # type: ignore[method-assign]

    def answered(self, work: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
        def both(transport: Any, request: httpx.Request) -> httpx.Response:
            self.step()
            response = work(transport, request)
            response.read()
            self.step()
            return response

        return both


def child(folder: Path, hapi: Hapi, last: int, answer: Any) -> None:
    """One delivery in a process of its own."""
    steps = Steps(last)
    steps.install()
    done = send(folder, Hapi(hapi.url), **HOW)
    answer.put((steps.count, done.exit_code))
    answer.close()
    answer.join_thread()
    os._exit(0)


def killed_at(folder: Path, hapi: Hapi, last: int) -> tuple[int | None, int]:
    """Deliver and die at a step; returns the exit code of the process, and how many steps there were."""
    answer = FORK.Queue()
    process = FORK.Process(target=child, args=(folder, hapi, last, answer))
    process.start()
    count = answer.get(timeout=120)[0] if not last else 0
    process.join(120)
    return process.exitcode, count


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The workspace as it was first, and after the correction."""
    folder = tmp_path_factory.mktemp("registry")
    first, second = folder / "first", folder / "second"
    run_registry(first, workbook(folder / "form.xlsx", rows(False)))
    shutil.copytree(first, second)
    run_registry(second, workbook(folder / "corrected.xlsx", rows(True)))
    return {False: first, True: second}


@pytest.mark.torture
@pytest.mark.parametrize("second", [False, True], ids=["a first delivery", "a correction"])
def test_killed_at_every_step(
    second: bool, made: dict[bool, Path], hapi: Hapi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ready(name: str) -> Path:
        hapi.wipe()
        folder = tmp_path / name
        shutil.copytree(made[False], folder)
        if second:
            assert send(folder, hapi, **HOW).exit_code == 0
            take_over(made[True], folder)
        return folder

    code, steps = killed_at(ready("undisturbed"), hapi, 0)
    assert code == 0
    undisturbed, numbers = theirs(tmp_path / "undisturbed", hapi), versions(tmp_path / "undisturbed", hapi)
    assert undisturbed == ours(tmp_path / "undisturbed")
    for last in range(1, steps + 1):
        folder = ready(f"step-{last}")
        code, _ = killed_at(folder, hapi, last)
        assert code == KILLED, f"step {last}"
        resumed = send(folder, hapi, **HOW)
        assert resumed.exit_code == 0, f"step {last}"
        assert theirs(folder, hapi) == undisturbed, f"step {last}"
        assert versions(folder, hapi) == numbers, f"step {last}: something was written twice"
        assert sent(send(folder, hapi, **HOW)) == (0, 0, 0)
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f"\n{steps} steps, killed at each, resumed each time")
    assert steps > 12


def deliver_once(folder: Path, url: str, answer: Any) -> None:
    try:
        answer.put(send(folder, Hapi(url)).exit_code)
    except Refusal as refusal:
        answer.put(refusal.exit_code)


def together(folders: list[Path], hapi: Hapi) -> list[int]:
    """Deliver at once; returns the exit codes."""
    answer = FORK.Queue()
    processes = [FORK.Process(target=deliver_once, args=(folder, hapi.url, answer)) for folder in folders]
    for process in processes:
        process.start()
    codes = [answer.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(60)
    return codes


def test_eight_deliver_one_workspace(hapi: Hapi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    codes = together([folder] * 8, hapi)
    assert set(codes) <= {0, Refusal.exit_code}
    assert 0 in codes
    assert theirs(folder, hapi) == ours(folder)
    assert set(versions(folder, hapi).values()) == {"1"}
    assert sent(send(folder, hapi)) == (0, 0, 0)


def test_two_workspaces_of_one_key_deliver_to_one_server(hapi: Hapi, tmp_path: Path) -> None:
    folder, other = tmp_path / "workspace", tmp_path / "other"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    run_registry(other, tmp_path / "form.xlsx")
    codes = together([folder, other], hapi)
    # both write the same resources at the same time: who loses finds them there
    for one, code in zip((folder, other), codes, strict=True):
        assert code in (0, 3)
        assert send(one, hapi).exit_code == 0
    assert theirs(folder, hapi) == ours(folder) == ours(other)
    assert set(versions(folder, hapi).values()) == {"1"}


@pytest.mark.torture
def test_the_server_dies_and_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    """On PostgreSQL, which keeps what it said: killed in the middle of a delivery, started again, resumed."""
    require(not java.missing("hapi"), java.missing("hapi"))
    postgres.execute("CREATE DATABASE hapi")
    database = f"jdbc:postgresql://127.0.0.1:{postgres.port}/hapi"
    access = {"FHIR_DB_USER": USER, "FHIR_DB_PASSWORD": postgres.password}
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    first, url = start(tmp_path, database, environment=access)
    answer = FORK.Queue()
    try:
        hapi = Hapi(url)
        process = FORK.Process(target=deliver_patiently, args=(folder, url, answer))
        process.start()
        end = time.monotonic() + 120
        while hapi.count("Patient") < 5 and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait(30)
    port = url.partition("127.0.0.1:")[2].partition("/")[0]
    second, _ = start(tmp_path, database, f"-Dport={port}", environment=access)
    try:
        # the delivery under way goes on by itself as soon as the server is back, or a later one does
        assert answer.get(timeout=300) in (0, 3)
        process.join(60)
        assert send(folder, hapi, **HOW).exit_code == 0
        assert theirs(folder, hapi) == ours(folder)
        assert set(versions(folder, hapi).values()) == {"1"}
        assert sent(send(folder, hapi, verify=True)) == (0, 0, 0)
    finally:
        stop(second)


def deliver_patiently(folder: Path, url: str, answer: Any) -> None:
    answer.put(send(folder, Hapi(url), size=8, connections=2, give_up=240.0).exit_code)
