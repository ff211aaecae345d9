"""Dates of a study without a calendar: the anchor and an interval, which may be any number that somebody typed."""

from __future__ import annotations

import datetime

import pytest

from caseweave.targets.omop.columns import after_anchor
from caseweave.values.types import Quantity


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        ("10", "d", "2000-01-11"),
        ("2", "wk", "2000-01-15"),
        ("13.5", "mo", "2001-02-16"),
        ("-1", "a", "1999-01-01"),
        ("10", "mg", None),
        ("98765012345", "d", None),
        ("9e400", "d", None),
        ("9e400", "mo", None),
        ("-99999", "a", None),
    ],
)
def test_an_interval_that_leaves_the_calendar_is_no_date(number: str, unit: str, expected: str | None) -> None:
    assert after_anchor(datetime.date(2000, 1, 1))(Quantity(number, unit)) == expected
