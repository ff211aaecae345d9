"""The integers of OMOP rows: given in the order of fact ids, above what stands there already, stable ever after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices
from caseweave.targets.omop.columns import Person, Reference
from caseweave.targets.records import Records, grouped

Integers = NDArray[np.int32]


@dataclass
class IntegerMap:
    """The integer and the table of each fact's row, by batch and rendering.

    Arguments: `sizes` of batches; `persons` by subject (0: none); `field_concepts` by kind of table.
    """

    sizes: Mapping[int, int]
    persons: Integers
    field_concepts: Integers
    integers: dict[tuple[int, int], Integers] = field(default_factory=dict)
    kinds: dict[tuple[int, int], NDArray[np.uint8]] = field(default_factory=dict)

    def put(self, records: Records) -> None:
        """Learn the integers of records that come from batches of this run."""
        for (batch, place), rows in grouped(records, "batch", "place"):
            size = self.sizes[batch]
            integers = self.integers.setdefault((batch, place), np.zeros(size, dtype=np.int32))
            kinds = self.kinds.setdefault((batch, place), np.zeros(size, dtype=np.uint8))
            integers[records.fact[rows]] = records.integer[rows]
            kinds[records.fact[rows]] = records.kind[rows]

    def follow(self, reference: Reference | Person, facts: Indices) -> Integers:
        """What a reference is in some facts: an integer, or the concept of the field whose key it is; 0 for none."""
        if isinstance(reference, Person):
            return self.persons[reference.subjects[facts]]
        index, renderings = reference.index[facts], reference.renderings[facts]
        found = np.zeros(len(facts), dtype=np.int32)
        for place in np.unique(renderings[index >= 0]).tolist():
            if place < 0:
                continue
            here = (renderings == place) & (index >= 0)
            spot = (reference.batch, place)
            if spot not in self.integers:
                continue
            rows = index[here]
            found[here] = (
                self.field_concepts[self.kinds[spot][rows]] if reference.field_concept else self.integers[spot][rows]
            )
        return found


def allocate(records: Records, above: Mapping[int, int]) -> Integers:
    """Give integers to new records, per kind of table, in the order of their fact ids and renderings.

    Arguments: `above` is the largest integer in use per kind; kinds that it doesn't name get none (0).
    """
    integers = np.zeros(len(records), dtype=np.int32)
    # fact ids are keyed hashes: their first eight bytes order them; facts with several rows keep those by rendering
    words = np.ascontiguousarray(records.ids[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
    by_place = np.argsort(records.place, kind="stable")
    for kind, start in above.items():
        rows = by_place[records.kind[by_place] == kind]
        rows = rows[np.argsort(words[rows], kind="stable")]
        integers[rows] = np.arange(start + 1, start + 1 + len(rows), dtype=np.int32)
    return integers
