"""Cells that Excel can hold and that look like something else: errors, formulas, formats, merges, comments."""

from __future__ import annotations

from tests.robustness.operators.book import Book, Error, Formula, Raw, place
from tests.robustness.operators.excel import in_book
from tests.robustness.operators.table import Operator, Said, accepted, blank, group, rejected, same

KI67 = "diagnosis.ki67"  # 12
SIDE = "diagnosis.laterality"  # left
DATE = "follow-up.visit_date"  # 2023-05-09, a true date
SIZE = "diagnosis.lesion_1_size"  # 14
SUBTYPE = "diagnosis.subtype"  # beside ki67


def styled(xf: str, value: str = "<v>12</v>", font: str = "", at: str = KI67):  # type: ignore[no-untyped-def]
    """Give a cell another format and, where wanted, another value."""

    def change(book: Book) -> None:
        book.put(at, Raw("", value, style=book.new_style(xf, font)))

    return change


def merged(range_: str, sheet: str = "Diagnosis"):  # type: ignore[no-untyped-def]
    """Merge cells, which empties all but the first."""

    def change(book: Book) -> None:
        with book.opened() as workbook:
            workbook[sheet].merge_cells(range_)

    return change


def commented(workbook) -> None:  # type: ignore[no-untyped-def]
    from openpyxl.comments import Comment

    for at in (KI67, "diagnosis.her2_copies"):
        workbook["Diagnosis"][place(at).partition("!")[2]].comment = Comment("check with Dr Vidal: 15?", "mv")


def coloured(workbook) -> None:  # type: ignore[no-untyped-def]
    from openpyxl.formatting.rule import CellIsRule
    from openpyxl.styles import PatternFill

    fill = PatternFill("solid", bgColor="FFFF0000")
    workbook["Diagnosis"].conditional_formatting.add("A1:AY99", CellIsRule("greaterThan", ["5"], fill=fill))


def filtered(workbook) -> None:  # type: ignore[no-untyped-def]
    sheet = workbook["Diagnosis"]
    sheet.auto_filter.ref = "A3:AY7"
    sheet.auto_filter.add_filter_column(0, ["BB-00003"])
    sheet.row_dimensions[4].hidden = sheet.row_dimensions[5].hidden = True


def linked(workbook) -> None:  # type: ignore[no-untyped-def]
    workbook["Diagnosis"]["A4"].hyperlink = "mailto:maria.garcia@hospital.example"


def hidden_row(workbook) -> None:  # type: ignore[no-untyped-def]
    workbook["Diagnosis"].row_dimensions[5].hidden = True


def hidden_column(workbook) -> None:  # type: ignore[no-untyped-def]
    workbook["Diagnosis"].column_dimensions[place(KI67).partition("!")[2].rstrip("4")].hidden = True


def hidden_sheet(workbook) -> None:  # type: ignore[no-untyped-def]
    workbook["Diagnosis"].sheet_state = "veryHidden"


def locked(workbook) -> None:  # type: ignore[no-untyped-def]
    workbook["Diagnosis"].protection.set_password("secret")
    workbook.security.lockStructure = True
    workbook.security.workbookPassword = "secret"


