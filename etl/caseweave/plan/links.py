"""Links between facts: by row within a sheet, by patient and key across sheets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caseweave.issues import Finding
from caseweave.plan.facts import FactBatch, Indices
from caseweave.plan.sheets import SheetFacts

NONE, SEVERAL = -1, -2


def same_row(facts: SheetFacts, target: FactBatch) -> Indices:
    """For each row of a sheet, the fact that the target statement made of it; -1 where it made none."""
    index = np.full(facts.table.size, NONE, dtype=np.int32)
    index[target.rows] = np.arange(len(target), dtype=np.int32)
    return index


def same_patient(facts: SheetFacts, target: FactBatch, home: SheetFacts) -> Indices:
    """For each row of a sheet, the patient's fact in another sheet, `home`; where both sheets have the fields of its
    key, the one of the same key. -1 where there is none, -2 where there are several."""
    shared = [name for name in home.sheet.row_key if name in facts.columns]
    theirs = home.key_texts(shared)
    place: dict[tuple[int, str], int] = {}
    for number, row in enumerate(target.rows.tolist()):
        spot = (int(home.rows.subjects[row]), theirs[row])
        place[spot] = number if spot not in place else SEVERAL
    mine = zip(facts.rows.subjects.tolist(), facts.key_texts(shared), strict=True)
    return np.array([place.get(spot, NONE) for spot in mine], dtype=np.int32)


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
