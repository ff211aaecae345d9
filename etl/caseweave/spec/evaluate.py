"""What an expression is worth for one row: three-valued, so that what isn't known never counts as true.

An absent or declared missing operand makes a comparison *unknown* (None), and so do values that can't be
compared and periods that overlap (2021-03 against 2021-03-15). `and` is false as soon as one side is false,
`or` true as soon as one side is true, otherwise unknown stays unknown. A rule, a `when` or an `if` holds only
where the answer is True.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow

from caseweave.spec.expression import (
    Binary,
    Call,
    CodeLiteral,
    Expression,
    In,
    IsMissing,
    IsPresent,
    Literal,
    Name,
    Unary,
)
from caseweave.values.types import Boolean, Code, Coding, Integer, Missing, PartialDate, Quantity, Text, Value

Answer = bool | int | Decimal | str | Value | None
Lookup = Callable[[str], Value | None]

# function -> where its part stands in a date as FHIR writes it
DATE_PARTS = {"year": (0, 4), "month": (5, 7), "day": (8, 10)}
UNKNOWN_REASONS = frozenset({"unknown", "asked-unknown", "temp-unknown"})


@dataclass(frozen=True, slots=True)
class Presence:
    """Which codes mean yes, no and unknown (vocabularies/presence.yaml)."""

    yes: frozenset[Coding] = frozenset()
    no: frozenset[Coding] = frozenset()
    unknown: frozenset[Coding] = frozenset()

    def meaning(self, value: Answer) -> str | None:
        """'yes', 'no' or 'unknown'; None where a value is none of them.

        >>> Presence(yes=frozenset({Coding("SCT", "373066001")})).meaning(Code((Coding("SCT", "373066001"),)))
        'yes'
        """
        if isinstance(value, Boolean | bool):
            return "yes" if (value is True or value == Boolean(True)) else "no"
        if isinstance(value, Missing):
            return "unknown" if value.reason in UNKNOWN_REASONS else None
        if isinstance(value, Code):
            for meaning, known in (("yes", self.yes), ("no", self.no), ("unknown", self.unknown)):
                if not known.isdisjoint(value.codings):
                    return meaning
        return None


def evaluate(expression: Expression, lookup: Lookup, presence: Presence = Presence()) -> Answer:
    """The value of an expression; None where it is unknown.

    >>> from caseweave.spec.expression import parse
    >>> row = {"nodes_positive": Integer(3), "nodes_examined": Integer(2)}
    >>> evaluate(parse("nodes_positive <= nodes_examined", "rules.yaml", 1), row.get)
    False

    Arguments: `lookup` gives the value of a field or slot, None where it is absent; `presence` is what yes()
    asks.
    """
    if isinstance(expression, Name):
        return lookup(expression.name)
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, CodeLiteral):
        return Code((expression.coding,))
    if isinstance(expression, IsMissing):
        return isinstance(evaluate(expression.operand, lookup, presence), Missing)
    if isinstance(expression, IsPresent):
        return _given(evaluate(expression.operand, lookup, presence)) is not None
    if isinstance(expression, In):
        operand = evaluate(expression.operand, lookup, presence)
        return _any(compare("=", operand, evaluate(option, lookup, presence)) for option in expression.options)
    if isinstance(expression, Unary):
        return _unary(expression, evaluate(expression.operand, lookup, presence))
    if isinstance(expression, Call) and expression.function == "anchor_year":
        return lookup("anchor_year")
    if isinstance(expression, Call):
        return _call(expression, (evaluate(argument, lookup, presence) for argument in expression.arguments), presence)
    return _binary(expression, lookup, presence)


def to_value(answer: Answer) -> Value | None:
    """An answer as a value that a slot can hold."""
    if isinstance(answer, bool):
        return Boolean(answer)
    if isinstance(answer, int):
        return Integer(answer)
    if isinstance(answer, Decimal):
        return Integer(int(answer)) if answer == answer.to_integral_value() else Quantity(f"{answer:f}", "1")
    return Text(answer) if isinstance(answer, str) else answer


def truth(answer: Answer) -> bool | None:
    """An answer as a condition: True, False, or None where it is neither."""
    if isinstance(answer, Boolean):
        return answer.truth
    return answer if isinstance(answer, bool) else None


def _any(answers: Iterable[bool | None]) -> bool | None:
    known = list(answers)
    return True if True in known else None if None in known else False


def _given(answer: Answer) -> Answer:
    return None if isinstance(answer, Missing) else answer


def _unary(expression: Unary, operand: Answer) -> Answer:
    if expression.operator == "not":
        known = truth(operand)
        return None if known is None else not known
    number = _number(operand)
    return None if number is None else -number


def _binary(expression: Binary, lookup: Lookup, presence: Presence) -> Answer:
    left = evaluate(expression.left, lookup, presence)
    if expression.operator in ("and", "or"):
        decides = expression.operator == "or"
        if truth(left) is decides:
            return decides
        both = (truth(left), truth(evaluate(expression.right, lookup, presence)))
        return decides if decides in both else None if None in both else not decides
    right = evaluate(expression.right, lookup, presence)
    if expression.operator in ARITHMETIC:
        return arithmetic(expression.operator, left, right)
    return compare(expression.operator, left, right)


@dataclass(frozen=True, slots=True)
class Span:
    """All that a value can be: a number or a day, or a range of them; an open end isn't reached itself."""

    low: Decimal
    high: Decimal
    open_low: bool = False
    open_high: bool = False


