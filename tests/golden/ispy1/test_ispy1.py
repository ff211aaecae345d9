"""I-SPY 1, the real workbook: two sheets joined, dictionaries ignored, its contradictions named and nothing else."""

from __future__ import annotations

import datetime
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import caseweave
from caseweave.run.pipeline import Options, Outcome, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.spec.models import Field, Study
from caseweave.spec.valueset import normal

FILE = "data/tcia/ISPY1_All_Patient_Clinical_and_Outcome_Data.xlsx"
TABS = {"clinical": "TCIA Patient Clinical Subset", "outcomes": "TCIA Outcomes Subset"}
DICTIONARIES = ("Clinical Data Dictionary", "Outcome Data Dictionary")
# alive and not lost, yet free of recurrence for longer than they were followed
CONTRADICTORY = {
    "1005", "1019", "1026", "1029", "1042", "1047", "1092", "1097", "1099", "1114", "1128", "1134", "1181", "1189",
    "1210", "1219", "1225",
}  # fmt: skip
MRI = {
    "T1, baseline (before treatment)": "MRI LD Baseline",
    "T2, 1 to 3 days after the start of AC": "MRI LD 1-3dAC",
    "T3, between the regimens": "MRI LD InterReg",
    "T4, before surgery": "MRI LD PreSurg",
}
Cells = dict[str, dict[str, list[Any]]]
Resources = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study("ispy1")


@pytest.fixture(scope="module")
def cells(shared: Path) -> Cells:
    """The data sheets as openpyxl reads them: sheet -> header -> cells; a formula that gives "" is a blank."""
    from openpyxl import load_workbook

    book = load_workbook(shared / FILE, data_only=True)
    found: Cells = {}
    for key, tab in TABS.items():
        header, *rows = book[tab].iter_rows(values_only=True)
        rows = [row for row in rows if row[0] is not None]
        found[key] = {str(name): [None if row[n] == "" else row[n] for row in rows] for n, name in enumerate(header)}
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("ispy1") / "out")


@pytest.fixture(scope="module")
def outcome(study: Study, shared: Path, workspace: Workspace) -> Outcome:
    return run(study, [shared / FILE], workspace, Options(key_file=workspace.root.parent / "ispy1.key"))


@pytest.fixture(scope="module")
def fhir(outcome: Outcome, workspace: Workspace) -> Resources:
    return {
        path.stem: [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in workspace.fhir.glob("*.ndjson")
    }


@pytest.fixture(scope="module")
def omop(outcome: Outcome, workspace: Workspace) -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(workspace.omop) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def fields(study: Study, sheet: str) -> dict[str, Field]:
    return {field.column: field for field in study.sheet(sheet).fields.values()}


def test_each_column_is_mapped_or_ignored_with_a_reason(study: Study, cells: Cells) -> None:
    for sheet, columns in cells.items():
        assert set(fields(study, sheet)) == set(columns)
    ignored = {field.column for sheet in cells for field in fields(study, sheet).values() if field.ignore}
    assert ignored == {"DataExtractDt"}
    assert set(study.ignore_sheets) == set(DICTIONARIES)


def test_each_value_of_the_file_is_in_its_value_set(study: Study, cells: Cells) -> None:
    for sheet, columns in cells.items():
        for column, field in fields(study, sheet).items():
            if field.valueset is None:
                continue
            entries = field.valueset.values.values()
            known = {normal(text) for one in entries for text in (one.key, *one.aliases, *one.label.values())}
            assert {normal(str(cell)) for cell in columns[column] if cell is not None} <= known, column


def test_221_patients_and_an_exact_balance(outcome: Outcome, cells: Cells, shared: Path) -> None:
    from openpyxl import load_workbook

    manifest = outcome.manifest
    assert outcome.exit_code == 0
    assert manifest["findings"]["error"] == 0
    assert manifest["subjects"] == 221
    book = load_workbook(shared / FILE)
    documentation = sum(
        cell is not None for tab in DICTIONARIES for row in book[tab].iter_rows(values_only=True) for cell in row
    )
    filled = sum(cell is not None for columns in cells.values() for column in columns.values() for cell in column)
    extracted = sum(len(columns["DataExtractDt"]) for columns in cells.values())
    absent = cells["clinical"]["race_id"].count(0)
    assert (extracted, absent) == (442, 2)
    assert manifest["balance"] == {
        "cells": filled + documentation,
        "loaded": filled - extracted - absent,
        "ignored": documentation + extracted,
        "missing": absent,
        "rejected": 0,
    }


def test_parity(outcome: Outcome, cells: Cells) -> None:
    """What OMOP leaves out: the tumour itself, which it has no table for, and who isn't known to have died."""
    parity = outcome.manifest["parity"]
    dead = cells["outcomes"]["sstat"].count(8)
    assert parity["facts"] == outcome.manifest["facts"]
    assert parity["facts"] - parity["omop"] == 221 + (221 - dead)


def test_joined_on_the_subject(cells: Cells, fhir: Resources, omop: sqlite3.Connection) -> None:
    """The patient's resource and row take age and race from one sheet, survival from the other."""
    patients = {one["identifier"][0]["value"]: one for one in fhir["Patient"]}
    assert len(patients) == 221
    status = dict(zip(cells["outcomes"]["SUBJECTID"], cells["outcomes"]["sstat"], strict=True))
    days = dict(zip(cells["outcomes"]["SUBJECTID"], cells["outcomes"]["survDtD2 (tx)"], strict=True))
    people = {row["person_source_value"]: row for row in omop.execute("SELECT * FROM person")}
    deaths = {row["person_id"]: row["death_date"] for row in omop.execute("SELECT * FROM death")}
    races = {0: 0, 1: 8527, 3: 8516, 4: 8515, 5: 8557, 50: 0}
    clinical = cells["clinical"]
    for who, age, race in zip(clinical["SUBJECTID"], clinical["age"], clinical["race_id"], strict=True):
        assert patients[str(who)].get("deceasedBoolean") is {7: False, 8: True, 9: None}[status[who]]
        row = people[str(who)]
        assert (row["year_of_birth"], row["race_concept_id"]) == (int(2000 - age), races[race])
        died = datetime.date(2000, 1, 1) + datetime.timedelta(days=days[who])
        assert deaths.get(row["person_id"]) == (died.isoformat() if status[who] == 8 else None)


def test_mri_at_four_timepoints(cells: Cells, fhir: Resources, omop: sqlite3.Connection) -> None:
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in fhir["Patient"]}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for one in fhir["Observation"]:
        if one["code"]["coding"][0]["code"] == "21889-1":
            (size,) = one["component"]
            assert size["valueQuantity"]["code"] == "mm"
            found[one["note"][0]["text"]][patients[one["subject"]["reference"]]] = size["valueQuantity"]["value"]
    rows = omop.execute(
        "SELECT measurement_source_value AS name, count(*) AS many FROM measurement"
        " WHERE measurement_source_value LIKE 'mri_ld_%' GROUP BY 1"
    ).fetchall()
    many = {row["name"]: row["many"] for row in rows}
    assert set(found) == set(MRI)
    for note, column in MRI.items():
        typed = zip(cells["clinical"]["SUBJECTID"], cells["clinical"][column], strict=True)
        assert found[note] == {str(who): size for who, size in typed if size is not None}
    assert sorted(many.values()) == sorted(len(one) for one in found.values())
    assert len(many) == 4


