"""`caseweave omop check` against somebody else's CDM: vocabulary in a schema of its own, their rows beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn
from tests.live.cdm import ask, connected, their_cdm, theirs
from tests.unit.run.registry import deliver, filled, workbook

from caseweave.cli.app import run
from caseweave.quality.omop import Result
from caseweave.run.database import OmopServer
from caseweave.run.omopcheck import OmopReport, check_omop

pytestmark = pytest.mark.live


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "a"


@pytest.fixture
def server(postgres_database: str, workspace: Path, tmp_path: Path) -> OmopServer:
    found = their_cdm(postgres_database)
    deliver(workspace, workbook(tmp_path / "form.xlsx", filled()), omop=found)
    return found


def wrong(report: OmopReport) -> dict[str, Result]:
    return {one.check.id: one for one in report.results if one.status in ("failed", "could not run")}


def test_their_rows_and_ours_are_asked_and_nothing_is_changed(server: OmopServer) -> None:
    before = theirs(server.dsn)
    report = check_omop(server.dsn, schema="cdm")
    assert report.cdm == "CDM 5.4 with imaging"
    assert wrong(report) == {}
    assert theirs(server.dsn) == before
    people = next(one for one in report.results if one.check.id == "isRequired.person.gender_concept_id")
    assert people.total == 30 + 2


def test_our_row_leads_to_its_cell_and_theirs_to_none(server: OmopServer, workspace: Path) -> None:
    ours = min(
        one for (one,) in ask(server.dsn, "SELECT measurement_id FROM cdm.measurement WHERE measurement_id > 41000")
    )
    with connected(server.dsn) as cursor:
        cursor.execute(
            "UPDATE cdm.measurement SET measurement_date = '2999-01-01' WHERE measurement_id IN (41000, %s)", (ours,)
        )
    name = "plausibleTemporalBefore.measurement.measurement_date"
    found = wrong(check_omop(str(workspace)))[name]
    assert found.rows == ("measurement:41000", f"measurement:{ours}")
    assert list(found.places) == [f"measurement:{ours}"]
    assert {one.partition("!")[0] for one in found.places[f"measurement:{ours}"]} <= {
        "source-1:patients",
        "source-1:visits",
    }
    alone = wrong(check_omop(server.dsn, schema="cdm"))[name]
    assert (alone.rows, alone.places) == (found.rows, {})


def test_without_the_right_to_read_it_could_not_run(server: OmopServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that this user may not read: only what looks at it isn't told, and the transaction goes on."""
    with connected(server.dsn) as cursor:
        cursor.execute("CREATE ROLE reader LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA cdm, vocab TO reader")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA cdm, vocab TO reader")
        cursor.execute("REVOKE SELECT ON cdm.death FROM reader")
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", "x")
        found = wrong(check_omop(make_dsn(server.dsn, user="reader"), schema="cdm"))
    with connected(server.dsn) as cursor:
        cursor.execute("DROP OWNED BY reader; DROP ROLE reader")
    assert {one.status for one in found.values()} == {"could not run"}
    assert "isRequired.death.death_date" in found
    assert "plausibleBeforeDeath.measurement.measurement_date" in found
    assert "isRequired.measurement.measurement_date" not in found
    assert "may not do what is needed" in found["isRequired.death.death_date"].why


def test_the_command(server: OmopServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["omop", "check", server.dsn, "--schema", "cdm"]) == 0
    assert "schema cdm of the database" in capsys.readouterr().out
    assert run(["omop", "check", server.dsn, "--schema", "cdm", "--cdm", "5.3"]) == 1
    assert "cdmField.measurement.modifier_of_event_id: it isn't there" in capsys.readouterr().out
    assert run(["omop", "check", server.dsn, "--schema", "nowhere"]) == 2
    assert "can't be told" in capsys.readouterr().err
