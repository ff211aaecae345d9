"""HCC-TACE-Seg, the real workbook: every column accounted for, every value in its place, nothing changed."""

from __future__ import annotations

import json
import random
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

FILE = "data/tcia/HCC-TACE-Seg_clinical_data-V2.xlsx"
DATA, GLOSSARY = "data table", "glossary"


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study("hcc-tace")


@pytest.fixture(scope="module")
def sheet(shared: Path) -> dict[str, list[Any]]:
    """The data sheet as openpyxl reads it: header -> cells."""
    from openpyxl import load_workbook

    rows = list(load_workbook(shared / FILE, data_only=True)[DATA].iter_rows(values_only=True))
    return {str(header): [row[n] for row in rows[1:]] for n, header in enumerate(rows[0])}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("hcc-tace") / "out")


@pytest.fixture(scope="module")
def outcome(study: Study, shared: Path, workspace: Workspace) -> Outcome:
    return run(study, [shared / FILE], workspace, Options(key_file=workspace.root.parent / "hcc-tace.key"))


@pytest.fixture(scope="module")
def fhir(outcome: Outcome, workspace: Workspace) -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem: [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in workspace.fhir.glob("*.ndjson")
    }


@pytest.fixture(scope="module")
def omop(outcome: Outcome, workspace: Workspace) -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(workspace.omop) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def fields(study: Study) -> dict[str, Field]:
    return {field.column: field for field in study.sheet("data-table").fields.values()}


def test_each_column_is_mapped_and_no_other(study: Study, sheet: dict[str, list[Any]]) -> None:
    assert len(sheet) == 57
    assert set(fields(study)) == set(sheet)
    used = {str(filler) for one in study.statements for filler in one.slots.values()}
    for field in fields(study).values():
        assert field.ignore or field.means or field.role or any(f"'{field.name}'" in text for text in used), field.name


def test_each_value_of_the_file_is_in_its_value_set(study: Study, sheet: dict[str, list[Any]]) -> None:
    for column, field in fields(study).items():
        if field.valueset is None:
            continue
        known = {normal(code) for code in (*field.missing, *study.missing.codes)}
        for entry in field.valueset.values.values():
            known |= {normal(text) for text in (entry.key, *entry.aliases, *entry.label.values())}
        assert {normal(str(cell)) for cell in sheet[column] if cell is not None} <= known, column


def test_each_value_of_the_glossary_is_in_the_value_set(study: Study) -> None:
    for column, values in {
        "CLIP_Score": [f"Stage_{n}" for n in range(7)],
        "CLIP": ["Stage_ 0-2", "Stage_3", "Stage_4-6"],
        "BCLC": ["0", "A", "B", "C", "D"],
        "CPS": ["A", "B", "C"],
        "PS_bclc_0_0_1-2_1_3-4_3": ["0", "1", "3"],
    }.items():
        valueset = fields(study)[column].valueset
        assert valueset is not None
        known = {text for entry in valueset.values.values() for text in (entry.key, *entry.aliases)}
        assert set(values) <= known, column


def test_no_findings_and_an_exact_balance(outcome: Outcome, sheet: dict[str, list[Any]], shared: Path) -> None:
    from openpyxl import load_workbook

    manifest = outcome.manifest
    assert outcome.exit_code == 0
    assert manifest["findings"] == {"error": 0, "warning": 0, "message": 0}
    assert manifest["subjects"] == 105
    filled = sum(cell is not None for column in sheet.values() for cell in column)
    glossary = load_workbook(shared / FILE)[GLOSSARY]
    documentation = sum(cell is not None for row in glossary.iter_rows(values_only=True) for cell in row)
    absent = sum(cell in ("NOT STATED", "No biopsy") for cell in sheet["Pathology"]) + sheet["chemotherapy"].count("NA")
    assert manifest["balance"] == {
        "cells": filled + documentation,
        "loaded": filled - absent,
        "ignored": documentation,
        "missing": absent,
        "rejected": 0,
    }


