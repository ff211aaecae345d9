"""What is put into a workbook: marks of cells, queries; and the words and colours for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from caseweave.issues import Severity

NEW, UPDATED, PROPOSED, CLOSED = STATUSES = ("New", "Updated", "Resolution Proposed", "Closed")
# background of a marked cell; no template or theme uses these, so that a mark is known when the file comes back
COLOURS: dict[Severity, str] = {"error": "FFFFC2B3", "warning": "FFFFE2A8", "message": "FFDCEBFA"}
AUTHOR = "Caseweave"
# a spreadsheet holds no longer text in a cell
LONGEST = 32_000
# programs grow slow with more comments on a sheet; what is left out stands in Queries
MOST_COMMENTS = 3_000

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ADDRESS = re.compile(r"[A-Z]{1,3}[1-9][0-9]{0,6}")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class Unpatchable(Exception):
    """A workbook whose parts don't fit together; a fresh one can be written from what was read of it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell to be coloured and explained: `cell` is an A1 address in the tab."""

    tab: str
    cell: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """One row of the sheet `Queries`; `sheet` is the tab's name, `cell` its address or ""."""

    id: str
    severity: Severity
    sheet: str
    cell: str
    patient: str
    rule: str
    found: str
    expected: str
    message: str
    status: str
    answer: str = ""


def cell_text(text: str) -> str:
    """A text as a cell of a workbook may hold it, before XML's own escapes.

    >>> cell_text("a\\x01b _x0041_")
    'ab _x005F_x0041_'
    """
    return _LOOKS_ESCAPED.sub("_x005F_", _ILLEGAL.sub("", text))[:LONGEST]


def column_number(letters: str) -> int:
    """The zero-based number of a column.

    >>> column_number("AB")
    27
    """
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def is_address(cell: str) -> bool:
    """Whether a finding's place is a cell of a sheet; in a document it is a pointer.

    >>> is_address("B7"), is_address("/patients/0/id")
    (True, False)
    """
    return bool(_ADDRESS.fullmatch(cell))


def split(cell: str) -> tuple[int, int]:
    """Zero-based row and column of an A1 address.

    >>> split("B7")
    (6, 1)
    """
    letters = cell.rstrip("0123456789")
    return int(cell[len(letters) :]) - 1, column_number(letters)
