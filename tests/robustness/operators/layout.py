"""Sheets, headers and rows that stand elsewhere than in the template, or are there once too often."""

from __future__ import annotations

from tests.robustness.operators.book import columns
from tests.robustness.operators.excel import (
    KI67,
    copied,
    gaps,
    header,
    in_book,
    last_column,
    more_sheets,
    no_own_sheets,
    rearranged,
    renamed,
    reordered,
    row_below,
    sheet,
    shuffled,
    transposed,
    two_of_one,
    without_sheet,
)
from tests.robustness.operators.table import Operator, Said, group

UNKNOWN = Said("unknown-column", "error", f"diagnosis!{KI67}3")
MISSING = Said("missing-column", "warning", "diagnosis")
KI67_GONE = {f"diagnosis.ki67@{row}": None for row in (4, 5, 6, 7)}
UNLINKED = tuple(
    Said("no-link", "warning", f"{one}!A{row}")
    for one, rows in {"treatment": (4, 5, 6, 7), "follow-up": (4, 5, 6, 7, 8, 9, 10)}.items()
    for row in rows
)


def lost_header(name: str, does: str, text: str | None, suggests: str | None = None, why: str = "") -> Operator:
    """A header that is no field's: its column stays out, and nothing is guessed."""
    says = (Said(UNKNOWN.rule, UNKNOWN.severity, UNKNOWN.at, suggests), MISSING)
    return Operator(name, does, change=header(text), says=says, means=KI67_GONE, why=why)


