"""The hidden sheets: the lists behind the drop-downs, and the stamp that says which study this is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caseweave.spec.models import Study
from caseweave.spec.valueset import ValueSet
from caseweave.targets.template.words import text_in
from caseweave.version import __version__

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell, MergedCell
    from openpyxl.worksheet.worksheet import Worksheet

# the reader passes over sheets whose names begin so
STAMP, LISTS = "_caseweave", "_caseweave_lists"


@dataclass
class Lists:
    """The list sheet while it is written.

    Each value set has two columns, a spelling and the local value it means ("" for a declared missing one): first the
    labels, which the drop-down shows, then every other way to write them, so that formulas understand those too.
    """

    sheet: Worksheet
    language: str
    shown: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    next_column: int = 1

    def codes(self, codes: Iterable[str]) -> str:
        """The column of the study's codes for missing values; returns its range, "" for none."""
        from openpyxl.utils import get_column_letter

        given = list(codes)
        if not given:
            return ""
        letter = get_column_letter(self.next_column)
        put(self.sheet.cell(1, self.next_column), "missing")
        for row, code in enumerate(given, 2):
            put(self.sheet.cell(row, self.next_column), code)
        self.next_column += 1
        return f"{LISTS}!${letter}$2:${letter}${len(given) + 1}"

    def add(self, valueset: ValueSet) -> None:
        """Write a value set, once."""
        from openpyxl.utils import get_column_letter

        if valueset.name in self.shown:
            return
        column = self.next_column
        one, two = get_column_letter(column), get_column_letter(column + 1)
        put(self.sheet.cell(1, column), valueset.name)
        entries = list(valueset.values.values())
        labels = [
            (text_in(entry.label, self.language, entry.key), "" if entry.missing else entry.key) for entry in entries
        ]
        told = {text.casefold() for text, _ in labels}
        others: list[tuple[str, str]] = []
        for spellings in (lambda e: (e.key,), lambda e: tuple(e.label.values()), lambda e: e.aliases):
            for entry in entries:
                for text in spellings(entry):
                    if text.casefold() not in told:
                        told.add(text.casefold())
                        others.append((text, "" if entry.missing else entry.key))
        for row, (text, key) in enumerate((*labels, *others), 2):
            put(self.sheet.cell(row, column), text)
            put(self.sheet.cell(row, column + 1), key)
        last = len(labels) + 1
        self.shown[valueset.name] = f"{LISTS}!${one}$2:${one}${last}"
        self.known[valueset.name] = f"{LISTS}!${one}$2:${two}${last + len(others)}"
        self.next_column += 2


def put(cell: Cell | MergedCell, text: str) -> None:
    """Write a text as a text: one that begins with = is no formula, and "1" no number.

    >>> from openpyxl import Workbook
    >>> cell = Workbook().active["A1"]
    >>> put(cell, "=1+1")
    >>> cell.data_type
    's'
    """
    cell.value = text
    cell.data_type = "s"


def stamp(
    book: Workbook, study: Study, language: str, columns: Mapping[tuple[str, str], str], own: Iterable[str]
) -> None:
    """Write the hidden sheet that names the study and its version, and which field each header means.

    Arguments: `columns`, the header by sheet and field; `own`, sheets that hold no data, which readers pass over.
    """
    sheet = book.create_sheet(STAMP)
    lines = [
        ("study", study.name),
        ("version", study.version),
        ("digest", study.digest),
        ("language", language),
        ("caseweave", __version__),
        *(("no data", name) for name in own),
        *((f"{key}.{name}", header) for (key, name), header in columns.items()),
    ]
    for row, (name, value) in enumerate(lines, 1):
        put(sheet.cell(row, 1), name)
        put(sheet.cell(row, 2), value)
    sheet.sheet_state = "hidden"
    sheet.protection.sheet = True
