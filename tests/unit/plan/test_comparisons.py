"""Columns are compared as single values are: the same answer for every pair, known, unknown or half known."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import numpy as np
import pytest

from caseweave.plan.comparisons import Side, compared
from caseweave.plan.conditions import holds
from caseweave.plan.facts import SlotColumn
from caseweave.spec.evaluate import Answer, Presence, compare
from caseweave.spec.expression import parse
from caseweave.spec.syntax import COMPARISONS
from caseweave.values.types import Integer, Missing, PartialDate, Quantity, Text

VALUES: list[Answer] = [
    None, Missing("unknown"), Integer(2), Integer(3), Decimal("2.50"), 3,
    *(Quantity(number, unit) for number in ("2.5", "2.50", "3") for unit in ("mm", "1")),
    *(Quantity("2.5", "mm", sign) for sign in ("<", "<=", ">", ">=")), Quantity("3", "mm", "<"),
    Quantity("0.1000000000000000055511151231257827", "1"), Quantity("0.1", "1"),
    *map(PartialDate, ("2021", "2021-03", "2021-03-01", "2021-03-15", "2021-12", "2022-01-01", "2020-02")),
]  # fmt: skip


@pytest.mark.parametrize("operator", COMPARISONS)
def test_every_pair_of_values(operator: str) -> None:
    pairs = list(product(range(len(VALUES)), repeat=2))
    left, right = (Side(VALUES, np.array(codes, dtype=np.int32)) for codes in zip(*pairs, strict=True))
    found = compared(operator, left, right)
    assert found is not None
    for (a, b), true, false in zip(pairs, *(mask.tolist() for mask in found), strict=True):
        answer = compare(operator, VALUES[a], VALUES[b])
        assert (true, false) == (answer is True, answer is False), (VALUES[a], operator, VALUES[b])


@pytest.mark.parametrize("other", [Text("2021-03"), "2021-03", True])
def test_what_is_neither_number_nor_date_is_left_to_single_values(other: Answer) -> None:
    one = np.zeros(1, dtype=np.int32)
    assert compared("<", Side([PartialDate("2021")], one), Side([other], one)) is None


def test_the_negative_of_a_comparison_holds_nowhere() -> None:
    columns = {"age": SlotColumn(np.array([1, 2], dtype=np.int32), [None, Integer(1), Integer(9)])}
    for text, expected in (("age < 5", [True, False]), ("not age < 5", [False, True]), ("-(age < 5)", [False, False])):
        assert holds(parse(text, "rules.yaml", 1), columns, 2, Presence()).tolist() == expected, text
