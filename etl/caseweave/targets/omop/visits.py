"""Which visit a row belongs to: the one that its form row tells of, where the row is dated inside it (OMOP CDM 5.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Facts, Indices, Mask
from caseweave.targets.omop.columns import Column, Constant, Lookup, Reference
from caseweave.targets.omop.fill import Built, Linked

VISIT = "visit_occurrence"


def visit_of(builder: Linked, number: int, date: Column | None) -> Reference | None:
    """The visit of each fact of a batch, by the row of the form; None where the sheet tells of none, or of several.

    What a form row tells of another day, say when a symptom began, didn't happen in the visit at which it was told.
    Arguments: `date`, that of the rows.
    """
    visits = _visits(builder.facts, number)
    if len(visits) != 1 or visits[0] == number or date is None:
        return None
    (target,) = visits
    mine, theirs = builder.facts.batches[number].rows, builder.facts.batches[target].rows
    told = np.full(int(max(mine.max(initial=-1), theirs.max(initial=-1))) + 1, -1, dtype=np.int32)
    told[theirs] = np.arange(len(theirs), dtype=np.int32)
    index = told[mine]
    place = np.full(len(theirs), -1, dtype=np.int32)
    inside = np.zeros(len(mine), dtype=np.bool_)
    for built in builder.batch(target):
        if built.table.name == VISIT:
            place[built.mask] = built.rendering
            inside |= (index >= 0) & built.mask[index] & _within(date, built, index)
    if not inside.any():
        return None
    return Reference(
        target, np.where(inside, index, -1).astype(np.int32), np.where(inside, place[index], -1).astype(np.int32)
    )


def _visits(facts: Facts, number: int) -> list[int]:
    sheet = facts.batches[number].sheet
    return [n for n, one in enumerate(facts.batches) if one.sheet == sheet and one.pattern.name == "visit" and len(one)]


def _within(date: Column, visit: Built, index: Indices) -> Mask:
    """Whether each date lies in the visit that `index` says."""
    day = _texts(date, np.arange(len(index), dtype=np.int32))
    first, last = (_texts(visit.columns[str(name)], index) for name in (visit.table.date, visit.table.end_date))
    return np.asarray((day != "") & (first <= day) & (day <= last), dtype=np.bool_)


def _texts(column: Column, facts: Indices) -> NDArray[np.str_]:
    """ISO dates, which compare as text; "" for none."""
    if isinstance(column, Constant):
        return np.full(len(facts), str(column.value or ""))
    assert isinstance(column, Lookup)
    return np.array([str(value or "") for value in column.values])[column.codes[facts]]
