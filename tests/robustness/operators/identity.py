"""Patients and rows that can't be told, or that are told as others."""

from __future__ import annotations

from typing import Any

from tests.robustness.operators.book import Error, Formula, place
from tests.robustness.operators.table import Operator, Said, group, rejected, same

ID = "demographics.patient_id"
TUMOUR = "diagnosis.patient_id"
ROWS_ELSEWHERE = ("diagnosis!A4", "treatment!A4", "follow-up!A4", "follow-up!A5")  # of the first patient
UNLINKED = Said("no-link", "warning", "treatment!A7")  # the treatment of a tumour that is no longer told


def unknown_patient(
    name: str, typed: Any, rule: str = "not-an-id", suggests: str | None = None, why: str = ""
) -> Operator:
    """The first patient's id is spoilt on the sheet that says who she is: none of her rows belongs to anybody."""
    orphans = tuple(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE)
    says = (Said(rule, "error", place(ID), suggests), *orphans)
    return Operator(name, "", typed={ID: typed}, says=says, gone=("demographics@4",), why=why)


OPERATORS: tuple[Operator, ...] = group(
    "identity",
    same("spaces-around", ID, " AA-00001 "),
    same("no-break-space-behind", ID, "AA-00001\u00a0"),
    same("zero-width-space-behind", ID, "AA-00001\u200b"),
    same("byte-order-mark-in-front", ID, "\ufeffAA-00001"),
    same("arabic-digits", ID, "AA-٠٠٠٠١", why="as another patient it would be silently wrong"),
    same("full-width-digits", ID, "AA-００００１"),
    same("formula-with-value", ID, Formula('"AA-"&TEXT(1,"00000")', "AA-00001")),
    unknown_patient("small-letters", "aa-00001", suggests="AA-00001"),
    unknown_patient("space-inside", "AA- 00001", suggests="AA-00001"),
    unknown_patient("en-dash", "AA–00001", suggests="AA-00001"),
    unknown_patient("non-breaking-hyphen", "AA\u201100001", suggests="AA-00001"),
    unknown_patient("letter-o-for-zero", "AA-0OOO1", suggests="AA-00001"),
    unknown_patient("homoglyph", "\u0410A-00001", suggests="AA-00001", why="a Cyrillic A"),
    unknown_patient("lost-zeros", "AA-1"),
    unknown_patient("number-for-an-id", 1, why="Excel took 00001 for a number"),
    unknown_patient("decimal-number-for-an-id", 1.5),
    unknown_patient("one-digit-too-many", "AA-000001"),
    unknown_patient("underscore", "AA_00001"),
    unknown_patient("name-of-a-patient", "Garcia Lopez, Maria"),
    unknown_patient("hospital-number", "NHC 00184467"),
    unknown_patient("two-ids", "AA-00001 / AA-00002"),
    unknown_patient("id-and-remark", "AA-00001 (screening failure)"),
    unknown_patient("error-cell", Error("#REF!"), "cell-error"),
    unknown_patient("formula-never-computed", Formula("Sheet9!A4"), "cell-error"),
    unknown_patient("formula-as-text", "=A3+1"),
    Operator(
        "blank",
        "the id of a filled row is missing",
        typed={ID: None},
        says=(Said("no-subject", "error", place(ID)), *(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE)),
        gone=("demographics@4",),
    ),
    Operator(
        "only-spaces",
        "the id of a filled row is a space",
        typed={ID: "  "},
        says=(Said("no-subject", "error", place(ID)), *(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE)),
        gone=("demographics@4",),
    ),
    Operator(
        "missing-code",
        "the id of a filled row is declared missing",
        typed={ID: "UNK"},
        says=(Said("no-subject", "error", place(ID)), *(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE)),
        gone=("demographics@4",),
    ),
    Operator(
        "other-site",
        "the letters of another site in front of the number",
        typed={ID: "ZZ-00001"},
        says=tuple(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE),
        means={ID: "ZZ-00001"},
        gone=("diagnosis@4", "treatment@4", "follow-up@4", "follow-up@5"),
        why="a patient of another site, whom this sheet knows; her other rows are an orphan's",
    ),
    Operator(
        "another-patients-id",
        "the first patient was given the id of the second",
        typed={ID: "AA-00002"},
        says=(
            Said("duplicate-row", "error", "demographics!A5"),
            *(Said("orphan-row", "error", at) for at in ROWS_ELSEWHERE),
            *(
                Said("orphan-row", "error", at)
                for at in ("diagnosis!A5", "treatment!A5", "follow-up!A6", "follow-up!A7")
            ),
        ),
        gone=("demographics@4", "demographics@5"),
        why="who is who can't be told: neither row is loaded",
    ),
    Operator(
        "unknown-in-another-sheet",
        "a tumour of a patient who stands on no other sheet",
        typed={TUMOUR: "AA-00009"},
        says=(
            Said("orphan-row", "error", place(TUMOUR)),
            *(Said("no-link", "warning", at) for at in ROWS_ELSEWHERE[1:]),
        ),
        gone=("diagnosis@4",),
    ),
    rejected("key-as-word", "follow-up.visit_number", "first", "not-a-number"),
    rejected("key-out-of-range", "diagnosis.tumour_number@7", 0, "out-of-range", says=(UNLINKED,)),
    same("key-as-text", "diagnosis.tumour_number@7", "2"),
    same("key-as-decimal", "diagnosis.tumour_number@7", 2.0),
    Operator(
        "key-twice",
        "two tumours of a patient have the same number",
        typed={"diagnosis.tumour_number@7": 1},
        says=(
            Said("duplicate-row", "error", "diagnosis!A7"),
            *(Said("no-link", "warning", f"follow-up!A{row}") for row in (8, 9, 10)),
            Said("no-link", "warning", "treatment!A6"),
            UNLINKED,
        ),
        gone=("diagnosis@6", "diagnosis@7"),
    ),
    Operator(
        "key-blank",
        "a tumour without its number",
        typed={"diagnosis.tumour_number@7": None},
        says=(Said("required", "error", "diagnosis!B7"), UNLINKED),
        means={"diagnosis.tumour_number@7": None},
    ),
)
