"""The kinds of rules: what each asks, what it is written with, and the condition on a row that it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any
from typing import Literal as Word

from caseweave.issues import Severity
from caseweave.quality.tables import Lookup, written_in
from caseweave.spec.models import Field
from caseweave.spec.syntax import Binary, Expression, In, IsMissing, IsPresent, Literal, Name, Unary
from caseweave.spec.words import At

Category = Word["conformance", "completeness", "plausibility"]
Dimension = Word["completeness", "uniqueness", "consistency", "accuracy", "integrity"]
# Kahn et al., eGEMs 2016, doi 10.13063/2327-9214.1244
CATEGORIES: tuple[Category, ...] = ("conformance", "completeness", "plausibility")
# EUCAIM data quality framework: handbook of the project, Data preparation, Data quality check
DIMENSIONS: tuple[Dimension, ...] = ("completeness", "uniqueness", "consistency", "accuracy", "integrity")


@dataclass(frozen=True, slots=True)
class Part:
    """What a rule asks of a row: in rows in which `when` holds, `expr` must; `name` tells a rule's parts apart."""

    expr: Expression | None
    mark: str = ""
    when: Expression | None = None
    expected: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A rule as written, names looked up.

    Arguments: `fields` by name, those of other sheets as sheet.field; `table` that it names.
    """

    found: Mapping[str, Any]
    at: At
    fields: Mapping[str, Field]
    table: Lookup | None = None

    @property
    def own(self) -> list[str]:
        """The rule's fields that stand on its own sheet."""
        return [name for name in self.found["fields"] if "." not in name]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule.

    Arguments: `asks` are its keys, `may` those it can have; `undecided`, whether a row of which it can't be told is a
    finding; `rows` is "each" where a row is judged by itself, else whose rows are judged together; `types` that its
    fields can have.
    """

    about: str
    asks: tuple[str, ...]
    build: Callable[[Written], Iterator[Part]]
    category: Category
    dimension: Dimension
    severity: Severity = "error"
    undecided: bool = False
    rows: str = "each"
    may: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def both(left: Expression | None, right: Expression | None) -> Expression | None:
    """Two conditions as one; either may be absent."""
    return Binary("and", left, right) if left is not None and right is not None else left or right


def negated(expression: Expression) -> Expression:
    """The opposite of a condition, unknown where that is.

    >>> from caseweave.spec.expression import parse
    >>> print(negated(parse("a <= b and c is present", "rules.yaml", 1)))
    not a <= b or not c is present
    """
    if isinstance(expression, Binary) and expression.operator in ("and", "or"):
        # pushed inwards, so that each side is decided by itself: it has fewer combinations than both together
        other = "or" if expression.operator == "and" else "and"
        return Binary(other, negated(expression.left), negated(expression.right))
    if isinstance(expression, Unary) and expression.operator == "not":
        return expression.operand
    return Unary("not", expression)


def _any(parts: list[Expression]) -> Expression:
    return reduce(lambda left, right: Binary("or", left, right), parts)


def _all(parts: list[Expression]) -> Expression:
    return reduce(lambda left, right: Binary("and", left, right), parts)


def _condition(rule: Written) -> Iterator[Part]:
    yield Part(rule.found["expr"])


def _exclusion(rule: Written) -> Iterator[Part]:
    yield Part(negated(rule.found["expr"]))


def _required(rule: Written) -> Iterator[Part]:
    for name in rule.found["fields"]:
        filled = Binary("or", IsPresent(Name(name)), IsMissing(Name(name)))
        yield Part(filled, name, expected="a value or a missing code", name=name)


def _range(rule: Written) -> Iterator[Part]:
    low, high = rule.found["between"]
    for name in rule.found["fields"]:
        tests: list[Expression] = [Binary(">=", Name(name), Literal(low))] if low is not None else []
        tests += [Binary("<=", Name(name), Literal(high))] if high is not None else []
        if not tests:
            rule.at.fail("a range without an end", "Give the least, the most, or both.")
        unit = rule.fields[name].unit or ""
        said = f"{'' if low is None else low} to {'' if high is None else high} {unit}".strip()
        yield Part(_all(tests), name, expected=said, name=name)


def _order(rule: Written) -> Iterator[Part]:
    """One part for each date of the own sheet; against those before it, and of other sheets those after it."""
    dates = rule.found["fields"]
    if len(dates) < 2 or not rule.own:
        rule.at.fail("an order needs two dates, one of them of its own sheet", "Name them from first to last.")
    for place, name in enumerate(dates):
        if "." in name:
            continue
        earlier, later = dates[:place], [one for one in dates[place + 1 :] if "." in one]
        tests: list[Expression] = [Binary("<=", Name(one), Name(name)) for one in earlier]
        tests += [Binary("<=", Name(name), Name(one)) for one in later]
        if tests:
            said = [f"not before {one}" for one in earlier] + [f"not after {one}" for one in later]
            yield Part(_all(tests), name, expected=", ".join(said), name=name)


def _table(rule: Written) -> Iterator[Part]:
    """What the other columns say is listed, and the answer isn't the one that stands beside it."""
    table, columns = rule.table, rule.found["columns"]
    assert table is not None
    if sorted(columns) != sorted(table.columns):
        rule.at.fail(f"table '{table.name}' has the columns {', '.join(table.columns)}", "Name a field for each.")
    *given, answer = [(n, columns[name]) for n, name in enumerate(table.columns)]
    answers: dict[tuple[tuple[str, ...], ...], set[str]] = {}
    for row in table.rows:  # what goes with several answers stands in several rows
        answers.setdefault(row[:-1], set()).update(row[-1])
    cases: dict[tuple[str, ...], list[Expression]] = {}
    for row, fitting in answers.items():
        asked = [_one_of(rule, table, name, row[n]) for n, name in given]
        if None not in asked:  # else no field can hold what this row says
            cases.setdefault(tuple(sorted(fitting)), []).append(_all([one for one in asked if one is not None]))
    tests: list[Expression] = []
    for values, inputs in cases.items():
        said = _one_of(rule, table, answer[1], values)
        tests.append(negated(_any(inputs)) if said is None else Binary("or", negated(_any(inputs)), said))
    if not tests:
        rule.at.fail(f"the fields can hold nothing of table '{table.name}'", "Name fields with such values.")
    present = _all([IsPresent(Name(name)) for name in columns.values()])
    yield Part(_all(tests), answer[1], present, f"according to table {table.name}")


