"""What a field holds in all rows of a patient: earliest(sheet.field), latest(sheet.field), count(sheet.field)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.sheets import SheetFacts
from caseweave.spec.syntax import AGGREGATES
from caseweave.values.types import Integer, PartialDate, Value

FAR = np.iinfo(np.int64).max


def aggregated(name: str, facts: SheetFacts, sheets: Mapping[str, SheetFacts]) -> SlotColumn:
    """What `name` is worth in each row of `facts`: the same in all rows of a patient.

    Arguments: `name` as an expression writes it, such as latest(follow-up.visit_date).
    """
    function, _, rest = name.removesuffix(")").partition("(")
    assert function in AGGREGATES
    key, dot, field = rest.rpartition(".")
    home = sheets.get(key) if dot else facts
    patients = int(max(facts.rows.subjects.max(initial=-1), -1)) + 1
    if home is None or field not in home.columns:
        return SlotColumn(np.zeros(facts.table.size, dtype=np.int32), [None], (field,))
    patients = max(patients, int(home.rows.subjects.max(initial=-1)) + 1)
    column, usable = home.columns[field].column, home.rows.usable
    values: Sequence[Value | None]
    if function == "count":
        by_patient, values = _counts(column, home.rows.subjects, usable, patients)
    else:
        by_patient, values = (
            _extreme(column, home.rows.subjects, usable, patients, latest=function == "latest"),
            column.values,
        )
    subjects = facts.rows.subjects
    codes = np.where(subjects >= 0, by_patient[subjects], 0) if patients else np.zeros(facts.table.size)
    return SlotColumn(codes.astype(np.int32), values, (field,))


def _counts(column: SlotColumn, subjects: Indices, usable: Mask, patients: int) -> tuple[Indices, list[Value | None]]:
    rows = usable & column.given()
    counts = np.bincount(subjects[rows], minlength=patients)
    return (counts + 1).astype(np.int32), [None, *(Integer(n) for n in range(int(counts.max(initial=0)) + 1))]


def _extreme(column: SlotColumn, subjects: Indices, usable: Mask, patients: int, *, latest: bool) -> Indices:
    """The code of each patient's earliest or latest date; 0 for none, and where partial dates leave it open."""
    sign = -1 if latest else 1
    spans = [_days(value, sign) for value in column.values]
    soonest, surest = (np.array([span[n] for span in spans], dtype=np.int64) for n in (0, 1))
    best = np.full(patients, FAR, dtype=np.int64)
    sure = np.full(patients, FAR, dtype=np.int64)
    rows = np.flatnonzero(usable & (soonest[column.codes] != FAR))
    who, codes = subjects[rows], column.codes[rows]
    np.minimum.at(best, who, soonest[codes])
    np.minimum.at(sure, who, surest[codes])
    # the one date that can be first for the patient, and surely is
    decided = (soonest[codes] == best[who]) & (surest[codes] == sure[who])
    found = np.zeros(patients, dtype=np.int32)
    found[who[decided]] = codes[decided]
    return found


def _days(value: Value | None, sign: int) -> tuple[int, int]:
    """From which day on a date can be, and by which it surely was; the other way round for a latest one."""
    if not isinstance(value, PartialDate):
        return FAR, FAR
    first, last = value.first_day().toordinal(), value.last_day().toordinal()
    return (first, last) if sign > 0 else (-last, -first)