OPERATORS: tuple[Operator, ...] = group(
    "cells",
    *(
        rejected(f"error-{name}", KI67, Error(text), "cell-error")
        for name, text in {
            "not-available": "#N/A",
            "reference": "#REF!",
            "division-by-zero": "#DIV/0!",
            "name": "#NAME?",
            "value": "#VALUE!",
            "number": "#NUM!",
            "null": "#NULL!",
        }.items()
    ),
    rejected("error-as-text", KI67, "#N/A", "not-a-number"),
    rejected("error-in-a-code", SIDE, Error("#N/A"), "cell-error"),
    rejected("error-in-a-date", DATE, Error("#VALUE!"), "cell-error"),
    same("formula", KI67, Formula("6+6", 12)),
    same("formula-with-text", SIDE, Formula('IF(1,"Left","")', "Left")),
    rejected("formula-never-computed", KI67, Formula("6+6"), "cell-error"),
    blank("formula-that-gives-nothing", KI67, Formula('IF(1=2,1,"")', "")),
    rejected("formula-to-another-file", KI67, Formula("[1]Lab!B7"), "cell-error"),
    blank("spaces-only", KI67, "   "),
    blank("no-break-space-only", KI67, "\u00a0"),
    blank("zero-width-space-only", KI67, "\u200b"),
    blank("empty-text", KI67, ""),
    same("number-stored-as-text", KI67, "12"),
    accepted(
        "rich-text",
        SIDE,
        Raw('t="inlineStr"', "<is><r><t>Ri</t></r><r><rPr><b/></rPr><t>ght</t></r></is>"),
        "right",
        "right",
    ),
    rejected(
        "rich-text-half-struck-through",
        KI67,
        Raw('t="inlineStr"', '<is><r><rPr><strike/></rPr><t xml:space="preserve">15 </t></r><r><t>12</t></r></is>'),
        "not-a-number",
    ),
    same("carriage-return-behind", SIDE, "Left\r\n"),
    Operator(
        "percent-format",
        "0.12 in a percent format, shown as 12 %",
        typed={},
        change=styled('<xf numFmtId="9" fontId="0" fillId="0" borderId="0" applyNumberFormat="1"/>', "<v>0.12</v>"),
    ),
    Operator(
        "rounded-by-its-format",
        "12.46 shown as 12",
        means={KI67: 12.46},
        reads={KI67: "12.46 %"},
        change=styled('<xf numFmtId="1" fontId="0" fillId="0" borderId="0" applyNumberFormat="1"/>', "<v>12.46</v>"),
    ),
    Operator(
        "number-in-the-format-of-a-date",
        "12 shown as 12 January 1900",
        means={KI67: None},
        change=styled('<xf numFmtId="14" fontId="0" fillId="0" borderId="0" applyNumberFormat="1"/>'),
        says=(Said("not-a-number", "error", place(KI67)),),
    ),
    Operator(
        "number-in-the-format-of-text",
        "12 in the format of text",
        change=styled('<xf numFmtId="49" fontId="0" fillId="0" borderId="0" applyNumberFormat="1"/>'),
    ),
    Operator(
        "white-on-white",
        "a value in the colour of its ground",
        change=styled(
            '<xf numFmtId="0" fontId="{font}" fillId="0" borderId="0" applyFont="1"/>',
            font='<font><color rgb="FFFFFFFF"/></font>',
        ),
    ),
    Operator(
        "crossed-out",
        "a value with a line through it",
        change=styled(
            '<xf numFmtId="0" fontId="{font}" fillId="0" borderId="0" applyFont="1"/>',
            font="<font><strike/></font>",
        ),
        says=(Said("crossed-out", "warning", place(KI67)),),
        why="who crosses out, means to delete; but who knows",
    ),
    Operator("comments", "remarks in comments, one on a blank cell", change=in_book(commented)),
    Operator("conditional-format", "cells that turn red", change=in_book(coloured)),
    Operator(
        "filter",
        "a filter that hides two patients",
        change=in_book(filtered),
        why="hidden is not deleted: what a filter hides is data",
    ),
    Operator("hyperlink", "an id that is a link", change=in_book(linked)),
    Operator("hidden-row", "a patient's row is hidden", change=in_book(hidden_row)),
    Operator("hidden-column", "a column is hidden", change=in_book(hidden_column)),
    Operator("hidden-sheet", "a sheet is hidden", change=in_book(hidden_sheet)),
    Operator("locked", "sheet and workbook are locked with a password, not encrypted", change=in_book(locked)),
    Operator(
        "merged-downwards",
        "the id of two tumours' rows is one merged cell",
        change=merged("A6:A7"),
        says=(
            Said("merged-cells", "warning", "diagnosis!A6"),
            Said("no-subject", "error", "diagnosis!A7"),
            Said("no-link", "warning", "treatment!A7"),
        ),
        gone=("diagnosis@7",),
        why="a merged cell belongs to its first row alone; whose the second is, is not guessed",
    ),
    Operator(
        "merged-sideways",
        "a value is merged with the one beside it",
        change=merged("AN4:AO4"),
        says=(Said("merged-cells", "warning", "diagnosis!AN4"),),
        means={SUBTYPE: None},
    ),
)
