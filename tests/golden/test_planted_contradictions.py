"""Contradictions planted into the real workbooks: each is found in its cell by its rule, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import caseweave


@dataclass(frozen=True)
class Plant:
    """What is typed for one patient, and what must be said: rule -> header of the cell that is marked."""

    patient: str
    typed: Mapping[str, Any]
    told: Mapping[str, str]


@dataclass(frozen=True)
class Book:
    """A workbook: its tabs by key of the sheet, and the header of the patient's id."""

    study: str
    file: str
    tabs: Mapping[str, str]
    id: str


HCC = Book("hcc-tace", "data/tcia/HCC-TACE-Seg_clinical_data-V2.xlsx", {"data-table": "data table"}, "TCIA_ID")
ISPY = Book(
    "ispy1",
    "data/tcia/ISPY1_All_Patient_Clinical_and_Outcome_Data.xlsx",
    {"clinical": "TCIA Patient Clinical Subset", "outcomes": "TCIA Outcomes Subset"},
    "SUBJECTID",
)
PS, PVT, VI = "PS_bclc_0_0_1-2_1_3-4_3", "Portal Vein Thrombosis", "Vascular invasion"
IN_HCC = [
    Plant("HCC_001", {"agegp": "<=40"}, {"age-group-fits-age": "agegp"}),
    Plant("HCC_002", {"AFP": 5}, {"afp-group-fits-afp": "AFP_group"}),
    Plant("HCC_003", {"CLIP": "Stage_ 0-2"}, {"clip-group-fits-score": "CLIP"}),
    Plant("HCC_004", {"CLIP_Score": "Stage_6", "CLIP": "Stage_4-6"}, {"clip-score-is-the-sum": "CLIP_Score"}),
    Plant("HCC_005", {"Metastasis": 1}, {"distant-metastasis-is-ivb": "TNM"}),
    Plant("HCC_070", {"Lymphnodes": 0}, {"nodes-without-metastasis-are-iva": "Lymphnodes"}),
    Plant("HCC_007", {"TNM": "Stage-I"}, {"stage-i-is-one-tumour-without-invasion": "TNM"}),
    Plant("HCC_022", {"Tr_Size": 7}, {"stage-ii-is-invasion-or-several-up-to-5-cm": "Tr_Size"}),
    Plant("HCC_011", {"Tr_Size": 3}, {"stage-iiia-is-several-beyond-5-cm": "Tr_Size"}),
    Plant("HCC_021", {VI: 0}, {"stage-iiib-is-invasion": VI}),
    # a point more by the CLIP score as well
    Plant("HCC_019", {PVT: 1}, {"thrombosis-is-vascular-invasion": PVT, "clip-score-is-the-sum": "CLIP_Score"}),
    Plant("HCC_013", {PS: 1}, {"bclc-0-and-a-have-no-symptoms": PS}),
    Plant("HCC_063", {"BCLC": "Stage-B"}, {"bclc-early-has-not-spread": "BCLC"}),
    Plant("HCC_103", {"Tr_Size": 3.4}, {"bclc-a-is-one-or-up-to-3-cm": "BCLC"}),
    Plant("HCC_090", {"BCLC": "Stage-0"}, {"bclc-0-is-one-up-to-2-cm": "BCLC"}),
    Plant("HCC_015", {"BCLC": "Stage-C"}, {"bclc-c-has-a-reason": "BCLC"}),
    Plant("HCC_032", {"BCLC": "Stage-D"}, {"bclc-d-has-a-reason": "BCLC"}),
    Plant("HCC_016", {PS: 3}, {"end-stage-is-bclc-d": "BCLC"}),
    Plant("HCC_058", {"Okuda": "Stage I"}, {"okuda-i-is-up-to-half": "Okuda"}),
    Plant("HCC_040", {"TTP": 5000}, {"progression-beyond-survival": "TTP"}),
    Plant("HCC_042", {"Interval_FU": 900}, {"follow-up-beyond-survival": "Interval_FU"}),
    Plant("HCC_044", {"1_RECIST": 1}, {"recist-1-response-fits-readings": "1_RECIST"}),
    Plant("HCC_060", {"3_RECIST_FU": 0}, {"recist-3-response-fits-readings": "3_RECIST"}),
    Plant("HCC_036", {"2_mRECIST_FU": 999}, {"mrecist-2-response-fits-readings": "2_mRECIST"}),
]
IN_ISPY = [
    Plant("1009", {"PgRpos": 1}, {"hormone-receptor-fits-er-pr": "HR Pos"}),
    # the same is said by the category, which follows from the receptors
    Plant("1003", {"HR Pos": 0}, {"hormone-receptor-fits-er-pr": "HR Pos",
                                  "category-fits-receptors": "HR_HER2_CATEGORY"}),
    Plant(
        "1004",
        {"HR_HER2_CATEGORY": 1, "HR_HER2_STATUS": "HRposHER2neg"},
        {"category-fits-receptors": "HR_HER2_CATEGORY"},
    ),
    Plant("1007", {"HR_HER2_STATUS": "TripleNeg"}, {"category-in-words-is-the-same": "HR_HER2_STATUS"}),
    Plant("1015", {"HR_HER2_STATUS": "HRposHER2neg"}, {"category-in-words-is-the-same": "HR_HER2_STATUS"}),
    Plant("1008", {"HR Pos": None}, {"receptors-without-hormone-receptor": "HR Pos"}),
    Plant(
        "1010",
        {"Her2MostPos": None},
        {"category-without-her2": "HR_HER2_CATEGORY", "words-without-her2": "HR_HER2_STATUS"},
    ),
    Plant("1011", {"HR_HER2_CATEGORY": None}, {"her2-without-category.hr_her2_category": "HR_HER2_CATEGORY"}),
    Plant("1012", {"HR_HER2_STATUS": None}, {"her2-without-category.hr_her2_status": "HR_HER2_STATUS"}),
    Plant("1013", {"age": 3}, {"adult": "age"}),
    Plant("1016", {"MRI LD Baseline": 0}, {"tumour-at-baseline": "MRI LD Baseline"}),
    Plant("1017", {"rfs_ind": 0}, {"dead-means-event": "rfs_ind"}),
    Plant("1021", {"PCR": 0}, {"no-burden-means-complete-response": "PCR"}),
    Plant("1022", {"PCR": 1}, {"no-burden-means-complete-response": "PCR"}),
    Plant("1027", {"RCBClass": 0}, {"no-burden-means-complete-response": "PCR"}),
    Plant("1024", {"RFS": 9999}, {"recurrence-free-beyond-survival": "RFS"}),
    Plant("1034", {"survDtD2 (tx)": 400}, {"recurrence-free-beyond-survival": "RFS"}),
    Plant("1030", {"RFS": 100}, {"censored-before-last-contact": "RFS"}),
    Plant("1025", {"RCBClass": 2}, {"residual-burden-without-surgery": "RCBClass"}),
    Plant("1036", {"RFS": -5}, {"days-not-negative.recurrence_free": "RFS"}),
    Plant("1038", {"survDtD2 (tx)": -1, "RFS": -1}, {"days-not-negative.survival": "survDtD2 (tx)",
                                                     "days-not-negative.recurrence_free": "RFS"}),
    # the whole row is taken out of the sheet of outcomes
    Plant("1040", dict.fromkeys(("SUBJECTID", "sstat", "survDtD2 (tx)", "RFS", "rfs_ind", "PCR", "RCBClass",
                                 "DataExtractDt")), {"patient-without-outcome": "SUBJECTID"}),
]  # fmt: skip


