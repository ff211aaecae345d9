"""Rules whose rows are judged together: what stands twice, how much is filled, and what lies far from the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from caseweave.issues import Finding
from caseweave.plan.facts import Indices, Mask
from caseweave.plan.rows import keys_of, spots
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.rules import Rule
from caseweave.values.types import Integer, Quantity, Value

Judge = Callable[[Rule, SheetFacts, Mask, Sequence[str]], Iterator[tuple[int, Finding]]]
# fewer rows say nothing about what is usual
FEWEST = 10
# 0.6745 makes the median distance of a normal distribution its standard deviation (Iglewicz and Hoaglin 1993)
NORMAL = 0.6745


def unique(rule: Rule, facts: SheetFacts, about: Mask, sites: Sequence[str]) -> Iterator[tuple[int, Finding]]:
    """Rows that hold the same in all fields of a rule; each of them is told, with the place of another.

    By patient two rows of one patient are too many; by site or study it takes two patients.
    """
    columns = [facts.columns[name].column for name in rule.fields if name in facts.columns]
    if len(columns) < len(rule.fields):
        return
    rows = np.flatnonzero(about & np.logical_and.reduce([column.given() for column in columns]))
    spot = spots(_groups(rule, facts, sites), keys_of(columns, facts.table.size))[rows]
    order = np.argsort(spot, kind="stable")
    begins = np.flatnonzero(np.diff(spot[order], prepend=-1) != 0)
    who = np.arange(facts.table.size) if rule.by == "patient" else facts.rows.subjects
    for same in np.split(rows[order], begins[1:]):
        for row in same.tolist() if len(same) > 1 else ():
            others = same[who[same] != who[row]]
            if not len(others):
                continue
            other = int(others[0])
            _, sheet, cell = facts.table.origin(other, rule.mark)
            said = f"Compare {sheet}!{cell}."
            yield row, facts.finding(row, rule.mark, rule=rule.id, severity=rule.severity, message=rule.message,
                                     expected="stands once", suggestion=said)  # fmt: skip


def share(rule: Rule, facts: SheetFacts, about: Mask, sites: Sequence[str]) -> Iterator[tuple[int, Finding]]:
    """Sites, or studies, in which too few rows hold a value; no cell is to blame, so the finding names none."""
    column = facts.columns.get(rule.mark)
    filled = column.column.given() if column else np.zeros(facts.table.size, dtype=bool)
    groups = _groups(rule, facts, sites)
    for group in np.unique(groups[about]).tolist():
        asked = about & (groups == group)
        many, of = int((filled & asked).sum()), int(asked.sum())
        if of >= FEWEST and Decimal(many) < rule.limit * of:
            named = _named(rule, facts, sites, int(np.flatnonzero(asked)[0]))
            yield (
                -1,
                Finding(
                    rule=rule.id,
                    severity=rule.severity,
                    message=rule.message,
                    sheet=facts.sheet.key,
                    field=rule.mark,
                    expected=f"at least {float(100 * rule.limit):g} %; {many}/{of} rows ({100 * many // of} %){named}",
                ),
            )


def outlier(rule: Rule, facts: SheetFacts, about: Mask, sites: Sequence[str]) -> Iterator[tuple[int, Finding]]:
    """Values whose robust z is beyond the limit; a group of equal values has none, as has one that is too small."""
    if rule.mark not in facts.columns:
        return
    column = facts.columns[rule.mark].column
    numbers = np.array([exact_number(one) for one in column.values], dtype=np.float64)[column.codes]
    groups = _groups(rule, facts, sites)
    known = about & ~np.isnan(numbers)
    for group in np.unique(groups[known]).tolist():
        rows = np.flatnonzero(known & (groups == group))
        median = np.median(numbers[rows])
        distance = np.median(np.abs(numbers[rows] - median))
        if len(rows) < FEWEST or not distance:
            continue
        far = NORMAL * np.abs(numbers[rows] - median) > float(rule.limit) * distance
        width = float(rule.limit) * distance / NORMAL
        said = f"usually {median - width:.4g} to {median + width:.4g}"
        for row in rows[far].tolist():
            yield row, facts.finding(row, rule.mark, rule=rule.id, severity=rule.severity, message=rule.message,
                                     expected=said)  # fmt: skip


TOGETHER: dict[str, Judge] = {"unique": unique, "share": share, "outlier": outlier}


def _groups(rule: Rule, facts: SheetFacts, sites: Sequence[str]) -> Indices:
    """The number of the patient, site or study whose rows are judged together, row by row."""
    if rule.by == "patient":
        return facts.rows.subjects
    if rule.by == "study" or not sites:
        return np.zeros(facts.table.size, dtype=np.int32)
    numbers: dict[str, int] = {}
    by_patient: NDArray[np.int32] = np.array([numbers.setdefault(one, len(numbers)) for one in sites], dtype=np.int32)
    return np.where(facts.rows.subjects >= 0, by_patient[facts.rows.subjects], -1).astype(np.int32)


def _named(rule: Rule, facts: SheetFacts, sites: Sequence[str], row: int) -> str:
    site = sites[facts.rows.subjects[row]] if sites else ""
    return f" at site {site}" if rule.by == "site" and site else ""


def exact_number(value: Value | None) -> float:
    """A number; not one for what is no number, or is known as less or more than one only."""
    if isinstance(value, Integer):
        return float(value.number)
    return float(value.number) if isinstance(value, Quantity) and not value.comparator else float("nan")
