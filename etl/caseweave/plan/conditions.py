"""Expressions over columns: evaluated once per distinct combination of the columns they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.variants import once_per_combination
from caseweave.spec.evaluate import Answer, Presence, evaluate, to_value, truth
from caseweave.spec.expression import Binary, Expression, names
from caseweave.values.types import Value


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
    answers, which = _answers(expression, columns, size, presence)
    return np.asarray([truth(answer) is True for answer in answers], dtype=np.bool_)[which]


def computed(expression: Expression, columns: Mapping[str, SlotColumn], size: int, presence: Presence) -> SlotColumn:
    """The value of an expression in each fact, as a column."""
    answers, which = _answers(expression, columns, size, presence)
    return from_answers([to_value(answer) for answer in answers], which, tuple(sorted(names(expression))))


def from_answers(answers: Sequence[Value | None], which: Indices, fields: tuple[str, ...]) -> SlotColumn:
    """A column out of one answer per combination; equal answers share a code."""
    distinct: dict[Value | None, int] = {None: 0}
    codes = np.array([distinct.setdefault(answer, len(distinct)) for answer in answers], dtype=np.int32)
    return SlotColumn(codes[which], list(distinct), fields)
