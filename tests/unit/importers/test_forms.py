"""Dictionaries with a tab per form: each form tells of its own patients, one who stands in two is told of once."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from caseweave.cli.app import run
from caseweave.run.imports import import_study
from caseweave.spec.loader import load_study

HEAD = [
    "",
    "variable",
    "req_condition",
    "minimal",
    "mandatory",
    "display_label",
    "code_list",
    "output_type",
    "min",
    "max",
]
SEX = [1, "sex", "", "Yes", "Yes", "Sex", "0; male | 1; female", "integer", "", ""]
ID = [0, "record_id", "", "Yes", "Yes", "Record", "", "string", "", ""]
LIVER = [
    ID,
    SEX,
    [2, "side", "", "No", "No", "Side", "0; Left | 2; Right", "integer", "", ""],
    [3, "age", "", "No", "No", "Age", "", "integer", 0, 110],
]
BREAST = [
    ID,
    SEX,
    [2, "side", "", "No", "No", "Side", "0; Left | 1; Right", "integer", "", ""],
    [3, "dose", "([side] = '1')", "No", "Yes ([side] = '1')", "Dose", "", "number", "", ""],
]
RULE_HEAD = ["", "variable", "check", "check_type", "check_string", "req_condition", "code_list"]
RULES = [
    [0, "sex", "sex_type", "datatype", "isinteger[sex]", "", ""],
    [1, "dose", "dose_req", "mandatory_req", "[dose] = ''", "", ""],
    [2, "dose", "dose_type", "datatype", "", "", ""],
    [3, "side", "side_permissible", "permissible", "", "", "0; Left | 2; Right"],
    [4, "lost", "lost_type", "datatype", "", "", ""],
]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    import openpyxl

    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "keys" / "project.key"))
    paths = [tmp_path / "dictionary.xlsx", tmp_path / "rules.xlsx"]
    for path, tabs in zip(
        paths,
        ({"Liver": [HEAD, *LIVER], "Breast1&2": [HEAD, *BREAST]}, {"Breast1&2": [RULE_HEAD, *RULES]}),
        strict=True,
    ):
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, rows in tabs.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(path)
    return paths


def checks(tmp_path: Path, *forms: Path, expected: int = 1) -> dict[tuple[str, str], str]:
    out = tmp_path / "out"
    words = [*map(str, forms), "--studies", str(tmp_path / "st"), "--study", "duo", "-o", str(out)]
    assert run(["check", *words, "--all-checks"]) == expected
    with (out / "private" / "checks.csv").open(encoding="utf-8", newline="") as file:
        return {(one["record"], one["rule"]): one["passed"] for one in csv.DictReader(file)}


def test_rules_become_checks_by_their_names(sources: list[Path], tmp_path: Path) -> None:
    done = import_study(sources, tmp_path / "st", name="duo")
    form = tmp_path / "export.csv"
    form.write_text("record_id,sex,side,dose\nB1,0,0,\nB2,x,1,much\nB3,7,2,1.5\n", encoding="utf-8")
    assert checks(tmp_path, form) == {
        ("B1", "sex_type"): "1", ("B2", "sex_type"): "0", ("B3", "sex_type"): "1",
        ("B1", "dose_req"): "0", ("B2", "dose_req"): "1", ("B3", "dose_req"): "1",
        ("B1", "dose_type"): "1", ("B2", "dose_type"): "0", ("B3", "dose_type"): "1",
        ("B1", "side_permissible"): "1", ("B2", "side_permissible"): "1", ("B3", "side_permissible"): "0",
    }  # fmt: skip
    report = done.report.read_text(encoding="utf-8")
    assert "'lost_type' was left out: variable 'lost' isn't in the dictionary" in report
    assert "'side_permissible' has another code list than the dictionary" in report
    assert "'dose_req' asks for dose in every row" in report


def test_mended_checks_take_the_condition(sources: list[Path], tmp_path: Path) -> None:
    import_study(sources, tmp_path / "st", name="duo", mend=True)
    form = tmp_path / "export.csv"
    form.write_text("record_id,sex,side,dose\nB1,0,0,\nB2,0,1,\n", encoding="utf-8")
    found = checks(tmp_path, form)
    assert (found["B1", "dose_req"], found["B2", "dose_req"]) == ("1", "0")


def test_each_form_tells_of_its_patients(sources: list[Path], tmp_path: Path) -> None:
    import_study(sources[:1], tmp_path / "st", name="duo")
    study = load_study(tmp_path / "st" / "duo")
    assert [one.sheet for one in study.statements if one.pattern.name == "patient"] == ["liver", "breast-1-and-2"]
    liver, breast = tmp_path / "liver.csv", tmp_path / "breast.csv"
    liver.write_text("record_id,sex,side,age\nP1,0,2,50\nP2,1,0,60\n", encoding="utf-8")
    breast.write_text("record_id,sex,side,dose\nP2,1,1,5\nP3,1,0,\n", encoding="utf-8")
    words = [
        "run",
        str(liver),
        str(breast),
        "--studies",
        str(tmp_path / "st"),
        "--study",
        "duo",
        "-o",
        str(tmp_path / "out"),
    ]
    assert run(words) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["fhir"]["Patient"] == 3
    assert manifest["balance"]["rejected"] == 0
    assert run(words) == 0
    again = (tmp_path / "out" / "fhir" / "Patient.ndjson").read_text(encoding="utf-8")
    assert len({json.loads(line)["id"] for line in again.splitlines()}) == len(again.splitlines()) == 3
