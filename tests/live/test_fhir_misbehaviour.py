"""Between us and a real server, everything that can go wrong: each delivery ends confirmed, refused or waiting."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.fhir import ours, quarantined, send, sent, theirs, versions
from tests.live.misbehaviour import CASES, CONFIRMED, REFUSED, STOPPED, WAITING, Case, Victim
from tests.services.hapi import Hapi
from tests.services.proxy import Proxy, proxy_to
from tests.unit.run.registry import deliver as run_registry
from tests.unit.run.registry import filled, workbook

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi")]
PATIENTS = 8
# what is run without `make torture`: one of each kind
QUICK = {
    "reset after the server has it", "an answer cut in half", "503 with Retry-After", "413 for more than five entries",
    "a lying 200 for every new resource, once", "entries in another order, for a correction", "headers that drip",
    "422 with the place in the bundle", "sent elsewhere", "a batch's entry with 422",
}  # fmt: skip
USUAL = {"size": 16, "connections": 2, "timeout": 30.0, "give_up": 90.0}
# a case ends within its own time and that of the server
SECONDS = 150
TYPED, CORRECTED = 33.25, 88.25


def rows(corrected: bool) -> dict[str, list[list[object]]]:
    """Eight patients; corrected, one value is another and one visit is gone."""
    found = {name: [row for row in all_ if int(row[0][1:]) < PATIENTS] for name, all_ in filled().items()}
    found["Visits"][4][3] = CORRECTED if corrected else TYPED
    if corrected:
        found["Visits"].pop(0)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The workspace as it was first, and after the correction."""
    folder = tmp_path_factory.mktemp("registry")
    first, second = folder / "first", folder / "second"
    run_registry(first, workbook(folder / "form.xlsx", rows(False)))
    shutil.copytree(first, second)
    run_registry(second, workbook(folder / "corrected.xlsx", rows(True)))
    return {False: first, True: second}


@pytest.fixture(scope="module")
def proxy(hapi_server: Hapi) -> Iterator[Proxy]:
    with proxy_to(hapi_server.url) as found:
        yield found


def victim(folder: Path, second: bool) -> Victim:
    """The Ki-67 of the third patient's first visit, which the correction changes."""
    value = CORRECTED if second else TYPED
    here = ours(folder)
    (ref,) = [name for name, one in here.items() if one.get("valueQuantity", {}).get("value") == value]
    return Victim(ref, here[ref]["subject"]["reference"], f"source-1:visits!D{5 if second else 6}")


@pytest.mark.parametrize(
    "case",
    [pytest.param(one, id=one.name, marks=() if one.name in QUICK else pytest.mark.torture) for one in CASES],
)
def test_misbehaviour(case: Case, made: dict[bool, Path], proxy: Proxy, hapi: Hapi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    there = Hapi(proxy.url)
    how = {**USUAL, **case.how}
    shutil.copytree(made[False], folder)
    if case.second:
        proxy.script()
        assert send(folder, there, **USUAL).exit_code == 0
        take_over(made[True], folder)
    hit = victim(folder, case.second)
    proxy.script(*case.rules(hit))
    started = time.monotonic()
    done = send(folder, there, environment=case.environment, **how)
    assert time.monotonic() - started < SECONDS
    assert proxy.faults == []
    here = ours(folder)
    if case.ends == CONFIRMED:
        assert done.exit_code == 0, done
        assert theirs(folder, hapi) == here
        if not case.second:
            assert sent(done) == (len(here), 0, 0)
            assert set(versions(folder, hapi).values()) == {"1"}, "something was written twice"
    else:
        assert done.exit_code == 3
        assert bool(quarantined(folder)) == (case.ends == REFUSED)
        assert bool(done.summary["problem"]) == (case.ends == STOPPED)
        assert bool(done.summary["waiting"]) == (case.ends in (WAITING, STOPPED))
    if case.ends == REFUSED:
        assert sorted(one["sheet"] for one in quarantined(folder)) == sorted(case.sheets)
        assert {f"Patient/{patient_of(folder, one['subject'])}" for one in quarantined(folder)} == {hit.patient}
        assert any(hit.cell in found["cells"] for one in quarantined(folder) for found in one["resources"])
        assert any(one["issues"] or one["status"] for one in quarantined(folder))
        # all others are there
        kept = {name for name, one in here.items() if one.get("subject", {}).get("reference") != hit.patient}
        assert kept - {hit.patient} <= theirs(folder, hapi).keys()
    # the ledger says nothing that isn't so: what it calls unchanged is there
    proxy.script()
    again = send(folder, there, **USUAL)
    assert again.exit_code == 0, again
    assert theirs(folder, hapi) == here
    assert quarantined(folder) == []
    assert sent(send(folder, there, verify=True, **USUAL)) == (0, 0, 0)


def take_over(source: Path, folder: Path) -> None:
    """Bring a workspace that was delivered to a later run's state, and keep what is known of the server."""
    import sqlite3

    shutil.rmtree(folder / "fhir")
    shutil.copytree(source / "fhir", folder / "fhir")
    shutil.rmtree(folder / "private" / "lineage")
    shutil.copytree(source / "private" / "lineage", folder / "private" / "lineage")
    connection = sqlite3.connect(folder / "private" / "ledger.sqlite")
    connection.execute("ATTACH ? AS later", (str(source / "private" / "ledger.sqlite"),))
    for table in ("fhir", "fhir_kind"):
        connection.execute(f"DELETE FROM {table}")
        connection.execute(f"INSERT INTO {table} SELECT * FROM later.{table}")
    connection.commit()
    connection.close()


def patient_of(folder: Path, subject: str) -> str:
    """The id of a patient's resource."""
    for line in (folder / "fhir" / "Patient.ndjson").read_bytes().splitlines():
        patient = json.loads(line)
        if patient["identifier"][0]["value"] == subject:
            return str(patient["id"])
    raise AssertionError(f"no patient {subject}")


def test_there_are_enough() -> None:
    assert len({one.name for one in CASES}) == len(CASES) >= 40
    assert {one.name for one in CASES} >= QUICK
