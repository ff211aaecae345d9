"""Tables: the data rows of one sheet of the mapping, all sources together, each column by its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices
from caseweave.values.grid import Grid, RawCell


@dataclass(frozen=True, slots=True)
class Part:
    """One grid of one source, as far as it gave rows to a table.

    Arguments: `rows` are its data rows (zero-based sheet rows); `columns` maps fields to its columns (zero-based);
    `grid` knows where its cells stand.
    """

    source: str
    sheet: str
    rows: NDArray[np.int64]
    columns: Mapping[str, int]
    grid: Grid


@dataclass(frozen=True, slots=True)
class TableColumn:
    """What was typed in one field: `distinct[codes[n]]` in row n of the table; `distinct[0]` is None (blank)."""

    codes: Indices
    distinct: Sequence[RawCell]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one sheet of the mapping.

    Arguments: `part_of` tells for each row which of `parts` it came from, `row_in_part` which of the part's rows;
    `joined` holds, for the fields that another sheet gave (`join:`), that sheet's table and the row in it (-1: none).
    """

    sheet: str
    size: int
    parts: Sequence[Part]
    part_of: Indices
    row_in_part: Indices
    columns: Mapping[str, TableColumn]
    joined: Mapping[str, tuple[Table, Indices]]

    def origin(self, row: int, field: str) -> tuple[str, str, str]:
        """Source, sheet and address of one field in one row of the table; the address is "" where it has none."""
        if field in self.joined:
            other, rows = self.joined[field]
            return other.origin(int(rows[row]), field) if rows[row] >= 0 else ("", other.sheet, "")
        part = self.parts[self.part_of[row]]
        column = part.columns.get(field)
        sheet_row = int(part.rows[self.row_in_part[row]])
        return part.source, part.sheet, "" if column is None else part.grid.address(sheet_row, column)


def concatenate(sheet: str, parts: Sequence[tuple[Part, Mapping[str, TableColumn]]], fields: Sequence[str]) -> Table:
    """Put the parts of a sheet below each other; equal cells share a code whatever file they stand in."""
    sizes = [len(part.rows) for part, _ in parts]
    columns = {
        field: _stack([(columns.get(field), size) for (_, columns), size in zip(parts, sizes, strict=True)])
        for field in fields
        if any(field in columns for _, columns in parts)
    }
    part_of = np.repeat(np.arange(len(parts), dtype=np.int32), sizes)
    row_in_part = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes] or [np.zeros(0, np.int32)])
    return Table(sheet, sum(sizes), [part for part, _ in parts], part_of, row_in_part, columns, {})


def _stack(pieces: Sequence[tuple[TableColumn | None, int]]) -> TableColumn:
    if len(pieces) == 1 and pieces[0][0] is not None:
        return pieces[0][0]
    numbers: dict[tuple[type, RawCell], int] = {(type(None), None): 0}
    codes = []
    for column, size in pieces:
        if column is None:
            codes.append(np.zeros(size, dtype=np.int32))
            continue
        mapped = [numbers.setdefault((type(value), value), len(numbers)) for value in column.distinct]
        codes.append(np.array(mapped, dtype=np.int32)[column.codes])
    return TableColumn(np.concatenate(codes), [value for _, value in numbers])


def join(table: Table, other: Table, mine: Sequence[str], theirs: Sequence[str]) -> Table:
    """Add another sheet's columns to the rows of `table` that hold the same key.

    Arguments: `mine` and `theirs` give the key of each row as text, in `table` and in `other`. Of two rows with one key
    in `other` the first is taken; duplicate rows are found and told elsewhere.
    """
    place: dict[str, int] = {}
    for row, key in enumerate(theirs):
        place.setdefault(key, row)
    rows = np.array([place.get(key, -1) if key else -1 for key in mine], dtype=np.int32)
    columns = dict(table.columns)
    joined = dict(table.joined)
    for field, column in other.columns.items():
        if field not in columns:
            codes = np.where(rows >= 0, column.codes[rows] if other.size else 0, 0).astype(np.int32)
            columns[field] = TableColumn(codes, column.distinct)
            joined[field] = (other, rows)
    return Table(table.sheet, table.size, table.parts, table.part_of, table.row_in_part, columns, joined)
