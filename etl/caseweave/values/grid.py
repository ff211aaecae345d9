"""A sheet as read: dictionary-encoded columns, so that everything downstream happens once per distinct value."""

from __future__ import annotations

import datetime
from array import array
from dataclasses import dataclass

from caseweave.values.problems import plain
from caseweave.values.types import CellError, Digits

RawCell = None | str | int | float | bool | datetime.date | datetime.time | datetime.timedelta | CellError | Digits


def normal(text: object) -> str:
    """A header, key or tab name as it is compared: case, spaces, a colon and the star of a required column don't count.

    >>> normal(" Patient\\u00a0ID *")
    'patient id'
    """
    return plain(str(text)).rstrip("*: ").casefold()


@dataclass(frozen=True, slots=True)
class GridColumn:
    """One column: `codes[r]` points into `distinct` for sheet row r (0 is Excel's row 1); `distinct[0]` is None."""

    codes: array[int]
    distinct: list[RawCell]


@dataclass(frozen=True, slots=True)
class Grid:
    """One sheet of a source, from its first row on, headers and notes included.

    >>> cell_address(6, 1)
    'B7'

    `merged` holds (first row, first column, last row, last column), zero-based and inclusive. Of a document `at` holds
    the JSON pointer of the object behind each row ("" for the header), `keys` for each column how many steps of that
    pointer lead to the object that its key is in, and the pointer from there. Of a text table `lengths` tells how many
    cells each row has, blank ones included; of a workbook `struck` the cells (row, column) that are crossed out.
    """

    name: str
    hidden: bool
    height: int
    width: int
    columns: tuple[GridColumn, ...]
    merged: tuple[tuple[int, int, int, int], ...] = ()
    at: tuple[str, ...] = ()
    keys: tuple[tuple[int, str], ...] = ()
    lengths: tuple[int, ...] = ()
    struck: tuple[tuple[int, int], ...] = ()

    def address(self, row: int, column: int) -> str:
        """Where a cell stands: A1, or the JSON pointer in a document."""
        return pointer(self.at[row], *self.keys[column]) if self.at else cell_address(row, column)

    def cell(self, row: int, column: int) -> RawCell:
        """The raw value of one cell, both indices zero-based."""
        found = self.columns[column]
        return found.distinct[found.codes[row]]


@dataclass(frozen=True, slots=True)
class Source:
    """One file as read: its alias for reports, its digest, its sheets, and what the reader had to find out."""

    alias: str
    path: str
    sha256: str
    modified: datetime.datetime | None
    kind: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...] = ()


def column_letters(column: int) -> str:
    """Excel's letters of a zero-based column.

    >>> column_letters(27)
    'AB'
    """
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_address(row: int, column: int) -> str:
    """The A1 address of a zero-based row and column."""
    return f"{column_letters(column)}{row + 1}"


def pointer(row: str, steps: int, key: str) -> str:
    """The JSON pointer of a key: some steps of its row's pointer, and the way from there.

    >>> pointer("/patients/3/visits/0", 4, "/ki67"), pointer("/patients/3/visits/0", 2, "/id")
    ('/patients/3/visits/0/ki67', '/patients/3/id')

    Standard: RFC 6901.
    """
    return "/".join(row.split("/")[: steps + 1]) + key