def test_parity(outcome: Outcome) -> None:
    parity = outcome.manifest["parity"]
    assert parity["facts"] == parity["omop"] == outcome.manifest["facts"]


def test_afp_of_566530_is_unharmed(fhir: dict[str, list[dict[str, Any]]], omop: sqlite3.Connection) -> None:
    largest = [one for one in fhir["Observation"] if one.get("valueQuantity", {}).get("value") == 566530]
    (observation,) = largest
    assert observation["code"]["coding"][0]["code"] == "53962-7"
    assert observation["valueQuantity"]["unit"] == "ng/mL"
    assert "effectiveDateTime" not in observation
    (row,) = omop.execute("SELECT * FROM measurement WHERE value_as_number = 566530").fetchall()
    assert row["value_source_value"] == "566530"
    assert row["unit_source_value"] == "ng/mL"
    assert row["measurement_date"] == "2000-01-01"
    person = omop.execute("SELECT * FROM person WHERE person_id = ?", (row["person_id"],)).fetchone()
    assert (person["person_source_value"], person["year_of_birth"]) == ("HCC_020", 2000 - 72)


def test_each_number_of_the_file_stands_in_fhir(
    study: Study, sheet: dict[str, list[Any]], fhir: dict[str, list[dict[str, Any]]]
) -> None:
    patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in fhir["Patient"]}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for one in fhir["Observation"]:
        for part in (one, *one.get("component", ())):
            value = part.get("valueQuantity", {}).get("value", part.get("valueInteger"))
            if value is not None:
                found[part["code"]["coding"][0]["code"]][patients[one["subject"]["reference"]]] = value
    codes = {"age": "30525-0", "afp": "53962-7", "tumor_size": "33728-7", "overall_survival": "445320007"}
    for column, field in fields(study).items():
        if field.type in ("number", "integer"):
            expected = {
                who: float(f"{value:.15g}")  # a workbook holds 15 digits, the rest is noise
                for who, value in zip(sheet["TCIA_ID"], sheet[column], strict=True)
                if value is not None
            }
            assert found[codes.get(field.name, field.name)] == expected, column


def test_coded_answers(sheet: dict[str, list[Any]], fhir: dict[str, list[dict[str, Any]]]) -> None:
    by_id = {f"Patient/{one['id']}": one for one in fhir["Patient"]}
    for who, sex, dead in zip(sheet["TCIA_ID"], sheet["Sex"], sheet["Death_1_StillAliveorLostToFU_0"], strict=True):
        (patient,) = [one for one in by_id.values() if one["identifier"][0]["value"] == who]
        assert patient["gender"] == {1: "male", 2: "female"}[sex]
        assert patient.get("deceasedBoolean") is (True if dead else None)
    drugs = [one["medicationCodeableConcept"]["coding"][0]["code"] for one in fhir["MedicationStatement"]]
    assert {code: drugs.count(code) for code in set(drugs)} == {"2555": 52 + 2 + 1, "3639": 52 + 33, "632": 52 + 2}
    hepatitis: dict[str, set[str]] = defaultdict(set)
    for one in fhir["Observation"]:
        if one["code"]["coding"][0]["code"] in ("365863005", "365865003"):
            answer = one["valueCodeableConcept"]["coding"][0]["code"]
            if answer == "10828004":
                hepatitis[by_id[one["subject"]["reference"]]["identifier"][0]["value"]].add(
                    {"365863005": "HBV", "365865003": "HCV"}[one["code"]["coding"][0]["code"]]
                )
    for who, typed in zip(sheet["TCIA_ID"], sheet["hepatitis"], strict=True):
        assert hepatitis[who] == {virus for virus in ("HBV", "HCV") if virus in typed}


def test_no_date_is_invented(fhir: dict[str, list[dict[str, Any]]], omop: sqlite3.Connection) -> None:
    for resources in fhir.values():
        for one in resources:
            assert not any(key.startswith(("effective", "onsetDate", "performed", "birthDate")) for key in one), one
    assert omop.execute("SELECT count(*) FROM death").fetchone()[0] == 0
    assert "synthetic" in omop.execute("SELECT source_description FROM cdm_source").fetchone()[0]


