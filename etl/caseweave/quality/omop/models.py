"""A check of an OMOP database, and its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passed", "failed", "not applicable", "could not run"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "not applicable", "could not run")
Summary = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a database.

    Arguments: `threshold`, up to which share of rows in percent may fail; `source` behind FROM, `total` and `where`,
    the conditions of a row that is asked and of one that fails ("" where no rows are asked); `key`, table and column
    of the keys of these rows; `needs`, the fields without which nothing can be asked; `filled`, whether only rows are
    asked in which `field` is filled.
    """

    id: str
    name: str
    table: str
    field: str
    category: str
    subcategory: str
    context: str
    asks: str
    threshold: float
    needs: tuple[tuple[str, str], ...] = ()
    source: str = ""
    total: str = ""
    where: str = ""
    key: tuple[str, str] | None = None
    filled: bool = False

    @property
    def sql(self) -> str:
        """The statement that counts the rows that fail and those that were asked; "" where none are."""
        return f"SELECT {counting(self)} FROM {self.source}" if self.source else ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check.

    Arguments: `violated` of `total` rows; `why` it doesn't apply or couldn't run; `rows`, the first that fail, as
    `measurement:12`; `places`, the cells that each of these was made of, where that is known.
    """

    check: Check
    status: Status
    violated: int = 0
    total: int = 0
    why: str = ""
    rows: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """How many in a hundred fail."""
        return 100 * self.violated / self.total if self.total else 0.0


def counting(check: Check) -> str:
    """The two columns of a check: rows that fail, rows that were asked."""
    return (
        f"coalesce(sum(CASE WHEN ({check.total}) AND ({check.where}) THEN 1 ELSE 0 END), 0), "
        f"coalesce(sum(CASE WHEN {check.total} THEN 1 ELSE 0 END), 0)"
    )


def summary(results: Iterable[Result]) -> Summary:
    """How many checks of each Kahn category came to what.

    >>> summary([])["completeness"]
    {'passed': 0, 'failed': 0, 'not applicable': 0, 'could not run': 0}
    """
    found = Counter((one.check.category, one.status) for one in results)
    categories = ("conformance", "completeness", "plausibility")
    return {name: {status: found[name, status] for status in STATUSES} for name in categories}