OPERATORS: tuple[Operator, ...] = group(
    "layout",
    Operator(
        "rows-above",
        "three rows of letterhead above",
        moved=True,
        change=sheet(
            "Diagnosis", lambda one: (one.insert_rows(1, 3), one.__setitem__("A1", "Hospital X, confidential"))
        ),
    ),
    Operator(
        "blank-rows-above",
        "ten blank rows above",
        moved=True,
        change=sheet("Diagnosis", lambda one: one.insert_rows(1, 10)),
    ),
    Operator(
        "far-too-many-rows-above",
        "forty rows above the header",
        gone=("diagnosis",),
        change=sheet("Diagnosis", lambda one: one.insert_rows(1, 40)),
        says=(Said("no-header", "error", "diagnosis"),),
    ),
    Operator(
        "blank-row-between",
        "a blank row between two patients",
        moved=True,
        change=sheet("Diagnosis", lambda one: one.insert_rows(5)),
    ),
    Operator("blank-rows-everywhere", "a blank row below each row", moved=True, change=rearranged(gaps, first=4)),
    Operator(
        "blank-rows-by-the-hundred",
        "two hundred blank rows between two patients",
        moved=True,
        change=sheet("Diagnosis", lambda one: one.insert_rows(5, 200)),
    ),
    Operator(
        "blank-column-between",
        "a blank column in the middle",
        moved=True,
        change=sheet("Diagnosis", lambda one: one.insert_cols(10)),
    ),
    Operator(
        "blank-column-in-front",
        "a blank column in front",
        moved=True,
        change=sheet("Diagnosis", lambda one: one.insert_cols(1, 2)),
    ),
    Operator("columns-shuffled", "all columns in another order", moved=True, change=rearranged(shuffled)),
    Operator(
        "rows-sorted-otherwise",
        "patients in another order",
        moved=True,
        change=rearranged(lambda rows: rows[::-1], first=4),
    ),
    Operator(
        "rows-and-columns-exchanged",
        "a patient in each column",
        change=rearranged(transposed),
        gone=("diagnosis",),
        says=(Said("missing-column", "error", "diagnosis"), Said("duplicate-column", "error", "diagnosis!C1")),
        why="no row holds the headers",
    ),
    Operator(
        "column-of-keys-missing",
        "the column that tells a patient's tumours apart was deleted",
        gone=("diagnosis",),
        change=sheet("Diagnosis", lambda one: one.delete_cols(2)),
        says=(Said("missing-column", "error", "diagnosis"),),
        why="a row would be taken for another tumour's",
    ),
    Operator("header-as-field-name", "the field's name for its label", change=header("ki67")),
    Operator("header-as-alias", "an alias", change=header("MIB1")),
    Operator("header-in-capitals", "capitals", change=header("KI-67")),
    Operator("header-with-colon", "a colon behind", change=header("Ki-67:")),
    Operator("header-with-star", "a star behind", change=header("Ki-67 *")),
    Operator("header-with-spaces", "spaces around", change=header("  Ki-67\u00a0")),
    Operator("header-with-zero-width-space", "an invisible mark", change=header("Ki-67\u200b")),
    Operator(
        "header-on-two-lines",
        "a line break in a header",
        change=header("Date of\nbiopsy", columns()["diagnosis.biopsy_date"]),
    ),
    Operator(
        "header-in-spanish",
        "the Spanish label",
        change=header("Fecha de la biopsia", columns()["diagnosis.biopsy_date"]),
    ),
    Operator(
        "header-with-accent-apart",
        "an accent as a mark of its own",
        change=header("Tipo histolo\u0301gico (CIE-O-3)", columns()["diagnosis.histology"]),
    ),
    lost_header("column-renamed", "a header that nobody agreed on", "Ki-67 index", "Ki-67"),
    lost_header(
        "header-with-unit",
        "the unit in the header",
        "Ki-67 (%)",
        "Ki-67",
        why="another unit in a header would change every value",
    ),
    lost_header("header-misspelt", "a typing error in a header", "Ki-76", "Ki-67"),
    lost_header("header-removed", "a column without header", None, why="its cells are counted and told, not lost"),
    lost_header("header-is-a-number", "a number for a header", "67"),
    Operator(
        "column-missing",
        "a column was deleted",
        change=sheet("Diagnosis", lambda one: one.delete_cols(one[f"{KI67}1"].column)),
        says=(MISSING,),
        means=KI67_GONE,
    ),
    Operator(
        "column-of-ids-missing",
        "the column of ids was deleted",
        change=sheet("Diagnosis", lambda one: one.delete_cols(1)),
        says=(Said("no-header", "error", "diagnosis"),),
        gone=("diagnosis",),
    ),
    Operator(
        "column-twice",
        "a column stands there twice",
        change=sheet("Diagnosis", lambda one: last_column(one, ["Ki-67", 99, 99])),
        says=(Said("duplicate-column", "error", "diagnosis!AZ3"), Said("unknown-column", "error", "diagnosis!AZ3")),
    ),
    Operator(
        "column-twice-by-alias",
        "label and alias of one field",
        change=sheet("Diagnosis", lambda one: last_column(one, ["mib1", 99, 99])),
        says=(Said("duplicate-column", "error", "diagnosis!AZ3"), Said("unknown-column", "error", "diagnosis!AZ3")),
    ),
    Operator(
        "column-more",
        "a column that the study doesn't know",
        change=sheet("Diagnosis", lambda one: last_column(one, ["Phone", "600123456"])),
        says=(Said("unknown-column", "error", "diagnosis!AZ3"),),
    ),
    Operator(
        "two-columns-more-of-one-name",
        "two unknown columns with the same header",
        change=sheet("Diagnosis", lambda one: (last_column(one, ["Note", "a"]), last_column(one, ["Note", "b"]))),
        says=(Said("unknown-column", "error", "diagnosis!AZ3"), Said("unknown-column", "error", "diagnosis!BA3")),
    ),
    Operator(
        "blank-column-more",
        "a header that nothing stands under",
        change=sheet("Diagnosis", lambda one: last_column(one, ["Phone"])),
        says=(Said("unknown-column", "message", "diagnosis!AZ3"),),
        why="nothing is lost",
    ),
    Operator(
        "values-beside-the-table",
        "a stray value right of the table",
        change=sheet("Diagnosis", lambda one: one.__setitem__("BB5", "ask")),
        says=(Said("unknown-column", "error", "diagnosis!BB3"),),
    ),
    Operator(
        "total-below",
        "a total below",
        change=row_below("mean", 42, gap=1, column=2),
        says=(Said("text-below-data", "message", "diagnosis!B9"),),
    ),
    Operator(
        "note-below",
        "a remark below",
        change=row_below("checked by Dr Vidal", gap=2, column=3),
        says=(Said("text-below-data", "message", "diagnosis!C10"),),
    ),
    Operator(
        "note-below-in-the-column-of-ids",
        "a remark below, in the column of ids",
        change=row_below("* see the protocol", gap=2),
        says=(Said("not-an-id", "error", "diagnosis!A10"),),
        why="it stands where an id should",
    ),
    Operator(
        "totals-of-many-columns",
        "totals of many columns below",
        change=row_below(4, "x", "x", "x", 12, column=2),
        says=(Said("no-subject", "error", "diagnosis!A8"),),
        why="so many cells look like a patient whose id was forgotten",
    ),
    Operator(
        "header-repeated",
        "the header once more between two patients",
        change=rearranged(
            lambda rows: [*rows[:2], ["Patient ID *", "Tumour number *", "Date of diagnosis *"], *rows[2:]], first=4
        ),
        says=(Said("repeated-headers", "message", "diagnosis!A6"),),
        moved=True,
    ),
    Operator(
        "units-below-the-header",
        "a row of units below the header",
        change=rearranged(lambda rows: [[None, "number", "date", None, "date", "code"], *rows], first=4),
        says=(Said("no-subject", "error", "diagnosis!A4"),),
        moved=True,
    ),
    Operator(
        "row-twice",
        "a row was pasted twice",
        change=rearranged(lambda rows: [*rows, rows[0]], first=4),
        says=(Said("duplicate-row", "message", "diagnosis!A8"),),
        why="it says the same and is read once",
    ),
    Operator(
        "row-twice-with-another-value",
        "a row was copied and changed",
        change=rearranged(lambda rows: [*rows, [*rows[0][:2], "2022-03-19", *rows[0][3:]]], first=4),
        says=(
            Said("duplicate-row", "error", "diagnosis!A8"),
            *(Said("no-link", "warning", at) for at in ("treatment!A4", "follow-up!A4", "follow-up!A5")),
        ),
        gone=("diagnosis@4",),
    ),
    Operator(
        "frozen-panes-moved",
        "panes and widths changed",
        change=sheet("Diagnosis", lambda one: setattr(one, "freeze_panes", "D9")),
    ),
    Operator(
        "sheet-in-capitals",
        "DIAGNOSIS",
        change=lambda book: book.patch("xl/workbook.xml", 'name="Diagnosis"', 'name="DIAGNOSIS"'),
    ),
    Operator("sheet-with-space-behind", "a space behind the name", change=renamed("Diagnosis ")),
    Operator("sheet-in-spanish", "the Spanish name", change=renamed("Diagnóstico")),
    Operator("sheet-by-alias", "an alias", change=renamed("Tumour")),
    Operator(
        "sheet-renamed",
        "a name that the study doesn't know",
        change=renamed("Dx 2022"),
        gone=("diagnosis",),
        says=(Said("unknown-sheet", "error", "sheet-3"), Said("missing-sheet", "warning", "diagnosis")),
    ),
    Operator(
        "sheet-misspelt",
        "a typing error in a name",
        change=renamed("Diagnosys"),
        gone=("diagnosis",),
        says=(Said("unknown-sheet", "error", "sheet-3", "Diagnosis"), Said("missing-sheet", "warning", "diagnosis")),
    ),
    Operator(
        "sheet-missing",
        "a sheet was deleted",
        change=in_book(without_sheet),
        gone=("follow-up",),
        says=(Said("missing-sheet", "warning", "follow-up"),),
    ),
    Operator(
        "sheet-emptied",
        "everything on a sheet was deleted",
        change=sheet("Follow-up", lambda one: one.delete_rows(1, 20)),
        gone=("follow-up",),
        says=(Said("missing-sheet", "warning", "follow-up"),),
    ),
    Operator(
        "sheet-without-patients",
        "all patients of a sheet were deleted",
        change=sheet("Follow-up", lambda one: one.delete_rows(4, 20)),
        gone=tuple(f"follow-up@{row}" for row in range(4, 11)),
    ),
    Operator("sheets-in-another-order", "the last sheet first", change=in_book(reordered)),
    Operator(
        "sheet-copied",
        "Excel's copy of a sheet",
        change=in_book(copied),
        says=(Said("unknown-sheet", "error", "sheet-8", "Diagnosis"),),
    ),
    Operator(
        "sheet-twice-by-alias",
        "two sheets that are the same one of the study",
        change=in_book(two_of_one),
        says=tuple(Said("duplicate-row", "message", f"diagnosis!A{row}") for row in (4, 5, 6, 7)),
    ),
    Operator(
        "sheet-more",
        "a sheet that the study doesn't know",
        change=more_sheets(["Maria", "Garcia"], [1, 2]),
        says=(Said("unknown-sheet", "error", "sheet-8"),),
    ),
    Operator("blank-sheet-more", "an empty sheet", change=more_sheets()),
    Operator("own-sheets-missing", "instructions and hidden sheets were deleted", change=in_book(no_own_sheets)),
)
