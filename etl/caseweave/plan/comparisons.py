"""Numbers and dates compared column by column: what `compare` says of pairs of values, told for all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices, Mask
from caseweave.spec.evaluate import Answer, Span, span
from caseweave.values.types import Integer, Missing, PartialDate, Quantity

NOTHING = Span(Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: `answers[codes[n]]` in row n."""

    answers: Sequence[Answer]
    codes: Indices


@dataclass(frozen=True, slots=True)
class _Spans:
    """What a side can be in each row, its ends as places in the order of all ends of both sides."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    open_low: Mask
    open_high: Mask
    given: Mask
    dated: Mask
    unit: NDArray[np.int64]


def compared(operator: str, left: Side, right: Side) -> tuple[Mask, Mask] | None:
    """Where a comparison is true, and where it is false; None where a side holds what is neither number nor date.

    >>> from caseweave.values.types import Integer
    >>> ages, one = Side([None, Integer(17), Integer(40)], np.array([0, 1, 2])), np.zeros(3, dtype=np.int32)
    >>> true, false = compared(">=", ages, Side([Decimal(18)], one))
    >>> true.tolist(), false.tolist()
    ([False, False, True], [False, True, False])
    """
    if not all(_is_ordered(answer) for side in (left, right) for answer in side.answers):
        return None
    if operator == "!=":
        false, true = _decided("=", left, right)
        return true, false
    if operator in (">", ">="):
        return _decided("<" + operator[1:], right, left)
    return _decided(operator, left, right)


def _is_ordered(answer: Answer) -> bool:
    if isinstance(answer, bool):
        return False
    return answer is None or isinstance(answer, Integer | Quantity | PartialDate | Missing | Decimal | int)


def _decided(operator: str, left: Side, right: Side) -> tuple[Mask, Mask]:
    """As `compare` and its spans have it, for <, <= and =."""
    spans = [[_span(answer) for answer in side.answers] for side in (left, right)]
    ends = sorted({end for side in spans for one in side if one is not None for end in (one.low, one.high)})
    places = {end: place for place, end in enumerate(ends)}
    units: dict[str, int] = {}
    a, b = (_spans(side, found, places, units) for side, found in zip((left, right), spans, strict=True))
    touches = a.high == b.low
    below = (a.high < b.low) | (touches & (a.open_high | b.open_low))
    above = (b.high < a.low) | ((b.high == a.low) & (b.open_high | a.open_low))
    if operator == "<":
        true, false = below, above | (b.high == a.low)
    elif operator == "<=":
        true, false = below | touches, above
    else:
        true, false = (a.low == a.high) & touches & (b.low == b.high) & ~below & ~above, below | above
    comparable = a.given & b.given & (a.dated == b.dated) & ((a.unit == b.unit) | (a.unit < 0) | (b.unit < 0))
    return true & comparable, false & ~true & comparable


def _span(answer: Answer) -> Span | None:
    return None if isinstance(answer, Missing) else span(answer)


def _spans(side: Side, found: Sequence[Span | None], places: dict[Decimal, int], units: dict[str, int]) -> _Spans:
    def column(values: list[int]) -> NDArray[np.int64]:
        return np.array(values, dtype=np.int64)[side.codes]

    def mask(values: list[bool]) -> Mask:
        return np.array(values, dtype=np.bool_)[side.codes]

    known = [one or NOTHING for one in found]
    return _Spans(
        low=column([places.get(one.low, 0) for one in known]),
        high=column([places.get(one.high, 0) for one in known]),
        open_low=mask([one.open_low for one in known]),
        open_high=mask([one.open_high for one in known]),
        given=mask([one is not None for one in found]),
        dated=mask([isinstance(answer, PartialDate) for answer in side.answers]),
        unit=column(
            [
                units.setdefault(answer.unit, len(units)) if isinstance(answer, Quantity) else -1
                for answer in side.answers
            ]
        ),
    )