@pytest.mark.parametrize(
    ("code", "sheet", "column"),
    [
        ("30525-0", "clinical", "age"),
        ("445320007", "outcomes", "survDtD2 (tx)"),
        ("445150007", "outcomes", "RFS"),
    ],
)
def test_numbers_arrive_as_typed(code: str, sheet: str, column: str, cells: Cells, fhir: Resources) -> None:
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in fhir["Patient"]}
    found = {
        patients[one["subject"]["reference"]]: one["valueQuantity"]["value"]
        for one in fhir["Observation"]
        if one["code"]["coding"][0]["code"] == code
    }
    assert found == {
        str(who): value for who, value in zip(cells[sheet]["SUBJECTID"], cells[sheet][column], strict=True)
    }


@pytest.mark.parametrize(
    ("code", "sheet", "column", "answers"),
    [
        ("16112-5", "clinical", "ERpos", {0: "260385009", 1: "10828004"}),
        ("16113-3", "clinical", "PgRpos", {0: "260385009", 1: "10828004"}),
        ("48676-1", "clinical", "Her2MostPos", {0: "260385009", 1: "10828004"}),
        ("444987009", "outcomes", "RCBClass", {0: "C160725", 1: "C160726", 2: "C160727", 3: "C160728"}),
    ],
)
def test_codes_arrive_as_typed(
    code: str, sheet: str, column: str, answers: dict[int, str], cells: Cells, fhir: Resources
) -> None:
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in fhir["Patient"]}
    found = {
        patients[one["subject"]["reference"]]: one["valueCodeableConcept"]["coding"][0]["code"]
        for one in fhir["Observation"]
        if one["code"]["coding"][0]["code"] == code
    }
    typed = zip(cells[sheet]["SUBJECTID"], cells[sheet][column], strict=True)
    assert found == {str(who): answers[value] for who, value in typed if value is not None}


def test_no_date_is_invented_in_fhir(fhir: Resources) -> None:
    for resources in fhir.values():
        for one in resources:
            assert not any(key.startswith(("effective", "onsetDate", "performed", "birthDate")) for key in one), one
            assert '"$' not in json.dumps(one)


def test_its_own_contradictions_and_nothing_else(outcome: Outcome, workspace: Workspace) -> None:
    assert outcome.manifest["findings"] == {"error": 0, "warning": 17, "message": 0}
    found = json.loads((workspace.root / "findings.json").read_text(encoding="utf-8"))
    assert {one["rule"] for one in found} == {"recurrence-free-beyond-survival"}
    assert {one["subject"] for one in found} == CONTRADICTORY
    assert len(found) == 17
    assert all(one["sheet"] == "outcomes" and one["cell"].startswith("E") for one in found)


def test_the_library(shared: Path, tmp_path: Path) -> None:
    result = caseweave.load_study("ispy1").convert(shared / FILE, key_file=tmp_path / "ispy1.key")
    assert len(result.fhir["Patient"]) == len(result.omop["person"]) == 221
    assert set(result.findings["subject"]) == CONTRADICTORY
    assert len(result.omop["death"]) == 40
    assert len(result.fhir.models("Observation")) == len(result.fhir["Observation"])
