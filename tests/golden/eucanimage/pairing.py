"""Pairs published statements with ours: same record, variable, type, code and value, or a line of the differences."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.golden.eucanimage.published import Statement

DIFFERENCES = Path(__file__).with_name("differences.csv")
COLUMNS = (
    "record",
    "variable",
    "published_code",
    "published_value",
    "our_variable",
    "our_code",
    "our_value",
    "reason",
    "codebook",
)


@dataclass(frozen=True)
class Difference:
    """One line of differences.csv; several reasons are divided by spaces, empty codes stand for no statement."""

    record: str
    variable: str
    published_code: str
    published_value: str
    our_variable: str
    our_code: str
    our_value: str
    reason: str
    codebook: str

    @property
    def reasons(self) -> list[str]:
        return self.reason.split()

    @property
    def published(self) -> tuple[str, str, str, str]:
        return self.record, self.variable, self.published_code, self.published_value

    @property
    def ours(self) -> tuple[str, str, str, str]:
        return self.record, self.our_variable, self.our_code, self.our_value


def read_differences() -> list[Difference]:
    """The differences file."""
    with DIFFERENCES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        assert tuple(rows.fieldnames or ()) == COLUMNS
        return [Difference(**row) for row in rows]


def same(published: Statement, ours: Statement) -> bool:
    """Whether ours says all that was published, of the same code."""
    return (
        (published.record, published.variable, published.type) == (ours.record, ours.variable, ours.type)
        and published.code in ours.codes
        and published.parts <= ours.parts
    )


def pair(published: Iterable[Statement], ours: Iterable[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Take away what pairs, each statement of ours once; return what is left of both."""
    free = list(ours)
    left: list[Statement] = []
    for one in published:
        match = next((other for other in free if same(one, other)), None)
        if match is None:
            left.append(one)
        else:
            free.remove(match)
    return left, free


def key(statement: Statement) -> tuple[str, str, str, str]:
    """What tells a statement from the others."""
    return statement.record, statement.variable, statement.code, statement.value
