"""A share of a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def percent(self) -> int | None:
        """Rounded, but 100 and 0 only where it is all or nothing; None of nothing."""
        if not self.whole:
            return None
        exact = 100 * self.part / self.whole
        return min(99, max(1, round(exact))) if 0 < self.part < self.whole else round(exact)