def _one_of(rule: Written, table: Lookup, name: str, values: tuple[str, ...]) -> Expression | None:
    """A field holds one of some values of a table; None where it can hold none of them."""
    field = rule.fields[name]
    if not values:
        return IsPresent(Name(name))
    written = written_in(field, values, table.prefixes)
    if not written:
        return None
    try:
        numbers = field.type in ("number", "integer")
        return In(Name(name), tuple(Literal(Decimal(one) if numbers else one) for one in written))
    except InvalidOperation:
        rule.at.fail(f"field '{name}' is a number, the table isn't", "Name a coded field.")


def _together(rule: Written) -> Iterator[Part]:
    yield Part(None, rule.own[0] if rule.own else "")


def _apiece(rule: Written) -> Iterator[Part]:
    for name in rule.found["fields"]:
        yield Part(None, name, name=name)


KINDS: dict[str, Kind] = {
    "coherence": Kind("What the fields of a row, and of other sheets, say about each other: `expr` must hold.",
                      ("expr",), _condition, "plausibility", "consistency", undecided=True),
    "required": Kind("Each of `fields` is filled, by a value or a missing code.",
                     ("fields",), _required, "completeness", "completeness", undecided=True),
    "range": Kind("Each of `fields` lies `between` a least and a most, both included.",
                  ("fields", "between"), _range, "plausibility", "accuracy", types=("number", "integer")),
    "order": Kind("The dates `fields` follow each other, or fall on one day; those that aren't there are left out.",
                  ("fields",), _order, "plausibility", "consistency", types=("date",)),
    "table": Kind("What fields hold goes together as a `table` says; what the table doesn't list isn't judged.",
                  ("table", "columns"), _table, "plausibility", "consistency"),
    "unique": Kind("No two patients of the study, or of a site, hold the same in all of `fields`; `by` patient, "
                   "no two rows of one do.",
                   ("fields",), _together, "plausibility", "uniqueness", rows="together", may=("by",)),
    "share": Kind("Of the rows, `least` is the share in which each of `fields` holds a value; `by` site, or the "
                  "study. From 10 rows on.",
                  ("fields", "least"), _apiece, "completeness", "completeness", "warning", rows="together",
                  may=("by",)),
    "outlier": Kind("Each of `fields` lies near its median: the robust z, 0.6745 x distance / median distance, is at "
                    "most `most` (3.5: Iglewicz and Hoaglin 1993); `by` site, or the study. From 10 values on.",
                    ("fields",), _apiece, "plausibility", "accuracy", "message", rows="together",
                    may=("by", "most"), types=("number", "integer")),
    "inclusion": Kind("A criterion of inclusion: `expr` holds in a row of the patient. It gives a verdict, "
                      "no finding.",
                      ("expr",), _condition, "conformance", "consistency", "message", rows="patient"),
    "exclusion": Kind("A criterion of exclusion: `expr` holds in no row of the patient. It gives a verdict, "
                      "no finding.",
                      ("expr",), _exclusion, "conformance", "consistency", "message", rows="patient"),
}  # fmt: skip
KEYS = ("expr", "fields", "between", "table", "columns", "by", "least", "most")