def span(answer: Answer) -> Span | None:
    """Numbers and dates as ranges: 2021-03 is all its days (from year 1 on), <0.1 all that is smaller."""
    if isinstance(answer, PartialDate):
        return Span(Decimal(answer.first_day().toordinal()), Decimal(answer.last_day().toordinal()))
    if isinstance(answer, Quantity) and answer.comparator:
        number, isopen = Decimal(answer.number), answer.comparator in ("<", ">")
        if answer.comparator[0] == "<":
            return Span(Decimal("-Infinity"), number, open_high=isopen)
        return Span(number, Decimal("Infinity"), open_low=isopen)
    number_ = _number(answer)
    return None if number_ is None else Span(number_, number_)


def compare(operator: str, left: Answer, right: Answer) -> bool | None:
    """Compare two answers; None where it can't be told.

    >>> compare("<", PartialDate("2021-03"), PartialDate("2021-04-01"))
    True
    >>> print(compare("=", PartialDate("2021-03"), PartialDate("2021-03-15")))
    None
    """
    left, right = _given(left), _given(right)
    if left is None or right is None:
        return None
    if operator == "!=":
        equal = compare("=", left, right)
        return None if equal is None else not equal
    if operator in (">", ">="):
        return compare("<" + operator[1:], right, left)
    left, right = _like(left, right), _like(right, left)
    if isinstance(left, Code) or isinstance(right, Code):
        return _equal_codes(left, right) if operator == "=" else None
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return left == right if operator == "=" and type(left) is type(right) else None
    if isinstance(left, Quantity) and isinstance(right, Quantity) and left.unit != right.unit:
        return None
    if isinstance(left, PartialDate) is not isinstance(right, PartialDate):
        return None
    first, second = span(left), span(right)
    return None if first is None or second is None else _compare_spans(operator, first, second)


def _compare_spans(operator: str, left: Span, right: Span) -> bool | None:
    # that left is below right touches at left.high = right.low, that it isn't at left.low = right.high
    touches_below = left.high == right.low
    open_below = left.open_high or right.open_low
    below = left.high < right.low or (touches_below and open_below)
    above = right.high < left.low or (right.high == left.low and (right.open_high or left.open_low))
    if operator == "<":
        return True if below else False if above or right.high == left.low else None
    if operator == "<=":
        return True if below or touches_below else False if above else None
    if below or above:
        return False
    return True if left.low == left.high == right.low == right.high else None


def _like(answer: Answer, other: Answer) -> Answer:
    """An answer in the form that it shares with the other: a text as a date beside a date, a Text as str."""
    if isinstance(answer, Text):
        answer = answer.text
    if isinstance(answer, Boolean):
        answer = answer.truth
    if isinstance(answer, str) and isinstance(other, PartialDate):
        return _date(answer)
    return answer


def _date(answer: Answer) -> Answer:
    """A text such as "2021-03" as a date, unknown where it is none; what isn't a text stays what it is."""
    if not isinstance(answer, str):
        return answer
    try:
        if len(answer) in (4, 7, 10) and answer.replace("-", "").isdigit():
            found = PartialDate(answer)
            found.last_day()
            return found
    except ValueError:  # 2021-13, 2021-02-30: a text, and no date
        return None
    return None


