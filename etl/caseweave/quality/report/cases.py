"""Completeness case by case: of the least complete patients, each sheet and each required field that is blank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.quality.report.shares import Share

MOST_CASES, MOST_FIELDS = 30, 36
FILLED, BLANK, NOT_ASKED = "filled", "blank", "not-asked"
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass
class Asked:
    """What one sheet asks of each patient: how many required cells, how many of them are filled.

    Arguments: `fields` gives, by label, whom a field was asked of, and who left it blank in some row.
    """

    whole: Counts
    part: Counts
    fields: list[tuple[str, Mask, Mask]] = field(default_factory=list)

    def add(self, label: str, whole: Counts, part: Counts) -> None:
        """Add a required field: how often it is asked of each patient, how often it is filled."""
        self.whole += whole
        self.part += part
        self.fields.append((label, whole > 0, part < whole))


@dataclass(frozen=True, slots=True)
class Case:
    """One patient: the share of required cells filled, by sheet, and the state of each required field."""

    pseudonym: str
    site: str
    sheets: tuple[Share, ...]
    states: tuple[str, ...]


def worst_cases(
    names: Sequence[str], sites: Sequence[str], asked: Sequence[Asked]
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The least complete patients, and the labels of the fields whose states they have: those most often blank.

    Arguments: `names` and `sites` of all patients, in the order of the counts in `asked`.
    """
    if not names or not asked:
        return (), ()
    whole, part = sum(one.whole for one in asked), sum(one.part for one in asked)
    share = part / np.maximum(whole, 1)
    blank = np.flatnonzero(np.asarray(part < whole))
    order = sorted(blank.tolist(), key=lambda n: (share[n], names[n]))[:MOST_CASES]
    columns = [(label, there[order], left[order]) for one in asked for label, there, left in one.fields]
    often = sorted(range(len(columns)), key=lambda n: -int(columns[n][2].sum()))[:MOST_FIELDS]
    shown = [columns[n] for n in sorted(often) if columns[n][2].any()]
    cases = []
    for row, n in enumerate(order):
        sheets = tuple(Share(int(one.part[n]), int(one.whole[n])) for one in asked)
        states = tuple(BLANK if left[row] else FILLED if there[row] else NOT_ASKED for _, there, left in shown)
        cases.append(Case(names[n], sites[n], sheets, states))
    return tuple(cases), tuple(label for label, _, _ in shown)
