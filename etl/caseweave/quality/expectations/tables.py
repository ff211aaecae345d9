"""A sheet as the table that expectations look at, column by column as they are asked for."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from caseweave.plan.cells import FieldReader, Noted, Outcome, clean, outcomes_of
from caseweave.plan.facts import Indices, SlotColumn
from caseweave.plan.rows import canonical
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.across import aggregated
from caseweave.quality.expectations.planned import Column
from caseweave.quality.judge import rows_there
from caseweave.quality.rules import ACROSS
from caseweave.spec.models import Field, Study
from caseweave.values.grid import RawCell
from caseweave.values.problems import Problem
from caseweave.values.types import (
    Boolean,
    CellError,
    Code,
    Integer,
    Missing,
    PartialDate,
    Quantity,
    Text,
    Value,
)

if TYPE_CHECKING:
    import pandas


def plain(value: Value | None) -> str | float | None:
    """A value as a table holds it: a code's local key, a number, an ISO date, a text.

    >>> plain(PartialDate("2021-03")), plain(Quantity("4.30", "mm")), plain(Quantity("5", "mm", "<"))
    ('2021-03', 4.3, 4.999999999999999)
    """
    match value:
        case Code():
            return value.local or str(value.codings[0])
        case Quantity():
            # "<5" is a number just below: the nearest that isn't 5 itself
            towards = {"<": -math.inf, ">": math.inf}.get(value.comparator or "")
            number = float(value.number)
            return number if towards is None else math.nextafter(number, towards)
        case Integer():
            return float(value.number)
        case Text():
            return value.text
        case PartialDate():
            return value.iso
        case Boolean():
            return str(value.truth).lower()
    return None


def _exact(value: Value | None) -> str | float | None:
    """As `plain`; a number known as less or more than another is none."""
    return None if isinstance(value, Quantity) and value.comparator else plain(value)


def _low(value: Value | None) -> str | float | None:
    return value.first_day().isoformat() if isinstance(value, PartialDate) else _exact(value)


def _high(value: Value | None) -> str | float | None:
    return value.last_day().isoformat() if isinstance(value, PartialDate) else _exact(value)


def _reason(value: Value | None) -> str | None:
    return value.reason if isinstance(value, Missing) else None


def _key(value: Value | None) -> str | None:
    return None if value is None or isinstance(value, Missing) else canonical(value)


# how a value is seen, the value itself being what all rules see: rejected and missing ones are absent
VIEWS: dict[str, Callable[[Value | None], str | float | None]] = {
    "": _exact, "low": _low, "high": _high, "missing": _reason, "key": _key,
}  # fmt: skip


def _number(outcome: Outcome, raw: RawCell) -> str | float | None:
    value = outcome.value if isinstance(outcome, Noted) else outcome
    return plain(value) if isinstance(value, Quantity | Integer) else None


def _given(outcome: Outcome, raw: RawCell) -> str | float | None:
    if outcome is None or isinstance(outcome, Missing) or isinstance(raw, CellError):
        return None
    return clean(raw) if isinstance(outcome, Problem | Noted) else str(plain(outcome))


def _typed(outcome: Outcome, raw: RawCell) -> str | float | None:
    return None if outcome is None else str(raw) if isinstance(raw, CellError) else clean(raw)


def _error(outcome: Outcome, raw: RawCell) -> str | float | None:
    return str(raw) if isinstance(raw, CellError) else None


# how a cell is seen, before ranges: as a number, as typed unless declared missing, as typed, as an error of Excel's
CELLS: dict[str, Callable[[Outcome, RawCell], str | float | None]] = {
    "number": _number, "given": _given, "typed": _typed, "error": _error,
}  # fmt: skip
NUMERIC = frozenset({"number", "integer"})


@dataclass
class CheckedTable:
    """The rows of one sheet as columns that expectations can be held against.

    Arguments: `facts` of the sheet, `sheets` by key; `today`, after which dates lie in the future; `sites` of the
    patients, by their number. Raises KeyError for a column that the sources haven't got.
    """

    study: Study
    facts: SheetFacts
    sheets: Mapping[str, SheetFacts]
    today: datetime.date
    sites: Sequence[str] = ()
    made: dict[tuple[Column, bool], Any] = field(default_factory=dict)
    slots: dict[str, SlotColumn] = field(default_factory=dict)
    places: dict[str, Indices] = field(default_factory=dict)
    read: dict[str, tuple[list[tuple[Outcome, RawCell]], Indices]] = field(default_factory=dict)

    def rows(self, everywhere: bool) -> Indices:
        """The rows that are asked: all, or those that can be loaded."""
        if everywhere:
            return np.arange(self.facts.table.size, dtype=np.int32)
        return np.flatnonzero(self.facts.rows.usable).astype(np.int32)

    def column(self, column: Column, everywhere: bool) -> Any:
        """One column, for the rows that are asked."""
        if (column, everywhere) not in self.made:
            self.made[column, everywhere] = self._column(column, self.rows(everywhere))
        return self.made[column, everywhere]

    def frame(self, columns: Mapping[str, Column], everywhere: bool = False) -> pandas.DataFrame:
        """Columns by name, numbered from 0."""
        import pandas

        return pandas.DataFrame({name: self.column(one, everywhere) for name, one in columns.items()}, copy=False)

    def has(self, column: Column) -> bool:
        """Whether the sources have what a column is made of."""
        name, view = column
        if view == "row":
            return True
        if view in CELLS:
            return name in self.facts.table.columns
        return self.slot(name) is not None

    def is_censored(self, column: Column) -> bool:
        """Whether a column has numbers known as less or more than another only, which is beyond core expectations."""
        slot = self.slot(column[0]) if column[1] in VIEWS else None
        return slot is not None and any(isinstance(one, Quantity) and one.comparator for one in slot.values)

    def _column(self, column: Column, rows: Indices) -> Any:
        name, view = column
        if view == "row":
            return self._of_row(name)[rows]
        if view in CELLS:
            answers, which = self.outcomes(name)
            shown = [CELLS[view](outcome, raw) for outcome, raw in answers]
            return _series(shown, which[rows], view == "number")
        slot = self.slot(name)
        if slot is None:
            raise KeyError(name)
        if view == "value":
            return _values(slot, rows)
        numeric = any(isinstance(one, Quantity | Integer) for one in slot.values) or self._is_number(name)
        shown = [VIEWS[view](value) for value in slot.values]
        return _series(shown, slot.codes[rows], numeric and view in ("", "low", "high"))

    def _is_number(self, name: str) -> bool:
        one = self.facts.sheet.fields.get(name)
        return one is not None and one.type in NUMERIC

    def _of_row(self, name: str) -> Any:
        subjects = self.facts.rows.subjects
        if name == "patient":
            return subjects
        if name == "site" and self.sites:
            return np.array([*self.sites, ""], dtype=object)[subjects]
        return np.zeros(len(subjects), dtype=np.int32)

    def slot(self, name: str) -> SlotColumn | None:
        """What a rule calls by a name: a field, one of another sheet, or one over all rows of a patient."""
        if name not in self.slots:
            found = self._slot(name)
            if found is None:
                return None
            self.slots[name] = found
        return self.slots[name]

    def _slot(self, name: str) -> SlotColumn | None:
        if name in self.facts.columns:
            return self.facts.columns[name].column
        if ACROSS.fullmatch(name):
            return aggregated(name, self.facts, self.sheets)
        key, dot, there = name.partition(".")
        other = self.sheets.get(key) if dot else None
        if other is None or there not in other.columns:
            return None
        if key not in self.places:
            self.places[key] = rows_there(self.facts, other)
        column, rows = other.columns[there].column, self.places[key]
        return SlotColumn(np.where(rows >= 0, column.codes[rows], 0).astype(np.int32), column.values, (there,))

    def outcomes(self, name: str) -> tuple[list[tuple[Outcome, RawCell]], Indices]:
        """What each distinct cell of a field is worth, before its range is asked."""
        if name not in self.read:
            sheet = self.facts.sheet
            fields = {**(self.study.sheet(sheet.join.sheet).fields if sheet.join else {}), **sheet.fields}
            one: Field = replace(fields[name], range_error=None, range_warn=None)
            self.read[name] = outcomes_of(FieldReader(self.study, one, self.today), self.facts.table)
        return self.read[name]


def _series(shown: Sequence[str | float | None], codes: Indices, numeric: bool) -> Any:
    import pandas

    if numeric:
        numbers = np.array([math.nan if one is None else one for one in shown] or [math.nan], dtype=np.float64)
        return numbers[codes]
    return pandas.Series(np.array([*shown, None], dtype=object)[codes], dtype=object)


def _values(slot: SlotColumn, rows: Indices) -> Any:
    """The values themselves, once each; a blank is none of them."""
    import pandas

    numbers: dict[Value | None, int] = {None: -1}
    codes = np.array([numbers.setdefault(one, len(numbers) - 1) for one in slot.values], dtype=np.int64)
    categories = np.empty(len(numbers) - 1, dtype=object)
    for value, number in numbers.items():
        if value is not None:
            categories[number] = value
    return pandas.Categorical.from_codes(codes[slot.codes[rows]], categories=pandas.Index(categories, dtype=object))
