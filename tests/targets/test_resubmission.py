"""Run it again: the same form writes nothing, a corrected one exactly the difference, what vanished is retracted.

Every test runs against every OMOP database, the embedded one and PostgreSQL, and asks for the same content.
"""

from __future__ import annotations

import copy
import datetime
import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from caseweave.errors import Refusal, UsageError
from caseweave.run.database import remembered
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from tests.targets.databases import DATABASES, Deliver, deliver_to
from tests.unit.run import registry
from tests.unit.run.registry import HEADERS, fhir, filled, omop, periods, workbook


@pytest.fixture(params=DATABASES)
def deliver(request: pytest.FixtureRequest) -> Deliver:
    """Runs the registry's study into a workspace and a database of its own."""
    return deliver_to(request)


@pytest.fixture
def first(deliver: Deliver, tmp_path: Path) -> Path:
    """A workspace into which the filled form has been run."""
    outcome = deliver(tmp_path / "workspace", workbook(tmp_path / "form.xlsx", filled()))
    assert outcome.exit_code == 0
    return tmp_path / "workspace"


def changes(outcome: object) -> dict[str, tuple[int, int, int]]:
    targets = outcome.manifest["targets"]  # type: ignore[attr-defined]
    return {name: (one["new"], one["changed"], one["retracted"]) for name, one in targets.items()}


def test_the_balance_is_exact(deliver: Deliver, tmp_path: Path) -> None:
    rows = filled()
    outcome = deliver(tmp_path / "workspace", workbook(tmp_path / "form.xlsx", rows))
    cells = sum(cell is not None for sheet in rows.values() for row in sheet for cell in row)
    balance = outcome.manifest["balance"]
    assert balance["cells"] == cells == sum(balance[one] for one in ("loaded", "ignored", "missing", "rejected"))
    assert balance["ignored"] == 1  # the comment
    assert balance["missing"] == 7  # er: NA


def test_the_same_form_writes_nothing(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (first / "fhir").iterdir()}
    outcome = deliver(first, tmp_path / "form.xlsx")
    assert changes(outcome) == {"fhir": (0, 0, 0), "omop": (0, 0, 0)}
    assert {path: path.stat().st_mtime_ns for path in (first / "fhir").iterdir()} == before


