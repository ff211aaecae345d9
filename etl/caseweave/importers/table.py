"""Grids of dictionaries as rows by header."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from caseweave.values.grid import Grid, RawCell
from caseweave.values.types import CellError

SEARCHED_ROWS = 10


def text_of(raw: RawCell) -> str:
    """A cell as text, spaces tidied; whole numbers without their point.

    >>> text_of(110.0), text_of(None), text_of(" a  b ")
    ('110', '', 'a b')
    """
    if raw is None or isinstance(raw, CellError):
        return ""
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, datetime.datetime | datetime.date):
        return raw.isoformat()
    return " ".join(str(raw).split())


def header_row(grid: Grid, wanted: frozenset[str]) -> int:
    """The row that holds all the headers wanted (small letters); -1 where none does."""
    for row in range(min(grid.height, SEARCHED_ROWS)):
        if wanted <= {text_of(grid.cell(row, column)).casefold() for column in range(grid.width)}:
            return row
    return -1


def rows_below(grid: Grid, row: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row below a header row that holds something: its place, and its cells by small header."""
    heads = [text_of(grid.cell(row, column)).casefold() for column in range(grid.width)]
    for n in range(row + 1, grid.height):
        cells: dict[str, str] = {}
        for column, head in enumerate(heads):
            if head:
                cells.setdefault(head, text_of(grid.cell(n, column)))
        if any(cells.values()):
            yield f"{grid.name} row {n + 1}", cells
