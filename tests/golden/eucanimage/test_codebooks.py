"""Our five studies against EuCanImage's codebooks: every variable, every list of values, every code."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from tests.golden.eucanimage.codebooks import answers, questions
from tests.golden.eucanimage.published import USE_CASES, UseCase, codebook_fields, labels

import caseweave
from caseweave.spec.models import CodeLit, Sheet

CORRECTIONS = Path(__file__).with_name("corrections.csv")
IGNORED = {"redcap_data_access_group"}
# questions that we don't ask by the codebook's code, and why
QUESTIONS = {
    "thad": "has the code of comorbidity; 'We could not find a proper ontology', says the codebook",
    "bcst_pam50": "has the code of the subtype by proxy",
    "bcst_pam50_2": "has the code of the subtype by proxy",
    "screening": "'Screening images' is coded as MRI",
    "dcis": "'Grading of DCIS' is coded as DCIS Score",
    "dcis_2": "'Grading of DCIS' is coded as DCIS Score",
    "ki67_ap": "'Ki67 percent positive' is coded as HER2",
    "her2fish_ap": "'HER2 FISH Status' is coded as Ki-67",
    "tnm_ypt": "'(ypT)' is coded as pT in rectal cancer",
    "tnm_ypn": "'(ypN)' is coded as pN in rectal cancer",
}


# what the display of a corrected answer's code must say, by its label; stages and grades say the label itself
SAYS = {
    "Adenocarcinoma NOS": "Adenocarcinoma NOS",
    "Mixed adenocarcinoma & Mucinous": "Adenocarcinoma with mixed subtypes",
    "Neuroendocrine NOS": "Neuroendocrine Carcinoma, NOS",
    "Only ductal cancer": "Invasive carcinoma of no special type",
    "Both ductal and lobular cancer": "Infiltrating duct and lobular carcinoma",
    "Ductal and other types than lobular cancer": "Infiltr. duct mixed with other types of carcinoma",
    "Only lobular cancer": "Lobular carcinoma, NOS",
    "Other invasive cancer": "Invasive carcinoma of breast where Type",
    "DCIS": "Intraductal carcinoma, noninfiltrating, NOS",
    "LCIS": "Lobular carcinoma insitu",
    "DCIS and LCIS": "Intraductal and lobular in situ carcinoma",
    "Other cancer in situ": "Carcinoma in situ (morphologic abnormality)",
    "Benign": "Neoplasm, benign",
    "not-identified": "Absent",
    "present": "Present",
    "second degree": "Second degree blood relative",
}
REGRESSION = {"Grade 0": "Score 0", "Grade 1": "Score 1", "Grade 2": "Score 2", "Grade 3": "Score 3", "Gx": "GX: "}


def says(variable: str, label: str, display: str) -> bool:
    """Whether the display of our code says what the codebook's label says."""
    if variable.startswith("tnm_"):
        stage = label.replace("p", "yp", 1) if label.startswith("p") and variable.startswith("tnm_yp") else label
        return display.casefold() == stage.casefold()
    if variable == "trg":
        return REGRESSION[label] in display
    if variable.startswith("grade"):
        return f"grade G{label[-1].upper()} " in display
    return SAYS[label] in display


def sheet_of(case: UseCase) -> Sheet:
    (sheet,) = caseweave.load_study(case.study).spec.sheets
    return sheet


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_every_variable_is_a_field(case: UseCase, shared: Path) -> None:
    fields = sheet_of(case).fields.values()
    assert {one.column or one.name for one in fields} == {*codebook_fields(case, shared), *IGNORED}
    ignored = {one.name for one in fields if one.ignore}
    assert ignored == {
        *IGNORED,
        *(name for name in codebook_fields(case, shared) if name.endswith("_complete")),
    }


def test_the_figures_of_the_forms(shared: Path) -> None:
    assert sum(len(codebook_fields(case, shared)) for case in USE_CASES) == 232
    fields = [one for case in USE_CASES for one in sheet_of(case).fields.values()]
    assert Counter(bool(one.ignore) for one in fields) == {False: 227, True: 10}


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_every_list_of_values_is_the_codebooks(case: UseCase, shared: Path) -> None:
    lists = labels(case, shared)
    for field in sheet_of(case).fields.values():
        column = field.column or field.name
        if field.ignore:
            continue
        assert (field.valueset is not None) == (column in lists), column
        if field.valueset is not None:
            names = {value: {entry.label["en"], *entry.aliases} for value, entry in field.valueset.values.items()}
            # a brand that the list has beside its substance is another way to write the substance
            brands = {one: said for said in names.values() for one in said if one.isdigit()}
            assert {*names, *brands} == set(lists[column]), column
            for value, label in lists[column].items():
                assert label in (names | brands)[value], f"{column} {value}"


def test_our_codes_are_the_codebooks_but_for_the_corrections(shared: Path) -> None:
    differing = set()
    compared = 0
    for case in USE_CASES:
        given = answers(case, shared)
        for field in sheet_of(case).fields.values():
            column = field.column or field.name
            for value, entry in (field.valueset.values if field.valueset else {}).items():
                if value in given.get(column, {}):
                    code, display = given[column][value]
                    ours = str(entry.codings[0]) if entry.codings else ""
                    compared += 1
                    if code != ours:
                        differing.add((case.study, column, value, entry.label["en"], code, display, ours))
    with CORRECTIONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["study", "variable", "value", "label", "codebook_code", "codebook_display", "our_code"]
    corrected = {tuple(row) for row in rows[1:]}
    assert differing == corrected
    assert (compared, len(corrected)) == (734, 153)


def test_every_correction_says_what_its_label_says(shared: Path) -> None:
    displays: dict[str, set[str]] = {}
    for case in USE_CASES:
        for given in answers(case, shared).values():
            for code, display in given.values():
                displays.setdefault(code, set()).add(display)
    checked = 0
    with CORRECTIONS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == "no":  # the codebooks have no No
                assert (row["codebook_code"], row["our_code"]) == ("SCT|260415000", "SCT|373067005")
                continue
            found = displays[row["our_code"]]
            assert any(says(row["variable"], row["label"], display) for display in found), (row, found)
            assert not says(row["variable"], row["label"], row["codebook_display"]), row
            checked += 1
    assert checked == 120


def test_questions_have_the_codebooks_code(shared: Path) -> None:
    compared, differing = 0, set()
    for case in USE_CASES:
        asked = questions(case, shared)
        for statement in sheet_of(case).statements:
            code = statement.slots.get("code", CodeLit(()))
            if statement.meant_by in asked and asked[statement.meant_by] not in map(str, getattr(code, "codings", ())):
                differing.add(statement.meant_by)
            compared += statement.meant_by in asked
    assert differing == set(QUESTIONS)
    assert compared == 126