def test_order_copies_and_split_files_change_nothing(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = filled()
    shuffled = {name: random.Random(name).sample(found, len(found)) for name, found in rows.items()}
    order = {name: random.Random(name).sample(range(len(HEADERS[name])), len(HEADERS[name])) for name in HEADERS}
    moved = {name: [[row[n] for n in order[name]] for row in found] for name, found in shuffled.items()}
    headers = {name: [HEADERS[name][n] for n in order[name]] for name in HEADERS}
    whole = workbook(tmp_path / "shuffled.xlsx", moved, headers)
    halves = [
        workbook(tmp_path / f"half-{part}.xlsx", {name: found[part::2] for name, found in rows.items()})
        for part in (0, 1)
    ]
    for number, sources in enumerate(([whole], halves, halves[::-1])):
        other = tmp_path / f"other-{number}"
        deliver(other, *sources)
        assert fhir(other) == fhir(first)
        assert omop(other) == omop(first)
        assert periods(other) == periods(first)
        assert changes(deliver(first, *sources)) == {"fhir": (0, 0, 0), "omop": (0, 0, 0)}


def test_one_corrected_cell_changes_its_facts_alone(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before_fhir, before_omop = fhir(first), omop(first)
    rows = filled()
    rows["Patients"][4][5] = 12.5
    outcome = deliver(first, workbook(tmp_path / "corrected.xlsx", rows))
    assert changes(outcome) == {"fhir": (0, 1, 0), "omop": (0, 1, 0)}
    differing = [name for name, line in fhir(first).items() if before_fhir[name] != line]
    assert len(differing) == 1
    assert b'"value":12.5' in fhir(first)[differing[0]]
    rows_now = [name for name, row in omop(first).items() if before_omop[name] != row]
    assert [name.split("/")[0] for name in rows_now] == ["measurement"]
    assert omop(first)[rows_now[0]]["value_as_number"] == 12.5


def test_a_corrected_form_gives_what_it_would_have_given_first(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = filled()
    rows["Patients"][4][5] = None
    rows["Patients"][5][3] = "2019-05-06"
    rows["Visits"] = rows["Visits"][:-1]
    corrected = workbook(tmp_path / "corrected.xlsx", rows)
    deliver(first, corrected)
    deliver(tmp_path / "fresh", corrected)
    assert fhir(first) == fhir(tmp_path / "fresh")
    assert omop(first) == omop(tmp_path / "fresh")
    assert periods(first) == periods(tmp_path / "fresh")


def test_a_removed_row_is_retracted_while_its_patient_stands(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = filled()
    rows["Visits"].pop(0)
    outcome = deliver(first, workbook(tmp_path / "shorter.xlsx", rows))
    assert changes(outcome) == {"fhir": (0, 0, 2), "omop": (0, 0, 2)}
    assert outcome.manifest["findings"]["message"] == 1  # it says so


def test_an_absent_patient_stays_unless_the_form_is_complete(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = {name: [row for row in found if row[0] != "P007"] for name, found in filled().items()}
    shorter = workbook(tmp_path / "shorter.xlsx", rows)
    before = fhir(first), omop(first)
    outcome = deliver(first, shorter)
    assert changes(outcome) == {"fhir": (0, 0, 0), "omop": (0, 0, 0)}
    assert (fhir(first), omop(first)) == before
    assert outcome.exit_code == 0
    told = [one for one in json.loads((first / "findings.json").read_text()) if one["rule"] == "absent-patients"]
    assert [(one["sheet"], one["severity"], one["message"]) for one in told] == [
        (sheet, "message", "1 patient of earlier files stands in none of these; what was told of them stays.")
        for sheet in ("patients", "visits")
    ]
    outcome = deliver(first, shorter, complete=True)
    assert changes(outcome) == {"fhir": (0, 0, 7), "omop": (0, 0, 9)}
    assert "absent-patients" not in (first / "findings.csv").read_text()
    deliver(tmp_path / "fresh", shorter)
    assert fhir(first) == fhir(tmp_path / "fresh")
    assert omop(first) == omop(tmp_path / "fresh")
    assert periods(first) == periods(tmp_path / "fresh")


def test_a_renamed_column_retracts_nothing_and_is_told(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before_fhir, before_omop = fhir(first), omop(first)
    headers = {**HEADERS, "Patients": ["patient_id", "sex", "birth_date", "diagnosed", "er", "hemoglobin", "comments"]}
    outcome = deliver(first, workbook(tmp_path / "renamed.xlsx", filled(), headers))
    assert changes(outcome) == {"fhir": (0, 0, 0), "omop": (0, 0, 0)}
    assert (fhir(first), omop(first)) == (before_fhir, before_omop)
    assert outcome.exit_code == 1  # the column that no field knows
    assert outcome.manifest["findings"] == {"error": 1, "warning": 1, "message": 0}


def test_a_sheet_that_is_not_in_the_file_stays(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    outcome = deliver(first, workbook(tmp_path / "visits.xlsx", {"Visits": filled()["Visits"]}))
    assert changes(outcome) == {"fhir": (0, 0, 0), "omop": (0, 0, 0)}
    assert outcome.manifest["findings"]["warning"] == 1


def test_a_visit_of_a_patient_known_from_an_earlier_run(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = {"Visits": [*filled()["Visits"], ["P001", 3, "2022-01-01", 20, 61]]}
    outcome = deliver(first, workbook(tmp_path / "visits.xlsx", rows))
    assert changes(outcome) == {"fhir": (2, 0, 0), "omop": (2, 0, 0)}
    # what links to the sheet that is missing is linked as soon as both come together
    whole = workbook(tmp_path / "whole.xlsx", {**filled(), **rows})
    assert changes(deliver(first, whole)) == {"fhir": (0, 1, 0), "omop": (0, 1, 0)}
    deliver(tmp_path / "fresh", whole)
    assert omop(first) == omop(tmp_path / "fresh")
    assert periods(first) == periods(tmp_path / "fresh")


def test_a_person_stays_while_rows_of_another_sheet_need_it(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = omop(first)
    rows = filled()["Patients"]
    rows[4][2] = None  # without a year of birth OMOP has no person
    outcome = deliver(first, workbook(tmp_path / "patients.xlsx", {"Patients": rows}))
    assert changes(outcome)["omop"] == (0, 0, 5)  # cancer, its episode, and what was measured with it
    after = omop(first)  # every row finds its person
    assert len(after) == len(before) - 4 and after.keys() < before.keys()
    let_go = [name for name, row in after.items() if row != before[name]]
    assert [after[name]["measurement_event_id"] for name in let_go] == [None, None]  # Ki-67 of the visits
    assert changes(deliver(first, tmp_path / "form.xlsx", force=True))["omop"] == (5, 0, 0)
    assert omop(first) == before


def test_an_emptied_sheet_stops_the_run(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = fhir(first), omop(first)
    emptied = workbook(tmp_path / "emptied.xlsx", {**filled(), "Visits": []})
    with pytest.raises(Refusal, match=r"visits: 120 of 120.*--retract all") as refusal:
        deliver(first, emptied)
    assert refusal.value.exit_code == 4
    assert (fhir(first), omop(first)) == before
    outcome = deliver(first, emptied, retract="all")
    assert changes(outcome) == {"fhir": (0, 0, 120), "omop": (0, 0, 120)}
    assert outcome.manifest["findings"]["message"] == 1  # it says so


def test_rows_that_would_leave_omop_alone_stop_the_run_too(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = fhir(first), omop(first)
    rows = filled()
    for row in rows["Patients"]:
        row[2] = None  # without birth dates OMOP has no persons, and FHIR still has its patients
    blanked = workbook(tmp_path / "blanked.xlsx", rows)
    told = r"patients: 166 of 166 in OMOP; visits: 120 of 120 in OMOP.*--retract all"
    with pytest.raises(Refusal, match=told) as refusal:
        deliver(first, blanked)
    assert refusal.value.exit_code == 4
    assert (fhir(first), omop(first)) == before
    outcome = deliver(first, blanked, retract="all")
    assert changes(outcome)["fhir"][2] == 0
    assert changes(outcome)["omop"][2] == 166 + 120
    assert omop(first) == {}


def test_a_workspace_made_anew_guards_what_the_database_holds(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    server = remembered(Workspace(first).read_state())
    if server is None:
        pytest.skip("omop.sqlite lies in the workspace and is lost with it")
    before = omop(first)
    emptied = workbook(tmp_path / "emptied.xlsx", {**filled(), "Visits": []})
    with pytest.raises(Refusal, match="visits: 120 of 120 in OMOP"):
        registry.deliver(tmp_path / "anew", emptied, omop=server)
    assert omop(first) == before


def test_an_increment_adds_and_corrects_and_never_retracts(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = filled()
    new = {"Patients": [[*rows["Patients"][3][:5], 14, None]], "Visits": [["P003", 3, "2022-01-01", 20, 61]]}
    before = fhir(first), omop(first)
    outcome = deliver(first, workbook(tmp_path / "increment.xlsx", new), increment=True)
    assert changes(outcome) == {"fhir": (2, 1, 0), "omop": (2, 1, 0)}
    assert outcome.exit_code == 0
    assert fhir(first).keys() > before[0].keys() and omop(first).keys() > before[1].keys()
    # a month later a visit comes again, and nothing of what isn't in it goes
    again = {"Patients": [], "Visits": [["P003", 3, "2022-01-01", 21, 61]]}
    outcome = deliver(first, workbook(tmp_path / "again.xlsx", again), increment=True)
    assert changes(outcome) == {"fhir": (0, 1, 0), "omop": (0, 1, 0)}
    whole = filled()
    whole["Patients"][3][5] = 14
    whole["Visits"].append(again["Visits"][0])
    deliver(tmp_path / "fresh", workbook(tmp_path / "whole.xlsx", whole))
    deliver(first, tmp_path / "whole.xlsx")  # what an increment can't link, for want of the other sheet
    assert (fhir(first), omop(first)) == (fhir(tmp_path / "fresh"), omop(tmp_path / "fresh"))


def test_an_increment_of_rows_without_a_key_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    shutil.copytree(registry.STUDY, folder)
    visits = (folder / "visits.yaml").read_text(encoding="utf-8")
    (folder / "visits.yaml").write_text(re.sub(r"key: .*\n", "", visits, count=1), encoding="utf-8")
    study, form = load_study(folder), workbook(tmp_path / "form.xlsx", filled())
    settings = Options(key_file=tmp_path / "registry.key", today=registry.TODAY)
    run(study, [form], Workspace(tmp_path / "one"), settings)
    before = fhir(tmp_path / "one")
    with pytest.raises(UsageError, match="An increment can't hold visits") as error:
        run(study, [form], Workspace(tmp_path / "one"), replace(settings, increment=True))
    assert error.value.exit_code == 2
    assert fhir(tmp_path / "one") == before


def test_older_files_after_newer_are_refused(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(filled())
    rows["Patients"][0][5] = 15
    older = workbook(tmp_path / "older.xlsx", rows)
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(Refusal, match="older than what was loaded last"):
        deliver(first, older, as_of=long_ago)
    assert changes(deliver(first, older, as_of=long_ago, force=True))["fhir"] == (0, 1, 0)
    with pytest.raises(Refusal, match="loaded before"):
        deliver(first, tmp_path / "form.xlsx")


def test_another_key_or_study_is_refused(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    (tmp_path / "registry.key").rename(tmp_path / "kept.key")
    with pytest.raises(Refusal):
        deliver(first, tmp_path / "form.xlsx")
