"""For whom and of what a run speaks: what it says there replaces what earlier runs said (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices

Unit = tuple[str, str]


@dataclass(frozen=True)
class Scope:
    """The units, patient by sheet, that a run speaks for.

    Arguments: `subjects` are pseudonyms, those of the facts first and in their order; behind them patients who stand in
    no sheet of a source that holds everybody. `sheets` are those that the sources contain; `keep`, those of them in
    which nothing may be retracted; `frozen`, batches whose facts stay as they are held, since a column that they are
    made of isn't in the source.
    """

    subjects: Sequence[str]
    sheets: tuple[str, ...]
    keep: frozenset[str] = frozenset()
    frozen: frozenset[int] = frozenset()

    @cached_property
    def units(self) -> list[Unit]:
        """All units by number."""
        return [(subject, sheet) for subject in self.subjects for sheet in self.sheets]

    def numbers(self, subjects: Indices, sheet: str) -> NDArray[np.int32]:
        """The units of some subjects in one sheet.

        >>> Scope(("p1", "p2"), ("a", "b")).numbers(np.array([1, 0]), "b").tolist()
        [3, 1]
        """
        return (subjects * len(self.sheets) + self.sheets.index(sheet)).astype(np.int32)

    def kept(self, units: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of some units keep what they hold."""
        of_sheet = np.array([sheet in self.keep for sheet in self.sheets], dtype=np.bool_)
        return np.asarray(of_sheet[units % max(len(self.sheets), 1)], dtype=np.bool_)
