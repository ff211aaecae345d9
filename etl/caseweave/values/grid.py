"""A sheet as read: dictionary-encoded columns, so that everything downstream happens once per distinct value."""

from __future__ import annotations

import datetime
from array import array
from dataclasses import dataclass

from caseweave.values.types import CellError

RawCell = None | str | int | float | bool | datetime.date | datetime.time | datetime.timedelta | CellError


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

    `merged` holds (first row, first column, last row, last column), zero-based and inclusive.
    """

    name: str
    hidden: bool
    height: int
    width: int
    columns: tuple[GridColumn, ...]
    merged: tuple[tuple[int, int, int, int], ...] = ()

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
