"""Rows that somebody changed or deleted by hand: told by table, written anew, and nothing else is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.live.cdm import SHAPES, connected, their_cdm, theirs, versions
from tests.unit.run.registry import deliver, filled, omop, periods, workbook

from caseweave.cli.app import run
from caseweave.errors import TargetError
from caseweave.run.database import OmopServer
from caseweave.run.transfer import transfer
from caseweave.run.workspace import Workspace
from caseweave.targets.omop.server import create_cdm

# one row each of those of the patients that are ours
HARM = """
UPDATE {0}measurement SET value_as_number = 0.5 WHERE measurement_id =
    (SELECT max(measurement_id) FROM {0}measurement);
DELETE FROM {0}measurement WHERE measurement_id = (SELECT max(measurement_id) - 3 FROM {0}measurement);
UPDATE {0}person SET year_of_birth = 1900 WHERE person_id = (SELECT max(person_id) FROM {0}person);
UPDATE {0}condition_occurrence SET condition_source_value = 'x' WHERE condition_occurrence_id =
    (SELECT max(condition_occurrence_id) FROM {0}condition_occurrence);
DELETE FROM {0}observation_period WHERE person_id = (SELECT max(person_id) FROM {0}person);
"""
CHANGED = {"measurement": 1, "person": 1, "condition_occurrence": 1}
GONE = {"measurement": 1, "observation_period": 1}
TOLD = [f"Rows of {table} were {what} by others: {n}." for what, found in (("changed", CHANGED), ("deleted", GONE))
        for table, n in found.items()]  # fmt: skip


@pytest.fixture
def form(tmp_path: Path) -> Path:
    return workbook(tmp_path / "form.xlsx", filled())


@pytest.mark.live
def test_deliver_repairs_rows_on_postgresql(postgres_database: str, tmp_path: Path, form: Path) -> None:
    deliver(tmp_path / "a", form)
    workspace, server = Workspace(tmp_path / "a"), their_cdm(postgres_database)
    first = transfer(workspace, server, verify=True)
    assert first["verified"] == {"compared": 0, "changed": {}, "gone": {}}
    before, wanted = theirs(postgres_database), omop(tmp_path / "a")
    total = first["omop"]

    unharmed = versions(postgres_database, "cdm")
    again = transfer(workspace, server, verify=True)
    assert again["verified"]["compared"] == sum(total.values())
    assert (again["verified"]["changed"], again["verified"]["gone"]) == ({}, {})
    assert versions(postgres_database, "cdm") == unharmed

    with connected(postgres_database) as cursor:
        cursor.execute(HARM.format("cdm."))
    harmed = versions(postgres_database, "cdm")
    told = transfer(workspace, server, verify=True, dry_run=True)["verified"]
    assert (told["changed"], told["gone"]) == (CHANGED, GONE)
    assert versions(postgres_database, "cdm") == harmed
    # the ledger alone knows nothing of it
    assert transfer(workspace, server)["changed"] == {}
    assert omop(tmp_path / "a", server=server) != wanted

    done = transfer(workspace, server, verify=True)
    assert (done["verified"]["changed"], done["verified"]["gone"]) == (CHANGED, GONE)
    assert omop(tmp_path / "a", server=server) == wanted
    assert done["omop"] == total
    assert theirs(postgres_database) == before
    written = {name: len(rows - harmed[name]) for name, rows in versions(postgres_database, "cdm").items()}
    assert {name: n for name, n in written.items() if n} == {
        **dict.fromkeys(("person", "condition_occurrence", "observation_period"), 1), "measurement": 2,
    }  # fmt: skip
    assert transfer(workspace, server, verify=True)["verified"]["changed"] == {}


@pytest.mark.live
@pytest.mark.parametrize("way", ["run", "deliver"])
def test_rows_that_a_trigger_keeps_out_are_missed(postgres_database: str, tmp_path: Path, form: Path, way: str) -> None:
    server = their_cdm(postgres_database)
    with connected(postgres_database) as cursor:
        cursor.execute(
            "CREATE FUNCTION cdm.none() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql;"
            "CREATE TRIGGER out BEFORE INSERT ON cdm.measurement FOR EACH ROW WHEN (new.value_as_number = 62.5) "
            "EXECUTE FUNCTION cdm.none()"
        )
    before = versions(postgres_database, "cdm")
    with pytest.raises(TargetError, match="Table measurement was given 166 rows and holds 164 of them"):
        if way == "run":
            deliver(tmp_path / "a", form, omop=server)
        else:
            deliver(tmp_path / "a", form)
            transfer(Workspace(tmp_path / "a"), server)
    assert {name: rows for name, rows in versions(postgres_database, "cdm").items() if name in before} == before


@pytest.mark.live
def test_a_run_repairs_rows_on_postgresql(postgres_database: str, tmp_path: Path, form: Path) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    first = deliver(tmp_path / "a", form, omop=OmopServer(postgres_database, "cdm"))
    wanted, days = omop(tmp_path / "a"), periods(tmp_path / "a")
    with connected(postgres_database) as cursor:
        cursor.execute(HARM.format("cdm."))
    outcome = deliver(tmp_path / "a", form, verify=True)
    assert outcome.manifest["findings"]["warning"] == len(TOLD)
    assert all(one in (tmp_path / "a" / "findings.csv").read_text(encoding="utf-8") for one in TOLD)
    assert (omop(tmp_path / "a"), periods(tmp_path / "a")) == (wanted, days)
    assert outcome.manifest["omop"] == first.manifest["omop"]
    stood = versions(postgres_database, "cdm")
    assert deliver(tmp_path / "a", form, verify=True).manifest["findings"]["warning"] == 0
    assert versions(postgres_database, "cdm") == stood


def test_a_run_repairs_the_embedded_database(tmp_path: Path, form: Path) -> None:
    first = deliver(tmp_path / "a", form)
    wanted, days = omop(tmp_path / "a"), periods(tmp_path / "a")
    with sqlite3.connect(tmp_path / "a" / "omop.sqlite") as connection:
        connection.executescript(HARM.format(""))
    assert deliver(tmp_path / "a", form).manifest["findings"]["warning"] == 0
    assert omop(tmp_path / "a") != wanted
    outcome = deliver(tmp_path / "a", form, verify=True)
    assert outcome.manifest["findings"]["warning"] == len(TOLD)
    assert (omop(tmp_path / "a"), periods(tmp_path / "a")) == (wanted, days)
    assert outcome.manifest["omop"] == first.manifest["omop"]
    assert deliver(tmp_path / "a", form, verify=True).manifest["findings"]["warning"] == 0


def test_a_correction_and_a_repair_in_one_run(tmp_path: Path, form: Path) -> None:
    deliver(tmp_path / "a", form)
    with sqlite3.connect(tmp_path / "a" / "omop.sqlite") as connection:
        connection.executescript(HARM.format(""))
    rows = filled()
    rows["Patients"][4][5] = 12.5
    rows["Visits"].pop(0)
    corrected = workbook(tmp_path / "corrected.xlsx", rows)
    deliver(tmp_path / "a", corrected, verify=True)
    deliver(tmp_path / "b", corrected)
    assert omop(tmp_path / "a") == omop(tmp_path / "b")
    assert periods(tmp_path / "a") == periods(tmp_path / "b")


@pytest.mark.live
def test_the_commands(postgres_database: str, tmp_path: Path, form: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(tmp_path / "a", form)
    create_cdm(postgres_database, SHAPES, "cdm")
    words = ["deliver", str(tmp_path / "a"), "--omop", postgres_database, "--omop-schema", "cdm"]
    assert run(words) == 0
    with connected(postgres_database) as cursor:
        cursor.execute(HARM.format("cdm."))
    capsys.readouterr()
    assert run([*words, "--verify"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Verified 316 rows; changed by others, repaired: condition_occurrence 1, measurement 1, person 1" in said
    assert "deleted by others, repaired: measurement 1, observation_period 1" in said
