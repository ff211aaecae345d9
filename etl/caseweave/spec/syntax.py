"""The tree of an expression: frozen nodes that print themselves as they would be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from caseweave.values.types import Coding

# name -> (fewest arguments, most arguments, what it gives)
FUNCTIONS: dict[str, tuple[int, int, str]] = {
    "coalesce": (1, 20, "the first argument that is present"),
    "age_at": (2, 2, "completed years from a birth date to a date"),
    "months_between": (2, 2, "completed months from the first date to the second"),
    "year": (1, 1, "the year of a date"),
    "month": (1, 1, "the month of a date that is known to the month"),
    "day": (1, 1, "the day of a date that is known to the day"),
    "code": (1, 1, "the main code of a coded value, as text and without its system"),
    "yes": (1, 1, "whether a code means yes (vocabularies/presence.yaml)"),
    "no": (1, 1, "whether a code means no (vocabularies/presence.yaml)"),
    "unknown": (1, 1, "whether a code, or a declared missing value, means unknown"),
    "anchor_year": (0, 0, "the year of the study's anchor date"),
}
# what rules may ask of all rows of a patient; each is a value that is looked up, named as it is written
AGGREGATES: dict[str, str] = {
    "earliest": "the earliest date that a field holds in the patient's rows; unknown where partial dates leave it open",
    "latest": "the latest date that a field holds in the patient's rows; unknown where partial dates leave it open",
    "count": "in how many of the patient's rows a field holds a value",
}
COMPARISONS = ("=", "!=", "<=", ">=", "<", ">")
# operator -> how tightly it binds
BINDING = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(COMPARISONS, 4),
    "in": 4,
    "is": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "negative": 7,
}
KEYWORDS = frozenset({"and", "or", "not", "in", "is", "present", "missing", "true", "false"})


@dataclass(frozen=True, slots=True)
class Name:
    """A field of the row, or a slot of the pattern."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true or false."""

    value: Decimal | str | bool

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return '"' + self.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return str(self.value).lower() if isinstance(self.value, bool) else f"{self.value:f}"


@dataclass(frozen=True, slots=True)
class CodeLiteral:
    """A code, written SYSTEM|code."""

    coding: Coding

    def __str__(self) -> str:
        return str(self.coding)


@dataclass(frozen=True, slots=True)
class Unary:
    """`not x` or `-x`; the operator is "not" or "negative"."""

    operator: str
    operand: Expression

    def __str__(self) -> str:
        inner = _inside(self.operand, BINDING[self.operator])
        return f"not {inner}" if self.operator == "not" else f"-{inner}"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands: and, or, a comparison, arithmetic."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        tightness = BINDING[self.operator]
        left = _inside(self.left, tightness + (self.operator in COMPARISONS))
        return f"{left} {self.operator} {_inside(self.right, tightness + 1)}"


@dataclass(frozen=True, slots=True)
class In:
    """Whether the operand equals one of several."""

    operand: Expression
    options: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} in ({', '.join(map(str, self.options))})"


@dataclass(frozen=True, slots=True)
class IsPresent:
    """Whether there is a value that isn't declared missing."""

    operand: Expression

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} is present"


@dataclass(frozen=True, slots=True)
class IsMissing:
    """Whether the value is declared missing (a blank isn't)."""

    operand: Expression

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} is missing"


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Expression = Name | Literal | CodeLiteral | Unary | Binary | In | IsPresent | IsMissing | Call


def binding(expression: Expression) -> int:
    """How tightly the outermost operator of an expression binds; 9 where it has none."""
    if isinstance(expression, Unary | Binary):
        return BINDING[expression.operator]
    return 4 if isinstance(expression, In | IsPresent | IsMissing) else 9


def _inside(expression: Expression, least: int) -> str:
    return f"({expression})" if binding(expression) < least else str(expression)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    if isinstance(expression, Unary | IsPresent | IsMissing):
        return (expression.operand,)
    if isinstance(expression, Binary):
        return (expression.left, expression.right)
    if isinstance(expression, In):
        return (expression.operand, *expression.options)
    return expression.arguments if isinstance(expression, Call) else ()


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and everything inside it."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def names(expression: Expression) -> frozenset[str]:
    """The fields or slots that an expression names.

    >>> sorted(names(Binary("<", Name("onset"), Name("surgery"))))
    ['onset', 'surgery']
    """
    return frozenset(part.name for part in walk(expression) if isinstance(part, Name))


def codes(expression: Expression) -> tuple[Coding, ...]:
    """The codes that an expression names."""
    return tuple(part.coding for part in walk(expression) if isinstance(part, CodeLiteral))
