"""Links between facts: by row within a sheet, by patient and key across sheets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caseweave.issues import Finding
from caseweave.plan.facts import FactBatch, Indices
from caseweave.plan.rows import Keys, spots
from caseweave.plan.sheets import SheetFacts

NONE, SEVERAL = -1, -2


def same_row(facts: SheetFacts, target: FactBatch) -> Indices:
    """For each row of a sheet, the fact that the target statement made of it; -1 where it made none."""
    index = np.full(facts.table.size, NONE, dtype=np.int32)
    index[target.rows] = np.arange(len(target), dtype=np.int32)
    return index


def same_patient(facts: SheetFacts, home: SheetFacts, rows: Indices) -> Indices:
    """For each row of a sheet, which of some rows of another, `home`, is about the same patient, and where both sheets
    have the fields of its key, about the same key. -1 where there is none, -2 where there are several."""
    shared = [name for name in home.sheet.row_key if name in facts.columns and name in home.columns]
    theirs, mine = home.keys_of(shared), facts.keys_of(shared)
    # both sheets' keys under the numbers of `home`; one that it doesn't have finds nothing
    number = {text: code for code, text in enumerate(theirs.texts)}
    known = np.array([number.get(text, NONE) for text in mine.texts], dtype=np.int32)[mine.codes]
    wanted = spots(facts.rows.subjects, Keys(known, theirs.texts))
    wanted[(facts.rows.subjects < 0) | (known < 0)] = NONE
    there = spots(home.rows.subjects, theirs)[rows]
    order = np.argsort(there, kind="stable")
    first, behind = (np.searchsorted(there[order], wanted, side=side) for side in ("left", "right"))
    found = np.full(len(wanted), NONE, dtype=np.int32)
    found[behind - first == 1] = order[first[behind - first == 1]]
    found[behind - first > 1] = SEVERAL
    return found


def told(facts: SheetFacts, rows: Indices, index: Indices, target: str) -> Iterator[Finding]:
    """Findings for rows whose link leads nowhere, or to more than one fact."""
    for row in rows[index[rows] < 0].tolist():
        several = index[row] == SEVERAL
        yield facts.finding(
            row,
            facts.sheet.subject_field,
            rule="ambiguous-link" if several else "no-link",
            severity="warning",
            message=f"{'More than one' if several else 'No'} {target} of this patient; the link was left out.",
        )
