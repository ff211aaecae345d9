"""Where a value can't stand in its element although its kind could, and where a period is reversed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from caseweave.plan.facts import Mask, SlotColumn
from caseweave.targets.fhir.fragments import Coder, chosen_type, fragment
from caseweave.targets.fhir.nodes import Nested, Reversed, Unwritable
from caseweave.values.types import PartialDate, Value


def where(one: Unwritable | Reversed | Nested, slots: Mapping[str, SlotColumn], size: int, coder: Coder) -> Mask:
    """Which facts of a batch, `size` of them, are concerned; once per distinct value."""
    if isinstance(one, Reversed | Nested):
        start, end = slots.get(one.start), slots.get(one.end)
        if start is None or end is None:
            return np.zeros(size, dtype=bool)
        return _reversed(start, end) if isinstance(one, Reversed) else _nested(start, end)
    slot = slots.get(one.slot)
    if slot is None:
        return np.zeros(size, dtype=bool)
    return np.array([_unwritable(one, value, coder) for value in slot.values], dtype=bool)[slot.codes]


def _unwritable(one: Unwritable, value: Value | None, coder: Coder) -> bool:
    chosen = None if value is None else chosen_type(value.kind, one.types, one.choice)
    return value is not None and chosen is not None and fragment(value, chosen, coder) is None


def _reversed(start: SlotColumn, end: SlotColumn) -> Mask:
    # of partial dates the whole period counts: 2021 doesn't end before 2021-03
    first = np.array([one.first_day().toordinal() if isinstance(one, PartialDate) else 0 for one in start.values])
    last = np.array([one.last_day().toordinal() if isinstance(one, PartialDate) else 10**7 for one in end.values])
    mask: Mask = last[end.codes] < first[start.codes]
    return mask


def _nested(start: SlotColumn, end: SlotColumn) -> Mask:
    spans = [
        np.array(
            [(one.first_day().toordinal(), one.last_day().toordinal()) if isinstance(one, PartialDate) else (0, -1)
             for one in slot.values]
        )[slot.codes].reshape(-1, 2)
        for slot in (start, end)
    ]  # fmt: skip
    (first, last), (other_first, other_last) = (span.T for span in spans)
    there = (last >= first) & (other_last >= other_first)
    holds = (first <= other_first) & (last >= other_last)
    held = (other_first <= first) & (other_last >= last)
    mask: Mask = there & (holds ^ held)  # both: the same date, or the same month, which can be compared
    return mask
