"""One tab of the form: title, units, headers, drop-downs, formats, marks, protection."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from caseweave.spec.models import Field, Sheet, Study
from caseweave.targets.template.checks import Mark, Place
from caseweave.targets.template.columns import header, hint, number_format, prompt, validation, width
from caseweave.targets.template.lists import put
from caseweave.targets.template.looks import DARK, GREY, HEAD, HEAD_2, LINE, NEEDED, mark_style
from caseweave.targets.template.words import text_in, word

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

TITLE_ROW, HINT_ROW, HEADER_ROW = 1, 2, 3
PAGE_WIDTH = 150  # characters that can be read side by side on a sheet of paper laid on its side
ROWS = 1000
DAY = re.compile(r"\d{4}-\d\d-\d\d")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tab:
    """What one tab is written with.

    Arguments: `shown` is the range of each value set's labels; `missing` that of the study's missing codes; `told`, by
    field, what the rules say that colour its cells.
    """

    study: Study
    place: Place
    language: str
    shown: Mapping[str, str]
    missing: str
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def sheet(self) -> Sheet:
        return self.place.sheet

    def write(self, page: Worksheet, marks: Sequence[Mark], rows: Iterable[Row]) -> dict[str, str]:
        """Write everything; returns the header of each field."""
        self.top(page)
        headers = {name: self.column(page, self.sheet.fields[name]) for name in self.place.letters}
        for number, row in enumerate(rows, self.place.first):
            self.fill(page, number, row)
        self.mark(page, marks)
        self.protect(page)
        return headers

    def top(self, page: Worksheet) -> None:
        from openpyxl.styles import Alignment, Font

        title = page.cell(TITLE_ROW, 1)
        about = text_in(self.study.title, self.language, self.study.name)
        put(title, f"{page.title} · {about} · {self.study.version}")
        title.font = Font(bold=True, size=13, color=DARK)
        title.alignment = Alignment(vertical="center")
        page.row_dimensions[TITLE_ROW].height = 24
        page.row_dimensions[HINT_ROW].height = 15
        page.row_dimensions[HEADER_ROW].height = 62

    def column(self, page: Worksheet, field: Field) -> str:
        """One column: its header, and the format, list and prompt of its cells."""
        from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side
        from openpyxl.worksheet.datavalidation import DataValidation

        letter = self.place.letters[field.name]
        text = header(field, self.language)
        cell, small = page[f"{letter}{HEADER_ROW}"], page[f"{letter}{HINT_ROW}"]
        put(cell, text)
        put(small, hint(field, self.language))
        line = Side(style="thin", color=LINE)
        # repeated blocks change their colour, so that the eye keeps the second therapy apart from the first
        back = HEAD_2 if field.repeat_index and int(field.repeat_index) % 2 == 0 else HEAD
        cell.fill = PatternFill("solid", fgColor="EDEDED" if field.ignore else back)
        cell.font = Font(
            bold=True, size=10, color=GREY if field.ignore else NEEDED if field.required is True else "000000"
        )
        cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")
        cell.border = Border(top=line, bottom=Side(style="medium", color=DARK), left=line, right=line)
        small.font = Font(italic=True, size=8, color=GREY)
        small.alignment = Alignment(horizontal="center")
        dimension = page.column_dimensions[letter]
        dimension.width = width(field, self.language)
        dimension.number_format = number_format(field)
        dimension.protection = Protection(locked=False)
        dimension.alignment = Alignment(horizontal=side(field))

        kind = validation(field, f"{letter}{self.place.first}", self.shown.get(field.values, ""), self.missing)
        title, said = prompt(field, self.language, self.told.get(field.name, ()))
        rule = DataValidation(allow_blank=True, **kind)  # type: ignore[arg-type]
        rule.showInputMessage, rule.promptTitle, rule.prompt = True, title, said
        if kind:
            rule.showErrorMessage, rule.errorStyle = True, "warning"
            rule.errorTitle = word("check", self.language)
            rule.error = word({"list": "bad_list"}.get(kind["type"], f"bad_{_kind(field)}"), self.language)[:225]
        rule.add(f"{letter}{self.place.first}:{letter}{self.place.last}")
        page.add_data_validation(rule)
        return text

    def fill(self, page: Worksheet, number: int, row: Row) -> None:
        """Fill one row of an example, in the words of the language."""
        from openpyxl.styles import Alignment, Protection

        for name, value in row.items():
            field = self.sheet.fields[name]
            cell = page[f"{self.place.letters[name]}{number}"]
            typed = shown_value(field, value, self.language)
            if isinstance(typed, str):
                put(cell, typed)
            else:
                cell.value = typed
            cell.number_format = number_format(field)
            cell.protection = Protection(locked=False)
            cell.alignment = Alignment(horizontal=side(field))

    def mark(self, page: Worksheet, marks: Sequence[Mark]) -> None:
        from openpyxl.formatting.rule import Rule

        for mark in marks:
            letter = self.place.letters[mark.field]
            rule = Rule(type="expression", dxf=mark_style(mark.severity), formula=[mark.formula], stopIfTrue=True)
            page.conditional_formatting.add(f"{letter}{self.place.first}:{letter}{self.place.last}", rule)

    def protect(self, page: Worksheet) -> None:
        """Headers stay as they are; columns may be made wider, rows sorted and filtered. There is no password."""
        from openpyxl.worksheet.properties import PageSetupProperties

        keys = [self.sheet.subject_field, *(key for key in self.sheet.row_key if key in self.place.letters)]
        pinned = max(list(self.place.letters).index(key) for key in keys) + 1
        # only keys at the left edge can be frozen without taking half the screen
        pinned = pinned if pinned <= 3 else 1
        page.freeze_panes = f"{list(self.place.letters.values())[pinned]}{self.place.first}"
        page.protection.sheet = True
        page.protection.formatColumns = page.protection.formatRows = page.protection.formatCells = False
        page.protection.sort = page.protection.autoFilter = page.protection.insertRows = page.protection.deleteRows = (
            False
        )
        page.sheet_view.zoomScale = 100
        page.page_setup.orientation = "landscape"
        # on paper: as many pages beside each other as it takes to be read, each with the patients' ids
        total = sum(width(self.sheet.fields[name], self.language) for name in self.place.letters)
        page.page_setup.fitToWidth = max(1, round(total / PAGE_WIDTH))
        page.page_setup.fitToHeight = 0
        page.page_setup.pageOrder = "overThenDown"
        page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
        page.print_title_rows = f"{HEADER_ROW}:{HEADER_ROW}"
        page.print_title_cols = f"A:{list(self.place.letters.values())[pinned - 1]}"


def side(field: Field) -> str:
    """On which side of the cell its content stands."""
    return "left" if field.type in ("code", "text", "id") else "center"


def _kind(field: Field) -> str:
    return "date" if field.type == "date" else "number"


def shown_value(field: Field, value: Any, language: str) -> Any:
    """A local value as a person would type it: the label of a code, a date of Excel where the column holds dates."""
    text = str(value)
    if field.valueset is not None and text in field.valueset.values:
        return text_in(field.valueset.values[text].label, language, text)
    if field.type == "date" and number_format(field) != "@" and DAY.fullmatch(text):
        return datetime.date.fromisoformat(text)
    if field.type in ("number", "integer") and not isinstance(value, str):
        return value if isinstance(value, int) else float(value)
    return text


def tab_name(sheet: Sheet, language: str) -> str:
    """The tab's name: the title in the language, within what Excel allows."""
    return re.sub(r"[\[\]:*?/\\]", " ", text_in(sheet.title, language, sheet.name))[:31].strip("' ") or sheet.key


def in_order(sheet: Sheet) -> list[Field]:
    """The fields as columns: what repeats together stands together, all of the first therapy before the second."""
    found: list[Field] = []
    runs = groupby(sheet.fields.values(), lambda one: one.repeat and (one.repeat.variable, one.repeat.indices))
    for repeat, run in runs:
        fields = list(run)
        found += sorted(fields, key=lambda one: repeat[1].index(one.repeat_index)) if repeat else fields
    return found


def place_of(sheet: Sheet, language: str, quoted: str) -> Place:
    """Where the columns of a tab will be."""
    from openpyxl.utils import get_column_letter

    letters = {field.name: get_column_letter(number) for number, field in enumerate(in_order(sheet), 1)}
    return Place(sheet, quoted, letters, HEADER_ROW + 1, HEADER_ROW + ROWS)


def add_page(book: Workbook, sheet: Sheet, language: str) -> Worksheet:
    """A new tab of the workbook."""
    page: Worksheet = book.create_sheet(tab_name(sheet, language))
    page.sheet_properties.tabColor = DARK
    return page
