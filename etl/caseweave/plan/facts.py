"""Facts: coded clinical statements, columnar, one batch per statement. The waist between sources and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.spec.pattern import Pattern
from caseweave.values.types import Missing, Value

Indices = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SlotColumn:
    """What one slot holds in each fact of a batch: `values[codes[n]]`; `values[0]` is None (absent).

    `fields` names the fields of the sheet that the slot was filled from, for the way back to the cell.
    """

    codes: Indices
    values: Sequence[Value | None]
    fields: tuple[str, ...] = ()

    def take(self, chosen: Indices | Mask) -> SlotColumn:
        """The same slot for some of the facts."""
        return SlotColumn(self.codes[chosen], self.values, self.fields)

    def present(self) -> Mask:
        """Which facts have this slot filled."""
        return np.not_equal(self.codes, 0)

    def given(self) -> Mask:
        """Which facts have a value in this slot that isn't declared missing."""
        known = [not (value is None or isinstance(value, Missing)) for value in self.values]
        return np.array(known, dtype=np.bool_)[self.codes]


@dataclass(frozen=True, slots=True)
class Link:
    """The facts of another batch that the facts of this one point to; -1 where there is none."""

    batch: int
    index: Indices


@dataclass(frozen=True, slots=True)
class FactBatch:
    """All facts of one statement, ordered as their rows are.

    Arguments: `statement` is `sheet.name`, with `#i` behind it for a repeat; `ids` are raw fact ids (N x 20 bytes);
    `subjects` index into Facts.subjects; `rows` index into the table of the sheet; `settings` are what the statement
    sets beside its slots (`fhir.set`, `omop.set`, `local`).
    """

    statement: str
    sheet: str
    pattern: Pattern
    ids: NDArray[np.uint8]
    subjects: Indices
    rows: Indices
    slots: Mapping[str, SlotColumn]
    links: Mapping[str, Link] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a run.

    Arguments: `subjects` are the pseudonyms, `patient_ids` the raw ids of the patients' own facts, in the same order.
    """

    subjects: Sequence[str]
    patient_ids: NDArray[np.uint8]
    batches: Sequence[FactBatch]

    def __iter__(self) -> Iterator[FactBatch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.batches)
