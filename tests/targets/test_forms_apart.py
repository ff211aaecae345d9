"""One patient in two forms that are loaded by separate runs: what one of them corrects is changed, and nothing else.

Every test runs against every OMOP database, the embedded one and PostgreSQL.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from caseweave.errors import Refusal
from caseweave.run.database import remembered
from caseweave.run.workspace import Workspace
from tests.targets.databases import DATABASES, Deliver, deliver_to
from tests.unit.run.registry import fhir, filled, omop, opened, workbook

NOTHING = {"fhir": (0, 0, 0), "omop": (0, 0, 0)}


@pytest.fixture(params=DATABASES)
def deliver(request: pytest.FixtureRequest) -> Deliver:
    """Runs the registry's study into a workspace and a database of its own."""
    return deliver_to(request)


def changes(outcome: Any) -> dict[str, tuple[int, int, int]]:
    targets = outcome.manifest["targets"]
    return {name: (one["new"], one["changed"], one["retracted"]) for name, one in targets.items()}


@pytest.fixture
def both(deliver: Deliver, tmp_path: Path) -> Path:
    """A workspace into which site A's register was run first, and a form of visits alone after it."""
    rows, folder = filled(), tmp_path / "workspace"
    deliver(folder, workbook(tmp_path / "register.xlsx", {"Patients": rows["Patients"]}))
    outcome = deliver(folder, workbook(tmp_path / "visits.xlsx", {"Visits": rows["Visits"]}))
    assert changes(outcome) == {"fhir": (120, 0, 0), "omop": (120, 0, 0)}
    assert outcome.exit_code == 0
    return folder


def units(folder: Path) -> dict[tuple[str, str], object]:
    """The digest of each patient's sheet in the OMOP ledger; on PostgreSQL with the version of its row."""
    version = ", xmin::text" if remembered(Workspace(folder).read_state()) else ""
    with opened(folder) as database:
        rows = database.execute(f"SELECT subject, sheet, digest{version} FROM caseweave_ledger")
        return {(row[0], row[1]): tuple(row[2:]) for row in rows}


def differing(before: dict[Any, Any], after: dict[Any, Any]) -> set[Any]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_corrected_visit_changes_its_facts_alone(deliver: Deliver, both: Path, tmp_path: Path) -> None:
    before, units_before = (fhir(both), omop(both)), units(both)
    visits = filled()["Visits"]
    visits[8][4] = 71.5  # the first visit of P004
    outcome = deliver(both, workbook(tmp_path / "corrected.xlsx", {"Visits": visits}))
    assert changes(outcome) == {"fhir": (0, 1, 0), "omop": (0, 1, 0)}
    (resource,) = differing(before[0], fhir(both))
    assert resource.startswith("Observation/") and b'"value":71.5' in fhir(both)[resource]
    (row,) = differing(before[1], omop(both))
    assert row.startswith("measurement/") and omop(both)[row]["value_as_number"] == 71.5
    ((_, sheet),) = differing(units_before, units(both))
    assert sheet == "visits"


def test_a_corrected_register_changes_its_facts_alone(deliver: Deliver, both: Path, tmp_path: Path) -> None:
    before, units_before = (fhir(both), omop(both)), units(both)
    patients = filled()["Patients"]
    patients[4][5] = 12.5
    outcome = deliver(both, workbook(tmp_path / "corrected.xlsx", {"Patients": patients}))
    assert changes(outcome) == {"fhir": (0, 1, 0), "omop": (0, 1, 0)}
    (resource,) = differing(before[0], fhir(both))
    assert b'"value":12.5' in fhir(both)[resource]
    (row,) = differing(before[1], omop(both))
    assert omop(both)[row]["value_as_number"] == 12.5
    ((_, sheet),) = differing(units_before, units(both))
    assert sheet == "patients"


def test_a_visit_that_is_taken_out_is_retracted_and_the_register_stands(
    deliver: Deliver, both: Path, tmp_path: Path
) -> None:
    before, units_before = (fhir(both), omop(both)), units(both)
    outcome = deliver(both, workbook(tmp_path / "shorter.xlsx", {"Visits": filled()["Visits"][1:]}))
    assert changes(outcome) == {"fhir": (0, 0, 2), "omop": (0, 0, 2)}
    assert outcome.manifest["findings"] == {
        "error": 0,
        "warning": 1,
        "message": 1,
    }  # the sheet that isn't there, the two
    assert fhir(both).keys() < before[0].keys() and omop(both).keys() < before[1].keys()
    assert {sheet for _, sheet in differing(units_before, units(both))} == {"visits"}


def test_every_night_both_forms_come_again_unchanged_in_any_order(deliver: Deliver, both: Path, tmp_path: Path) -> None:
    """A form isn't superseded by another that speaks of other sheets, nor too old beside it."""
    for name in ("register.xlsx", "visits.xlsx", "visits.xlsx", "register.xlsx"):
        assert changes(deliver(both, tmp_path / name)) == NOTHING
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    rows = filled()
    rows["Patients"][4][5] = 12.5
    newer = workbook(tmp_path / "newer.xlsx", {"Patients": rows["Patients"]})
    assert changes(deliver(both, newer))["fhir"] == (0, 1, 0)
    # the register that was corrected may not come back, the visits beside it may
    with pytest.raises(Refusal, match="loaded before, and newer ones after them"):
        deliver(both, tmp_path / "register.xlsx")
    assert changes(deliver(both, tmp_path / "visits.xlsx")) == NOTHING
    rows["Patients"][4][5] = 13
    with pytest.raises(Refusal, match="older than what was loaded last"):
        deliver(both, workbook(tmp_path / "old.xlsx", {"Patients": rows["Patients"]}), as_of=long_ago)