def test_no_slot_is_left_unfilled(fhir: dict[str, list[dict[str, Any]]]) -> None:
    assert not [one for resources in fhir.values() for one in resources if '"$' in json.dumps(one)]


def test_the_library(shared: Path, tmp_path: Path) -> None:
    result = caseweave.load_study("hcc-tace").convert(shared / FILE, key_file=tmp_path / "hcc-tace.key")
    assert result.findings.empty  # age, AFP and CLIP groups included: rules of validators/hcc-tace.yaml
    assert result.balance["rejected"] == 0
    assert 566530 in set(result.omop["measurement"]["value_as_number"])
    for resource_type in result.fhir:
        assert len(result.fhir.models(resource_type)) == len(result.fhir[resource_type])


@pytest.mark.parametrize(
    ("row", "column", "planted", "rules"),
    [
        (5, "agegp", "<=40", ["age-group-fits-age"]),
        # the AFP is one of the four parts of the CLIP score, which no longer adds up
        (6, "AFP", 399.9, ["afp-group-fits-afp", "clip-score-is-the-sum"]),
        (7, "CLIP", "Stage_4-6", ["clip-group-fits-score"]),
    ],
)
def test_a_planted_contradiction_is_found(
    row: int, column: str, planted: str | float, rules: list[str], shared: Path, tmp_path: Path
) -> None:
    from openpyxl import load_workbook

    book = load_workbook(shared / FILE)
    page = book[DATA]
    place = next(cell.column for cell in page[1] if cell.value == column)
    group = {"AFP": "AFP_group"}.get(column)
    if group:
        page.cell(row, next(cell.column for cell in page[1] if cell.value == group)).value = ">=400"
    page.cell(row, place).value = planted
    book.save(tmp_path / "planted.xlsx")
    found = caseweave.load_study("hcc-tace").convert(tmp_path / "planted.xlsx", key_file=tmp_path / "key").findings
    assert list(found["rule"]) == rules
    assert set(found["subject"]) == {f"HCC_{row - 1:03d}"}


def test_order_of_rows_and_columns_does_not_matter(
    study: Study, shared: Path, tmp_path: Path, outcome: Outcome, workspace: Workspace
) -> None:
    """The workbook saved anew by openpyxl, rows and columns shuffled, split into two files."""
    from openpyxl import Workbook, load_workbook

    header, *rows = load_workbook(shared / FILE)[DATA].iter_rows(values_only=True)
    shuffle = random.Random(7)
    columns = shuffle.sample(range(len(header)), len(header))
    rows = shuffle.sample(rows, len(rows))
    paths = []
    for number, part in enumerate((rows[:40], rows[40:])):
        book = Workbook()
        page = book.create_sheet(DATA, 0)
        for row in (header, *part):
            page.append([row[n] for n in columns])
        del book["Sheet"]
        paths.append(tmp_path / f"part-{number}.xlsx")
        book.save(paths[-1])
    other = Workspace(tmp_path / "out")
    again = run(study, paths, other, Options(key_file=workspace.root.parent / "hcc-tace.key"))
    assert again.exit_code == 0
    assert sorted(one.name for one in other.fhir.iterdir()) == sorted(one.name for one in workspace.fhir.iterdir())
    for path in workspace.fhir.iterdir():
        assert sorted((other.fhir / path.name).read_bytes().splitlines()) == sorted(path.read_bytes().splitlines())
    assert again.manifest["omop"] == outcome.manifest["omop"]


def test_a_second_run_changes_nothing(study: Study, shared: Path, outcome: Outcome, workspace: Workspace) -> None:
    again = run(study, [shared / FILE], workspace, Options(key_file=workspace.root.parent / "hcc-tace.key"))
    for target in again.manifest["targets"].values():
        assert (target["new"], target["changed"], target["retracted"]) == (0, 0, 0)
        assert target["unchanged"] > 0
