"""Rows that somebody changed or deleted by hand: told by table, written anew, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.cdm import SHAPES, connected, their_cdm, theirs, versions
from tests.unit.run.registry import deliver, filled, omop, workbook

from caseweave.cli.app import run
from caseweave.run.transfer import transfer
from caseweave.run.workspace import Workspace
from caseweave.targets.omop.server import create_cdm

pytestmark = pytest.mark.live
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


@pytest.fixture
def form(tmp_path: Path) -> Path:
    return workbook(tmp_path / "form.xlsx", filled())


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
