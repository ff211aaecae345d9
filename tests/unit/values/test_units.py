"""Units and their conversion."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.values.problems import Problem
from caseweave.values.units import convert, normal_unit


@pytest.mark.parametrize(
    ("spelt", "code"),
    [("g/dl", "g/dL"), ("MM", "mm"), ("Kgs", "kg"), ("percent", "%"), ("µg/L", "ug/L"), ("μg/L", "ug/L"),
     ("x10^9/L", "10*9/L"), ("years", "a"), ("mmHg", "mm[Hg]"), ("kg/m²", "kg/m2"), ("furlong", "furlong"),
     ("mm.", "mm"), ("°C", "Cel"), ("{score}", "{score}")],
)  # fmt: skip
def test_spellings_become_ucum(spelt: str, code: str) -> None:
    assert normal_unit(spelt) == code
    assert normal_unit(code) == code


@pytest.mark.parametrize(
    ("number", "unit", "accept", "target", "converted"),
    [
        ("1.5", "cm", {"cm": 10}, "mm", "15"),
        ("1.50", "cm", {"cm": 10}, "mm", "15.0"),
        ("150", "mm", {"mm": 0.1}, "cm", "15.0"),
        ("2", "Gy", {"Gy": 100}, "cGy", "200"),
        ("150", "lb", {"[lb_av]": "0.45359237"}, "kg", "68.04"),
        ("5", "ft", {"ft": 30.48}, "cm", "152.4"),
        ("98.6", "°F", {"[degF]": {"factor": "0.5555555556", "offset": "-17.7777777778"}}, "Cel", "37.0"),
        ("4.30", "", {}, "mm", "4.30"),
        ("4.30", "Millimeter", {}, "mm", "4.30"),
        ("0", "cm", {"cm": 10}, "mm", "0"),
    ],
)
def test_conversion_keeps_the_significant_digits(
    number: str, unit: str, accept: dict[str, float], target: str, converted: str
) -> None:
    assert convert(number, unit, accept, target) == converted


def test_a_unit_that_the_field_does_not_accept_is_a_problem() -> None:
    problem = convert("3", "furlong", {"cm": 10}, "mm")
    assert isinstance(problem, Problem)
    assert (problem.rule, problem.expected) == ("unknown-unit", "a number in mm, cm")


def test_a_factor_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="isn't a factor"):
        convert("3", "cm", {"cm": "ten"}, "mm")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**6, places=3))
def test_there_and_back_by_powers_of_ten(number: Decimal) -> None:
    there = convert(str(number), "cm", {"cm": 10}, "mm")
    assert isinstance(there, str)
    back = convert(there, "mm", {"mm": "0.1"}, "cm")
    assert Decimal(str(back)) == number
