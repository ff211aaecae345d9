"""Numbers as people type them, kept to the digit: 4.30 stays 4.30, and what can be two numbers is none."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from caseweave.values.grid import RawCell
from caseweave.values.problems import Problem, plain
from caseweave.values.types import CellError, Comparator, Digits

_COMPARATORS: dict[str, Comparator] = {
    "<": "<", ">": ">", "<=": "<=", ">=": ">=", "=<": "<=", "=>": ">=",
    "≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">=",
}  # fmt: skip
_MINUS = dict.fromkeys((0x2212, 0x2012, 0x2013, 0xFE63, 0xFF0D), "-") | {0x2019: "'", 0x02BC: "'"}
_SHAPE = re.compile(
    r"(?P<comparator>[<>]=?|=[<>]|[≤≥⩽⩾])? ?"
    r"(?P<sign>[+-])? ?"
    r"(?P<body>[0-9](?:[0-9.,']| (?=[0-9]{3}(?![0-9])))*|[.,][0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?"
    r"(?: ?(?P<unit>(?:[x×] ?)?10[*^][+-]?[0-9]+(?:/\S+)?"
    r"|(?![²³¹⁰-₉]|[x×] ?[0-9])[^\W\d_][^\s,;]*(?: [^\W\d_][^\s,;]*)?"
    r"|(?!/[^[{\W]*[\d_])[%‰°\[{/][^\s,;]*))?"
)
_MOST_DIGITS = 40
# what people write around a number that they doubt, and letters that look like digits
_DOUBT = re.compile(r"^(?:ca\.?|circa|approx\.?|about|aprox\.?|[~≈±'])\s*|\s*[?*!]+$", re.IGNORECASE)
_LOOKALIKES = str.maketrans("OoIl|", "00111")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as text with its digits kept, its comparator, and the unit in the cell ('' for none)."""

    text: str
    comparator: Comparator | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class NumberRules:
    """How a study writes numbers.

    `decimal`: accepted decimal marks; `thousands`: the accepted mark between groups of three, or None;
    `censored`: whether "<0.1" is kept or refused; `integer`: only whole numbers without comparator.
    """

    decimal: tuple[str, ...] = (".", ",")
    thousands: str | None = None
    censored: Literal["keep", "reject"] = "keep"
    integer: bool = False

    @property
    def expected(self) -> str:
        """What a cell should hold, in words."""
        marks = " or ".join(f"'{mark}'" for mark in self.decimal)
        return "a whole number" if self.integer else f"a number with {marks} as decimal mark"


def parse_number(raw: RawCell, rules: NumberRules | None = None) -> Number | Problem:
    """Read a number.

    >>> parse_number("<0,10 mm")
    Number(text='0.10', comparator='<', unit='mm')
    >>> parse_number("1,234").rule
    'ambiguous-number'

    Arguments: the raw cell and the study's rules. Never raises: what can't be taken is a Problem with one of
    the rules not-a-number, ambiguous-number, not-an-integer, censored-number, cell-error.
    """
    rules = rules or NumberRules()
    if isinstance(raw, str):
        return _from_text(raw, rules)
    if isinstance(raw, bool) or raw is None:
        return _not_a_number(rules, "This is no number.")
    if isinstance(raw, CellError):
        return Problem("cell-error", f"The cell holds no value ({raw.text}).", rules.expected)
    if isinstance(raw, (int, float)):
        return _from_excel(raw, rules)
    if isinstance(raw, Digits):  # no study's rules change what a point means in JSON
        return _from_text(raw.text, replace(rules, decimal=(".",), thousands=None))
    likely = f"{raw.day}.{raw.month}" if isinstance(raw, datetime.date) else ""
    return _not_a_number(rules, "The cell holds a date or time; Excel may have made one of a number.", likely)


def likely_number(text: str) -> str:
    """The number that somebody meant who wrote it with signs of doubt, or with letters that look like digits.

    >>> likely_number("ca. 5"), likely_number("1O"), likely_number("twelve"), likely_number("Il")
    ('5', '10', '', '')
    """
    bare = _DOUBT.sub("", plain(text))
    for one in (bare, bare.translate(_LOOKALIKES)):
        shape = _SHAPE.fullmatch(one)
        if shape and not shape["unit"] and any(mark.isdigit() for mark in bare):
            return one
    return ""