def plant(book: Book, plants: list[Plant], source: Path, target: Path) -> set[tuple[str, str, str, str]]:
    """Write a copy with the contradictions in it; returns what must be said: rule, sheet, cell, patient."""
    from openpyxl import load_workbook

    copy = load_workbook(source, data_only=True)  # what the formulas gave stands there as values
    columns, rows = {}, {}
    for key, tab in book.tabs.items():
        columns[key] = {cell.value: cell.column for cell in copy[tab][1]}
        ids = (copy[tab].cell(row, columns[key][book.id]) for row in range(2, copy[tab].max_row + 1))
        rows[key] = {str(cell.value): cell.row for cell in ids}
    expected = set()
    first = next(iter(book.tabs))
    for one in plants:
        # an id is taken out of the last sheet; the patient stands in the first
        spots = {name: (key, columns[key][name]) for key in book.tabs for name in columns[key]}
        for name, value in one.typed.items():
            key, column = spots[name]
            copy[book.tabs[key]].cell(rows[key][one.patient], column).value = value
        for rule, name in one.told.items():
            key, column = (first, columns[first][name]) if name == book.id else spots[name]
            cell = copy[book.tabs[key]].cell(rows[key][one.patient], column)
            expected.add((rule, key, cell.coordinate, one.patient))
    copy.save(target)
    return expected


def told(book: Book, path: Path, tmp_path: Path) -> list[tuple[str, str, str, str]]:
    found = caseweave.load_study(book.study).convert(path, key_file=tmp_path / "key").findings
    return [tuple(row) for row in found[["rule", "sheet", "cell", "subject"]].itertuples(index=False)]


@pytest.mark.parametrize(("book", "plants"), [(HCC, IN_HCC), (ISPY, IN_ISPY)], ids=["hcc-tace", "ispy1"])
def test_each_planted_contradiction_is_found_in_its_cell_by_its_rule(
    book: Book, plants: list[Plant], shared: Path, tmp_path: Path
) -> None:
    assert len(plants) >= 20
    original = told(book, shared / book.file, tmp_path)
    expected = plant(book, plants, shared / book.file, tmp_path / "planted.xlsx")
    found = told(book, tmp_path / "planted.xlsx", tmp_path)
    assert set(found) - set(original) == expected
    assert set(original) <= set(found)
    assert len(found) == len(set(found))


def test_the_originals_have_no_contradictions_but_their_own(shared: Path, tmp_path: Path) -> None:
    assert told(HCC, shared / HCC.file, tmp_path) == []
    own = told(ISPY, shared / ISPY.file, tmp_path)
    assert len(own) == 17
    assert {rule for rule, *_ in own} == {"recurrence-free-beyond-survival"}
