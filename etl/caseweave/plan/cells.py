"""Cells into values: each field converts what was typed, once per distinct cell, to a value or a problem."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

import numpy as np

from caseweave.issues import Finding, Severity
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.spellings import clean as clean
from caseweave.plan.spellings import likely_id, listing, lookup, nearest
from caseweave.plan.tables import Table
from caseweave.plan.variants import once_per_combination
from caseweave.spec.models import Field, Study
from caseweave.values.dates import DateRules, Precision, parse_date
from caseweave.values.grid import RawCell
from caseweave.values.numbers import NumberRules, likely_number, parse_number
from caseweave.values.problems import Problem
from caseweave.values.types import CellError, Code, Integer, Missing, Quantity, Text, Value
from caseweave.values.units import KNOWN_UNITS, convert, normal_unit


@dataclass(frozen=True, slots=True)
class Converted:
    """One field of a table as values: `column` without missing ones rejected; where cells were rejected or missing."""

    column: SlotColumn
    rejected: Mask
    filled: Mask


@dataclass(frozen=True, slots=True)
class Noted:
    """A value that is loaded, with something to say about it."""

    value: Value
    rule: str
    severity: Severity
    message: str
    suggestion: str = ""


Outcome = Value | Problem | Noted | None
_EXACT = 1e15
# what cells turned out to be, by their type (1, 1.0 and True are equal); and that by the rules for the dates of a field
Known = dict[tuple[type, RawCell], Outcome]
DatesRead = dict[tuple[DateRules, str, frozenset[tuple[str, str]]], Known]


@dataclass
class FieldReader:
    """Converts the cells of one field.

    Arguments: `today` is the day after which a date lies in the future; `read` keeps what dates turned out to be, for
    other fields too: the columns of a form hold much the same days; `units`, the UCUM codes that its column of units
    may give.
    """

    study: Study
    field: Field
    today: datetime.date
    read: DatesRead = dataclasses.field(default_factory=dict)
    units: frozenset[str] = KNOWN_UNITS
    missing: Mapping[str, str] = dataclasses.field(init=False)
    parse: Callable[[RawCell, RawCell], Outcome] = dataclasses.field(init=False)
    dates: DateRules = dataclasses.field(init=False)
    numbers: NumberRules = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.missing = {
            code.casefold(): reason for code, reason in {**self.study.missing.codes, **self.field.missing}.items()
        }
        self.parse = {
            "id": self.identifier,
            "text": self.text,
            "code": self.code,
            "date": self.date,
            "number": self.number,
            "integer": self.number,
        }[self.field.type]
        precision = cast(Precision, self.field.precision or "year")
        self.dates = replace(self.field.dates or self.study.dates, precision=precision, today=self.today)
        self.known = self.read.setdefault((self.dates, self.field.precision, frozenset(self.missing.items())), {})
        # a count that may be typed in another unit is whole only after conversion
        whole = self.field.type == "integer" and not self.field.accept
        self.numbers = replace(self.field.numbers or self.study.numbers, integer=whole)
        if self.field.type == "code":
            assert self.field.valueset is not None
            self.lookup = lookup(self.field.valueset)

    def outcome(self, raw: RawCell, unit: RawCell = None) -> Outcome:
        """One cell as a value, a problem, or None where it is blank."""
        if raw is None:
            return None
        if self.field.type != "date":
            return self.converted(raw, unit)
        key = (type(raw), raw)
        if key not in self.known:
            self.known[key] = self.converted(raw, unit)
        return self.known[key]

    def converted(self, raw: RawCell, unit: RawCell) -> Outcome:
        """One cell that holds something as a value, or a problem; None where it is only spaces."""
        if isinstance(raw, CellError):
            return Problem(
                "cell-error",
                "The cell holds no value.",
                expected="a value",
                suggestion="Correct the formula or type the value.",
            )
        text = clean(raw)
        if not text:
            return None
        if text.casefold() in self.missing:
            return Missing(self.missing[text.casefold()], text)
        return self.parse(raw, unit)

    def identifier(self, raw: RawCell, unit: RawCell) -> Outcome:
        if isinstance(raw, float) and abs(raw) >= _EXACT:
            message = "Excel took it for a number, of which it keeps 15 digits; the others are lost."
            return Problem("lost-digits", message, "the id as text, in a cell with the format Text")
        text = clean(raw)
        if self.field.matches and not re.fullmatch(self.field.matches, text):
            return Problem(
                "not-an-id",
                "This is no id of the form that the study uses.",
                expected=self.field.matches,
                suggestion=likely_id(text, self.field.matches),
            )
        return Text(text)

    def text(self, raw: RawCell, unit: RawCell) -> Outcome:
        return self.identifier(raw, unit)

    def code(self, raw: RawCell, unit: RawCell) -> Outcome:
        text = clean(raw)
        found = self.lookup.get(text.casefold())
        if found is None:
            assert self.field.valueset is not None
            return Problem(
                "not-in-value-set",
                f"Not in value set {self.field.valueset.name}.",
                expected=listing(self.field.valueset),
                suggestion=" or ".join(nearest(text, self.field.valueset)),
            )
        return found

    def date(self, raw: RawCell, unit: RawCell) -> Outcome:
        found = parse_date(raw, self.dates)
        if isinstance(found, Problem) or found.kind == "day" or self.field.precision == found.kind:
            return found
        return Noted(
            found,
            "partial-date",
            "message",
            f"Known to the {found.kind} only; OMOP takes the first day (of a death the last).",
        )

    def number(self, raw: RawCell, unit: RawCell) -> Outcome:
        whole = self.field.type == "integer"
        found = parse_number(raw, self.numbers)
        if isinstance(found, Problem):
            return found
        number, typed_unit = found.text, clean(unit) if unit is not None else found.unit
        if typed_unit and self.field.unit:
            answer = convert(number, typed_unit, self.field.accept, self.field.unit)
            if isinstance(answer, Problem):
                return self.misspelt(raw) or answer
            number = answer
        elif typed_unit and not self.field.unit_field:
            return self.misspelt(raw) or Problem("unexpected-unit", "The field has no unit.", expected="a number alone")
        elif self.field.unit_field and not self.field.unit and not typed_unit:
            return Problem("no-unit", "The number has no unit.", expected=f"a unit in {self.field.unit_field}")
        if whole and not (self.field.unit or typed_unit or found.comparator):
            return self.ranged(Integer(int(number)), number)
        unit_code = self.field.unit or normal_unit(typed_unit or "1")
        if typed_unit and not self.field.unit and unit_code not in self.units:  # it goes out as it is, were it a name
            message = "The unit isn't one that this field accepts."
            return Problem("unknown-unit", message, expected=f"a unit in {self.field.unit_field}")
        return self.ranged(Quantity(number, unit_code, found.comparator), number, unitless=not typed_unit)

    def misspelt(self, raw: RawCell) -> Problem | None:
        """A letter behind the digits that is no unit, but looks like one more digit."""
        likely = likely_number(str(raw))
        message = "Letters stand among its digits."
        return Problem("not-a-number", message, self.numbers.expected, likely) if likely else None

    def ranged(self, value: Value, number: str, *, unitless: bool = False) -> Outcome:
        comparator = value.comparator if isinstance(value, Quantity) else None
        for severity, rule in (("error", "out-of-range"), ("warning", "unusual-value")):
            limits = (self.field.range_error if severity == "error" else self.field.range_warn) or (None, None)
            if _outside(Decimal(number), comparator, *limits):
                low, high = ("" if limit is None else limit for limit in limits)
                expected = f"{low} to {high} {self.field.unit or ''}".strip()
                likely = self.likely_unit(number) if unitless else ""
                if severity == "error":
                    return Problem(rule, "Outside the possible range.", expected, likely)
                return Noted(value, rule, "warning", f"Outside the usual range of {expected}; loaded as it is.", likely)
        return value

    def likely_unit(self, number: str) -> str:
        """What a number that lies outside may have been meant as: in another unit that is accepted, or a fraction."""
        limits = self.field.range_warn or self.field.range_error
        accept = {**self.field.accept, **({"fraction": 100} if self.field.unit == "%" else {})}
        if limits is None or self.field.unit is None:
            return ""
        found = []
        for unit in accept:
            meant = convert(number, unit, accept, self.field.unit)
            if isinstance(meant, str) and not _outside(Decimal(meant), None, *limits):
                typed = f"{number} {unit}, which is " if unit != "fraction" else ""
                found.append(f"{typed}{meant} {self.field.unit}")
        return " or ".join(found)


def _outside(number: Decimal, comparator: str | None, low: Decimal | None, high: Decimal | None) -> bool:
    """Whether a number lies outside its limits; "> 100" does where 100 is the most."""
    below = low is not None and (number < low or (comparator == "<" and number == low))
    above = high is not None and (number > high or (comparator == ">" and number == high))
    return below or above


def _units(field: Field | None, cells: Sequence[RawCell]) -> tuple[Sequence[RawCell], frozenset[str]]:
    """What a column of units holds, as UCUM, and all that it may: a coded one the UCUM codes of its value set."""
    if field is None or field.valueset is None:
        return cells, KNOWN_UNITS
    spelt = {
        text: next((one.code for one in value.codings if one.system == "UCUM"), "")
        for text, value in lookup(field.valueset).items()
        if isinstance(value, Code)
    }
    found = [spelt.get(clean(cell).casefold()) or cell if cell is not None else None for cell in cells]
    return found, frozenset(normal_unit(one) for one in spelt.values() if one)


def outcomes_of(reader: FieldReader, table: Table) -> tuple[list[tuple[Outcome, RawCell]], Indices]:
    """What the cells of one field are worth, once per distinct cell: (outcome, cell), and which row has which."""
    one = reader.field
    column = table.columns[one.name]
    columns: list[Indices] = [column.codes]
    units: Sequence[RawCell] = [None]
    if one.unit_field and one.unit_field in table.columns:
        units, reader.units = _units(
            reader.study.sheet(table.sheet).fields.get(one.unit_field), table.columns[one.unit_field].distinct
        )
        columns.append(table.columns[one.unit_field].codes)

    def answer(code: int, unit: int = 0) -> tuple[Outcome, RawCell]:
        return reader.outcome(column.distinct[code], units[unit]), column.distinct[code]

    return once_per_combination(columns, table.size, answer)


def read_field(reader: FieldReader, table: Table, findings: list[Finding], who: Callable[[int], str]) -> Converted:
    """Convert one field of a table; problems and notes go to `findings`, one for each cell.

    Arguments: `who` gives the pseudonym of the patient in a row.
    """
    one = reader.field
    answers, which = outcomes_of(reader, table)
    tell = [n for n, (outcome, _) in enumerate(answers) if isinstance(outcome, Problem | Noted)]
    told = np.zeros(len(answers) + 1, dtype=bool)
    told[tell] = True
    for row in np.flatnonzero(told[which]).tolist():
        outcome, raw = answers[which[row]]
        assert isinstance(outcome, Problem | Noted)
        source, sheet, cell = table.origin(row, one.name)
        findings.append(
            Finding(
                rule=outcome.rule,
                severity=outcome.severity if isinstance(outcome, Noted) else "error",
                message=outcome.message,
                source=source,
                sheet=sheet,
                cell=cell,
                field=one.name,
                subject=who(row),
                expected="" if isinstance(outcome, Noted) else outcome.expected,
                suggestion=outcome.suggestion,
                found=str(raw),
            )
        )
    numbers: dict[Value | None, int] = {None: 0}
    codes = np.zeros(len(answers) + 1, dtype=np.int32)
    bad = np.zeros(len(answers) + 1, dtype=bool)
    filled = np.zeros(len(answers) + 1, dtype=bool)
    for n, (outcome, _) in enumerate(answers):
        value = outcome.value if isinstance(outcome, Noted) else outcome
        bad[n] = isinstance(value, Problem)
        filled[n] = outcome is not None
        if value is not None and not isinstance(value, Problem):
            codes[n] = numbers.setdefault(value, len(numbers))
    return Converted(SlotColumn(codes[which], list(numbers), (one.name,)), bad[which], filled[which])