def _from_excel(raw: int | float, rules: NumberRules) -> Number | Problem:
    if isinstance(raw, float):
        if not math.isfinite(raw):
            return _not_a_number(rules, "This is no number.")
        # Excel counts with 15 digits; what a binary fraction holds beyond them nobody typed
        text = _expanded(Decimal(format(raw, ".15g")))
    else:
        text = str(raw)
    return _checked(Number(text), rules)


def _from_text(raw: str, rules: NumberRules) -> Number | Problem:
    shape = _SHAPE.fullmatch(plain(raw).translate(_MINUS))
    if shape is None or len(shape["body"]) > _MOST_DIGITS:
        return _not_a_number(rules, "This is no number.", likely_number(raw))
    digits = _digits(shape["body"], rules)
    if isinstance(digits, Problem):
        return digits
    if shape["exponent"] is not None:
        if abs(int(shape["exponent"])) > 30:
            return _not_a_number(rules, "This is no number that anybody measures.")
        digits = _expanded(Decimal(f"{digits}e{shape['exponent']}"))
    if shape["sign"] == "-" and digits.strip("0."):
        digits = "-" + digits
    comparator = _COMPARATORS[shape["comparator"]] if shape["comparator"] else None
    return _checked(Number(digits, comparator, shape["unit"] or ""), rules)


def _digits(body: str, rules: NumberRules) -> str | Problem:
    """Digits with a point, out of digits with any marks; or why that can't be told."""
    marks = [mark for mark in body if not mark.isdigit()]
    if not marks:
        return _tidy(body)
    last = marks[-1]
    head, _, tail = body.rpartition(last)
    if len(marks) == 1 and last in ".,":
        return _one_mark(head, last, tail, rules)
    # several marks: the last may be the decimal one, if it is another than the rest; those before part groups
    is_decimal = last in ".," and last not in marks[:-1]
    whole, fraction = (head, tail) if is_decimal else (body, "")
    groups = re.split(r"[.,' ]", whole)
    group_marks = set(marks[:-1] if is_decimal else marks)
    well_grouped = 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    if len(group_marks) != 1 or not well_grouped:
        return _not_a_number(rules, "Its marks don't make a number.")
    reading = _tidy("".join(groups) + ("." + fraction if fraction else ""))
    if group_marks != {rules.thousands}:
        message = "It has marks between groups of digits, which this study doesn't declare."
        return Problem("ambiguous-number" if not is_decimal and len(marks) == 1 else "not-a-number",
                       message, rules.expected, reading)  # fmt: skip
    if is_decimal and last not in rules.decimal:
        return _not_a_number(rules, "Its decimal mark isn't one that this study declares.", reading)
    return reading


def _one_mark(head: str, mark: str, tail: str, rules: NumberRules) -> str | Problem:
    as_decimal = _tidy(f"{head}.{tail}")
    may_group = len(tail) == 3 and 1 <= len(head) <= 3 and not head.startswith("0")
    if not may_group:
        if mark in rules.decimal:
            return as_decimal
        return _not_a_number(rules, "Its decimal mark isn't one that this study declares.", as_decimal)
    as_group = head + tail
    # with one declared decimal mark there is no doubt; with both, either may have been meant as thousands
    if mark in rules.decimal and len(rules.decimal) == 1 and mark != rules.thousands:
        return as_decimal
    if mark == rules.thousands and mark not in rules.decimal:
        return as_group
    return Problem(
        "ambiguous-number",
        "It can be read as two numbers: with a decimal mark, or with a mark between thousands.",
        rules.expected + ", without marks between thousands",
        f"{as_decimal} or {as_group}",
    )


def _checked(number: Number, rules: NumberRules) -> Number | Problem:
    if number.comparator and (rules.integer or rules.censored == "reject"):
        return Problem("censored-number", "Only an exact number is taken here.", rules.expected)
    if not rules.integer:
        return number
    whole, _, fraction = number.text.partition(".")
    if fraction.strip("0"):
        return Problem("not-an-integer", "Only a whole number is taken here.", rules.expected)
    return Number(whole, number.comparator, number.unit)


def _tidy(digits: str) -> str:
    whole, point, fraction = digits.partition(".")
    return (whole.lstrip("0") or "0") + (point + fraction if fraction else "")


def _expanded(number: Decimal) -> str:
    text = format(number, "f")
    return "0" if not text.strip("-0.") and "." not in text else text


def _not_a_number(rules: NumberRules, message: str, suggestion: str = "") -> Problem:
    return Problem("not-a-number", message, rules.expected, suggestion)
