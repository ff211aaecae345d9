"""Records into rows: all statements that share a table together, block by block, in the order of the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices
from caseweave.plan.variants import OncePerValues
from caseweave.shapes.omop import Table
from caseweave.targets.omop.columns import Column, Constant, Lookup, Scalar
from caseweave.targets.omop.fill import Built
from caseweave.targets.omop.integers import IntegerMap
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.targets.records import Records, grouped

BLOCK = 32768  # rows made at a time
Objects = NDArray[np.object_]


@dataclass
class RowMaker:
    """Makes rows of records that have their integers.

    Arguments: `null` is what the database takes for NULL.
    """

    builder: OmopBuilder
    integers: IntegerMap
    null: float | None = None
    objects: OncePerValues[Objects] = field(default_factory=OncePerValues)

    def columns(self, table: Table, key: str | None, records: Records) -> list[str]:
        """The columns of a table that hold something in any of these records; `key` is the one that the run numbers."""
        found = {key}
        for (batch, place), _ in grouped(records, "batch", "place"):
            built = self.built(table, batch, place)
            found |= {name for name, column in built.columns.items() if not _is_null(column)}
        return [one.name for one in table.fields if one.name in found]

    def rows(
        self, table: Table, key: str | None, columns: Sequence[str], records: Records
    ) -> Iterator[Sequence[object]]:
        """Yield the rows of records of one table; arguments as of `columns`."""
        for begin in range(0, len(records), BLOCK):
            block = records.take(slice(begin, begin + BLOCK))
            cells = {name: np.full(len(block), self.null, dtype=object) for name in columns}
            if key:
                cells[key][:] = block.integer
            for (batch, place), chosen in grouped(block, "batch", "place"):
                facts = block.fact[chosen]
                for name, column in self.built(table, batch, place).columns.items():
                    if name in cells:
                        cells[name][chosen] = self.cells(column, facts)
            yield from zip(*(column.tolist() for column in cells.values()), strict=True)

    def built(self, table: Table, batch: int, place: int) -> Built:
        return next(one for one in self.builder.batch(batch) if one.rendering == place and one.table.name == table.name)

    def cells(self, column: Column, facts: Indices) -> Objects | Scalar:
        """What a column holds in some facts."""
        match column:
            case Constant(value):
                return self.null if value is None else value
            case Lookup(codes, values):
                return self.objects.get(values, "", lambda: self.without_none(values))[codes[facts]]
        found = self.integers.follow(column, facts)
        cells = found.astype(object)
        cells[found == 0] = self.null
        return cells

    def without_none(self, values: Sequence[Scalar]) -> Objects:
        return np.array([self.null if value is None else value for value in values], dtype=object)


def _is_null(column: Column) -> bool:
    match column:
        case Constant(value):
            return value is None
        case Lookup():
            return all(value is None for value in column.values)
    return False
