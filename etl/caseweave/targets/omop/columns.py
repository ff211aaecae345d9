"""Columns of OMOP rows before they have integers: constant, looked up per distinct value, or a reference."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.values.types import Boolean, Code, Integer, Missing, PartialDate, Quantity, Text, Value

Scalar: TypeAlias = int | float | str | None


@dataclass(frozen=True, slots=True)
class Constant:
    """The same in every row."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Lookup:
    """`values[codes[n]]` in fact n."""

    codes: Indices
    values: Sequence[Scalar]

    def filled(self) -> Mask:
        """Where the column isn't null."""
        return np.array([value is not None for value in self.values], dtype=bool)[self.codes]


@dataclass(frozen=True, slots=True)
class Reference:
    """The integer of another row: of fact `index[n]` of `batch`, of that fact's rendering `renderings[n]`; -1 is null.

    `field_concept` asks for the concept of the table that it stands in instead of its integer.
    """

    batch: int
    index: Indices
    renderings: Indices
    field_concept: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """The integer of the person that each fact is about, by subject."""

    subjects: Indices


Column = Constant | Lookup | Reference | Person


def lookup(slot: SlotColumn, write: Callable[[Value], Scalar]) -> Lookup:
    """A column that follows one slot."""
    return Lookup(slot.codes, [None if value is None else write(value) for value in slot.values])


def first_day(value: Value) -> str | None:
    """A date as OMOP takes it; a partial one is the first day of its period (DESIGN 2)."""
    return value.first_day().isoformat() if isinstance(value, PartialDate) else None


def last_day(value: Value) -> str | None:
    """A partial date of death is the last day of its period (OHDSI Themis, death)."""
    return value.last_day().isoformat() if isinstance(value, PartialDate) else None


def not_before(start: Lookup, end: Lookup, *, needed: bool) -> Lookup:
    """End dates of which none comes before its start: such a one is the start where an end is `needed`, else null.

    A partial end, whose first day counts, comes into it too; a real contradiction is told by the rules of the form.
    """
    first = np.array([str(value or "") for value in start.values])[start.codes]
    last = np.array([str(value or "9999") for value in end.values])[end.codes]
    wrong = last < first
    if not wrong.any():
        return end
    instead = start.codes + len(end.values) if needed else np.full(len(wrong), len(end.values))
    values = [*end.values, *(start.values if needed else [None])]
    return Lookup(np.where(wrong, instead, end.codes).astype(np.int32), values)


DAYS_PER = {"d": 1, "wk": 7}
MONTHS_PER = {"mo": 1, "a": 12}


def after_anchor(anchor: datetime.date) -> Callable[[Value], str | None]:
    """Dates of a study without a calendar: the anchor plus an interval (UCUM d, wk, mo, a)."""

    def date(value: Value) -> str | None:
        if isinstance(value, PartialDate):
            return first_day(value)
        if not isinstance(value, Quantity):
            return None
        try:
            found = _later(anchor, float(value.number), value.unit)
        except (OverflowError, ValueError):  # an interval that leaves the calendar leads to no date
            return None
        return found.isoformat() if found else None

    return date


def _later(anchor: datetime.date, number: float, unit: str) -> datetime.date | None:
    """The day that lies so much after another; None where the unit is none of time."""
    if unit in DAYS_PER:
        return anchor + datetime.timedelta(days=round(number * DAYS_PER[unit]))
    if unit not in MONTHS_PER:
        return None
    months, part = divmod(number * MONTHS_PER[unit], 1)
    years, month = divmod(anchor.month - 1 + int(months), 12)
    whole = datetime.date(anchor.year + years, month + 1, min(anchor.day, 28))
    return whole + datetime.timedelta(days=round(part * 30.4375))


OPERATORS = {
    "<": "operator-less",
    "<=": "operator-less-or-equal",
    ">=": "operator-greater-or-equal",
    ">": "operator-greater",
}


def number_of(value: Value) -> float | int | None:
    """A value as a number, where it is one."""
    if isinstance(value, Quantity):
        number = float(value.number)
        return int(number) if number.is_integer() and "." not in value.number else number
    return value.number if isinstance(value, Integer) else None


def text_of(value: Value, width: int | None = None) -> str | None:
    """A value as the text of a source column: as the form has it."""
    match value:
        case Code():
            first = value.codings[0] if value.codings else None
            own = first.code if first and first.system == "LOCAL" else str(first or value.label)
            text = value.local or own
        case Quantity():
            text = f"{value.comparator or ''}{value.number}"
        case Integer():
            text = str(value.number)
        case Boolean():
            text = "yes" if value.truth else "no"
        case PartialDate():
            text = value.iso
        case Text():
            text = value.text
        case Missing():
            return None
    return text if width is None else text[:width]


def said(value: Value, width: int) -> str | None:
    """A value as a reader wants it: what a code means, not how the form abbreviates it."""
    return value.label[:width] if isinstance(value, Code) and value.label else text_of(value, width)
