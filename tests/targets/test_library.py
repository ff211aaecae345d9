"""The library delivers: what a run refuses is refused, and servers hold what the forms say."""

from __future__ import annotations

from pathlib import Path

import pytest

import caseweave
from caseweave.errors import Refusal, UsageError
from tests.targets.databases import server_of
from tests.unit.run.registry import STUDY, fhir, filled, omop, workbook


@pytest.fixture
def result(tmp_path: Path) -> caseweave.Result:
    """The registry's filled form, converted."""
    form = workbook(tmp_path / "form.xlsx", filled())
    return caseweave.load_study(STUDY).convert(form, key_file=tmp_path / "registry.key")


def test_a_wrong_argument_costs_nothing(result: caseweave.Result, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a password"):
        result.deliver(tmp_path / "one", omop="postgresql://etl:secret@cdm.example/omop")
    with pytest.raises(UsageError):
        result.deliver(tmp_path / "one", fhir="not an address")
    assert not (tmp_path / "one").exists()


def test_what_a_run_refuses_is_refused(result: caseweave.Result, tmp_path: Path) -> None:
    assert result.deliver(tmp_path / "one").exit_code == 0
    before = fhir(tmp_path / "one")
    emptied = workbook(tmp_path / "emptied.xlsx", {**filled(), "Visits": []})
    fewer = caseweave.load_study(STUDY).convert(emptied, key_file=tmp_path / "registry.key")
    with pytest.raises(Refusal, match="visits: 120 of 120"):
        fewer.deliver(tmp_path / "one")
    assert fewer.deliver(tmp_path / "one", dry_run=True).exit_code == 4
    assert fhir(tmp_path / "one") == before
    done = fewer.deliver(tmp_path / "one", retract="all")
    assert done.manifest["targets"]["fhir"]["retracted"] == 120


@pytest.mark.live
def test_a_database_holds_what_the_forms_say(result: caseweave.Result, postgres_database: str, tmp_path: Path) -> None:
    server = server_of(postgres_database, tmp_path / "there")
    done = result.deliver(tmp_path / "one", omop=server.dsn, omop_schema=server.schema)
    assert (done.exit_code, done.manifest["omop"]["person"]) == (0, 30)
    result.deliver(tmp_path / "two")
    assert omop(tmp_path / "one") == omop(tmp_path / "two")
    again = result.deliver(tmp_path / "one")  # the workspace remembers the database
    assert again.manifest["targets"]["omop"] == {"new": 0, "changed": 0, "retracted": 0, "unchanged": 286}
