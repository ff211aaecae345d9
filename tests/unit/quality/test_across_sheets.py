"""Rules that name what another sheet says of the same patient and tumour."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from caseweave.errors import MappingError
from caseweave.identity.keyfile import ProjectKey
from caseweave.quality.rules import read_rules
from caseweave.run.convert import convert
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.terms import open_terms

BREAST = load_study("breast")
PATIENTS = [
    ["patient_id", "birth_date", "death_date"],
    ["AA-00001", "1960", "2021-05"],
    ["AA-00002", "1970-01-01", None],
]
TUMOURS = [
    ["patient_id", "tumour_number", "diagnosis_date"],
    ["AA-00001", 1, "2020-03-01"],
    ["AA-00001", 2, "2021-06"],
    ["AA-00002", 1, "1969-12-31"],
]
TREATMENTS = [
    ["patient_id", "tumour_number", "breast_surgery_date"],
    ["AA-00001", 1, "2020-02-28"],
    ["AA-00001", 2, "2021-06-15"],
    ["AA-00002", 1, "2021"],
]


def told(tmp_path: Path) -> dict[str, set[str]]:
    book = openpyxl.Workbook()
    for name, rows in (("Demographics", PATIENTS), ("Diagnosis", TUMOURS), ("Treatment", TREATMENTS)):
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = tmp_path / "form.xlsx"
    book.save(path)
    made = convert(BREAST, read_sources([path]), key=ProjectKey("breast", bytes(32)), terms=open_terms())
    rules: dict[str, set[str]] = {}
    for one in made.findings:
        rules.setdefault(one.rule, set()).add(f"{one.sheet}!{one.cell}")
    return rules


def test_another_sheet_is_asked_by_patient_and_tumour(tmp_path: Path) -> None:
    rules = told(tmp_path)
    assert rules["diagnosis-before-birth"] == {"diagnosis!C4"}
    assert rules["diagnosis-after-death"] == {"diagnosis!C3"}
    # tumour 2 was operated in the month of its diagnosis: which came first can't be told, so nothing is said
    assert rules["surgery-before-diagnosis"] == {"treatment!C2"}
    assert rules["surgery-after-death"] == {"treatment!C3"}


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("demographics.birth <= diagnosis_date", "unknown field 'demographics.birth'.*demographics.birth_date"),
        ("demographics.birth_date <= demographics.death_date", "names no field of sheet 'diagnosis'"),
        ("demographics.comments is present and grade is present", "unknown field 'demographics.comments'"),
    ],
)
def test_names_of_other_sheets_are_checked(tmp_path: Path, expr: str, said: str) -> None:
    path = tmp_path / "breast.yaml"
    path.write_text(
        f"study: breast\nrules:\n  - {{id: a, sheet: diagnosis, expr: {expr}, message: {{en: A, es: B}}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(MappingError, match=said):
        read_rules(path, BREAST)


def test_messages_in_several_languages(tmp_path: Path) -> None:
    path = tmp_path / "breast.yaml"
    path.write_text(
        "study: breast\nrules:\n  - {id: a, sheet: diagnosis, expr: grade is present, message: {en: A, es: B}}\n"
        "  - {id: b, sheet: diagnosis, expr: grade is present, message: C}\n",
        encoding="utf-8",
    )
    first, second = read_rules(path, BREAST)
    assert (first.message, first.messages["es"], second.message, second.messages) == ("A", "B", "C", {"en": "C"})
