"""Expressions over columns: evaluated once per distinct combination of the columns they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from caseweave.plan.comparisons import Side, compared
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.variants import once_per_combination
from caseweave.spec.evaluate import Answer, Presence, evaluate, to_value, truth
from caseweave.spec.syntax import COMPARISONS, Binary, Call, Expression, IsPresent, Name, Unary, names
from caseweave.values.types import Missing, PartialDate, Value

DATES_WITH = {"year": ("year", "month", "day"), "month": ("month", "day"), "day": ("day",)}  # the kinds that have it


def _answers(
    expression: Expression, columns: Mapping[str, SlotColumn], size: int, presence: Presence
) -> tuple[list[Answer], Indices]:
    # anchor_year() is a function of the language; the year itself comes as a column like any other
    named = [name for name in sorted({*names(expression), "anchor_year"}) if name in columns]
    used = [columns[name] for name in named]

    def answer(*codes: int) -> Answer:
        row = {name: column.values[code] for name, column, code in zip(named, used, codes, strict=True)}
        return evaluate(expression, row.get, presence)

    return once_per_combination([column.codes for column in used], size, answer)


def holds(expression: Expression | None, columns: Mapping[str, SlotColumn], size: int, presence: Presence) -> Mask:
    """Where a condition holds; one that can't be decided doesn't hold.

    Arguments: `columns` by name, each with `size` facts.
    """
    if expression is None:
        return np.ones(size, dtype=bool)
    if isinstance(expression, Binary) and expression.operator in ("and", "or"):
        # each side by itself: it has fewer combinations than both together
        left, right = (holds(one, columns, size, presence) for one in (expression.left, expression.right))
        return left & right if expression.operator == "and" else left | right
    if isinstance(expression, IsPresent):
        return present(expression.operand, columns, size, presence)
    if isinstance(expression, Unary) and expression.operator == "not" and isinstance(expression.operand, IsPresent):
        return ~present(expression.operand.operand, columns, size, presence)  # presence is always decided
    denied = isinstance(expression, Unary) and expression.operator == "not"
    asked = expression.operand if isinstance(expression, Unary) and denied else expression
    if isinstance(asked, Binary) and asked.operator in COMPARISONS:
        # each side by itself, for the same reason; numbers and dates are then compared for all rows at once
        sides = [_side(one, columns, size, presence) for one in (asked.left, asked.right)]
        found = compared(asked.operator, *sides)
        if found is not None:
            return found[denied]
    answers, which = _answers(expression, columns, size, presence)
    return np.asarray([truth(answer) is True for answer in answers], dtype=np.bool_)[which]


def _side(operand: Expression, columns: Mapping[str, SlotColumn], size: int, presence: Presence) -> Side:
    if isinstance(operand, Name) and operand.name in columns:
        column = columns[operand.name]
        return Side(column.values, column.codes)
    return Side(*_answers(operand, columns, size, presence))


def present(operand: Expression, columns: Mapping[str, SlotColumn], size: int, presence: Presence) -> Mask:
    """Where an operand has a value; told from the kinds of the values where that suffices, as for `year(at)`."""
    match operand:
        case Call("coalesce", arguments):
            masks = [present(one, columns, size, presence) for one in arguments]
            return np.asarray(np.any(masks, axis=0), dtype=np.bool_)
        case Call(function, (Name(name),)) if function in DATES_WITH and name in columns:
            column, kinds = columns[name], DATES_WITH[function]
            given = [isinstance(value, PartialDate) and value.kind in kinds for value in column.values]
        case Name(name) if name in columns:
            return columns[name].given()
        case _:
            answers, which = _answers(operand, columns, size, presence)
            column, given = SlotColumn(which, []), [not (one is None or isinstance(one, Missing)) for one in answers]
    return np.asarray(given, dtype=np.bool_)[column.codes]


def computed(expression: Expression, columns: Mapping[str, SlotColumn], size: int, presence: Presence) -> SlotColumn:
    """The value of an expression in each fact, as a column."""
    fields = tuple(sorted(names(expression)))
    if isinstance(expression, Name) and expression.name in columns:
        return replace(columns[expression.name], fields=fields)
    if isinstance(expression, Call) and expression.function == "coalesce":
        # each argument by itself: it has fewer combinations than all together
        return _first_of([computed(one, columns, size, presence) for one in expression.arguments], fields)
    answers, which = _answers(expression, columns, size, presence)
    return from_answers([to_value(answer) for answer in answers], which, fields)


def _first_of(columns: Sequence[SlotColumn], fields: tuple[str, ...]) -> SlotColumn:
    """The first value that is given in each fact."""
    values: list[Value | None] = [None]
    codes = np.zeros(len(columns[0].codes), dtype=np.int64)
    for column in columns:
        codes = np.where((codes == 0) & column.given(), column.codes + len(values), codes)
        values += column.values
    return from_answers(values, codes.astype(np.int32), fields)


def from_answers(answers: Sequence[Value | None], which: Indices, fields: tuple[str, ...]) -> SlotColumn:
    """A column out of one answer per combination; equal answers share a code."""
    distinct: dict[Value | None, int] = {None: 0}
    codes = np.array([distinct.setdefault(answer, len(distinct)) for answer in answers], dtype=np.int32)
    return SlotColumn(codes[which], list(distinct), fields)
