"""Dictionary encoding of a sheet, column by column, while its rows stream by."""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from caseweave.values.grid import Grid, GridColumn, RawCell
from caseweave.values.types import CellError

BLOCK = 4096
_DATES = (datetime.date, datetime.time)
_WHOLE = 1e15  # Excel keeps 15 digits: a whole number below this is exactly what was typed


class _Codes(dict[Any, int]):
    """Value to code; an unseen value gets the next code, without a Python call for a seen one."""

    def __missing__(self, value: Any) -> int:
        code = self[value] = len(self)
        return code


class _TruthKey:
    """Stands in for True and False among the keys, because True == 1 in a dict."""

    __slots__ = ("truth",)

    def __init__(self, truth: bool) -> None:
        self.truth = truth


_TRUTHS = {True: _TruthKey(True), False: _TruthKey(False)}


class GridBuilder:
    """Collect rows, then give the grid.

    >>> builder = GridBuilder("Sheet1")
    >>> builder.add_rows([["id", ""], ["007", True], ["007", 1.0]])
    >>> grid = builder.grid()
    >>> grid.height, grid.width, grid.columns[1].distinct
    (3, 2, [None, True, 1])

    Arguments: the sheet's name, whether it is hidden, its merged ranges, and how many columns stand blank
    before the first one of the rows. The empty string is a blank. Excel knows one kind of number, so 1.0 is
    stored as 1.
    """

    def __init__(
        self,
        name: str,
        hidden: bool = False,
        merged: tuple[tuple[int, int, int, int], ...] = (),
        offset: int = 0,
    ) -> None:
        self.name = name
        self.hidden = hidden
        self.merged = merged
        self._height = 0
        self._offset = offset
        self._indexes: list[_Codes] = []
        self._codes: list[array[int]] = []

    def add_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows of equal or unequal length."""
        stream = iter(rows)
        while block := list(islice(stream, BLOCK)):
            width = max(map(len, block))
            if any(len(row) != width for row in block):
                block = [[*row, *[""] * (width - len(row))] for row in block]
            self._widen(width)
            for index, codes, column in zip(self._indexes, self._codes, zip(*block, strict=True), strict=False):
                if bool in set(map(type, column)):
                    column = tuple(_TRUTHS[value] if type(value) is bool else value for value in column)
                codes.extend(map(index.__getitem__, column))
            self._height += len(block)
            for codes in self._codes[width:]:
                codes.frombytes(bytes(codes.itemsize * len(block)))

    def _widen(self, width: int) -> None:
        while len(self._codes) < width:
            self._indexes.append(_Codes({"": 0}))
            self._codes.append(array("I", bytes(4 * self._height)))

    def put(self, row: int, column: int, value: RawCell) -> None:
        """Set one cell after the rows are in; the sheet grows when the cell lies outside."""
        column -= self._offset
        if column < 0:
            self._indexes[:0] = [_Codes({"": 0}) for _ in range(-column)]
            self._codes[:0] = [array("I", bytes(4 * self._height)) for _ in range(-column)]
            self._offset += column
            column = 0
        if row >= self._height:
            for codes in self._codes:
                codes.frombytes(bytes(codes.itemsize * (row + 1 - self._height)))
            self._height = row + 1
        self._widen(column + 1)
        self._codes[column][row] = self._indexes[column][value]

    def undate(self, numbers: Mapping[tuple[int, int], float]) -> None:
        """Put numbers back into those of their cells that were taken for a date or a time of day."""
        dated: dict[int, set[int]] = {}
        for (row, column), number in numbers.items():
            at = column - self._offset
            if not (0 <= at < len(self._codes) and row < self._height):
                continue
            if column not in dated:
                dated[column] = {code for key, code in self._indexes[at].items() if isinstance(key, _DATES)}
            if self._codes[at][row] in dated[column]:
                self.put(row, column, number)

    def grid(self) -> Grid:
        """The finished grid, its first column being A."""
        blank = [GridColumn(array("I", bytes(4 * self._height)), [None]) for _ in range(self._offset)]
        columns = [GridColumn(codes, _distinct(index)) for index, codes in zip(self._indexes, self._codes, strict=True)]
        return Grid(
            name=self.name,
            hidden=self.hidden,
            height=self._height,
            width=self._offset + len(columns),
            columns=(*blank, *columns),
            merged=self.merged,
        )


def _distinct(index: _Codes) -> list[RawCell]:
    values = [_value(key) for key in index]
    values[0] = None
    return values


def _value(key: Any) -> RawCell:
    if type(key) is float and key.is_integer() and abs(key) < _WHOLE:
        return int(key)
    if type(key) is _TruthKey:
        return key.truth
    if isinstance(key, (str, int, float, CellError)) or key is None:
        return key
    value: RawCell = key
    return value