def _equal_codes(left: Answer, right: Answer) -> bool | None:
    if isinstance(left, Code) and isinstance(right, Code):
        if left.codings and right.codings:
            return not set(left.codings).isdisjoint(right.codings)
        return left.local == right.local if left.local and right.local else None
    code, other = (left, right) if isinstance(left, Code) else (right, left)
    if isinstance(code, Code) and isinstance(other, str | int | Decimal) and not isinstance(other, bool) and code.local:
        return code.local == str(other)
    return None


def _number(answer: Answer) -> Decimal | None:
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int | Decimal):
        return Decimal(answer)
    if isinstance(answer, Integer):
        return Decimal(answer.number)
    return Decimal(answer.number) if isinstance(answer, Quantity) and not answer.comparator else None


ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def arithmetic(operator: str, left: Answer, right: Answer) -> Answer:
    """Add, subtract, multiply or divide; dates less dates are days, dates and days are dates, texts are joined by +.

    >>> arithmetic("-", PartialDate("2021-03-01"), PartialDate("2021-02-01"))
    28
    >>> arithmetic("+", "urn:oid:", Text("1.2.840"))
    'urn:oid:1.2.840'
    """
    texts = [one.text if isinstance(one, Text) else one for one in (left, right)]
    if operator == "+" and all(isinstance(one, str) for one in texts):
        return "".join(str(one) for one in texts)
    if isinstance(right, PartialDate):
        left = _date(left)
    if isinstance(left, PartialDate) and operator in ("+", "-"):
        return _date_arithmetic(operator, left, _date(right))
    if (
        isinstance(left, Quantity)
        and isinstance(right, Quantity)
        and left.unit != right.unit
        and operator in ("+", "-")
    ):
        return None
    first, second = _number(left), _number(right)
    if first is None or second is None:
        return None
    try:
        return ARITHMETIC[operator](first, second)
    except (DivisionByZero, InvalidOperation, Overflow):
        return None


def _date_arithmetic(operator: str, left: PartialDate, right: Answer) -> Answer:
    if left.kind != "day":
        return None
    if isinstance(right, PartialDate):
        known = operator == "-" and right.kind == "day"
        return (left.first_day() - right.first_day()).days if known else None
    days = _number(right)
    if days is None or not days.is_finite() or days != days.to_integral_value():
        return None
    ordinal = left.first_day().toordinal() + (int(days) if operator == "+" else -int(days))
    if not 1 <= ordinal <= datetime.date.max.toordinal():
        return None
    return PartialDate(datetime.date.fromordinal(ordinal).isoformat())


def _call(call: Call, answers: Iterable[Answer], presence: Presence) -> Answer:
    if call.function == "coalesce":  # asks no further than it has to
        return next((one for answer in answers if (one := _given(answer)) is not None), None)
    arguments = list(answers)
    given = [_given(argument) for argument in arguments]
    if call.function in ("yes", "no", "unknown"):
        meant = arguments[0] if call.function == "unknown" else given[0]
        return None if meant is None else presence.meaning(meant) == call.function
    if call.function == "code":
        return given[0].codings[0].code if isinstance(given[0], Code) and given[0].codings else None
    if call.function in DATE_PARTS:
        dated, (start, end) = _date(given[0]), DATE_PARTS[call.function]
        return int(dated.iso[start:end]) if isinstance(dated, PartialDate) and len(dated.iso) >= end else None
    first, second = _date(given[0]), _date(given[1])
    if not isinstance(first, PartialDate) or not isinstance(second, PartialDate):
        return None
    return _age(first, second) if call.function == "age_at" else _months(first, second)


def _age(birth: PartialDate, at: PartialDate) -> int | None:
    """Completed years; None where the days that aren't known decide, or the date lies before the birth."""
    youngest, oldest = _years(birth.last_day(), at.first_day()), _years(birth.first_day(), at.last_day())
    return youngest if youngest == oldest and youngest >= 0 else None


def _years(birth: datetime.date, at: datetime.date) -> int:
    return at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day))


def _months(first: PartialDate, second: PartialDate) -> int | None:
    """Completed months between two days; with one known to the month only, the difference of the months."""
    if "year" in (first.kind, second.kind):
        return None
    start, end = first.first_day(), second.first_day()
    months = (end.year - start.year) * 12 + end.month - start.month
    if first.kind == second.kind == "day":
        backwards = (start, end) if start <= end else (end, start)
        short = backwards[1].day < backwards[0].day
        return months - short if start <= end else months + short
    return months
