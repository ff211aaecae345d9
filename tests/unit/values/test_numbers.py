"""Numbers as clinicians type them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.values.grid import RawCell
from caseweave.values.numbers import Number, NumberRules, parse_number
from caseweave.values.problems import Problem
from caseweave.values.types import CellError

POINT = NumberRules(decimal=(".",))
COMMA = NumberRules(decimal=(",",))
ENGLISH = NumberRules(decimal=(".",), thousands=",")
SPANISH = NumberRules(decimal=(",",), thousands=".")
FRENCH = NumberRules(decimal=(",",), thousands=" ")
SWISS = NumberRules(decimal=(".",), thousands="'")
COUNT = NumberRules(integer=True)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("4.30", "4.30"),
        (4.3, "4.3"),
        (566530.0, "566530"),
        (566530, "566530"),
        (0.1 + 0.2, "0.3"),
        (1e-7, "0.0000001"),
        ("0,10", "0.10"),
        (".5", "0.5"),
        ("5.", "5"),
        ("007", "7"),
        ("0.000", "0.000"),
        ("1e5", "100000"),
        ("1.5E-3", "0.0015"),
        ("\u22125,2", "-5.2"),
        ("-0", "0"),
        ("+3", "3"),
        ("\u00a0 12.50\u202f", "12.50"),
        ("1234,567", "1234.567"),
        ("0,123", "0.123"),
    ],
)
def test_a_number_keeps_its_digits(typed: RawCell, text: str) -> None:
    assert parse_number(typed) == Number(text)


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("<0,1", Number("0.1", "<")),
        ("< 0.1", Number("0.1", "<")),
        ("≥ 5", Number("5", ">=")),
        ("=<5", Number("5", "<=")),
        (">200 ng/mL", Number("200", ">", "ng/mL")),
        ("12 mm", Number("12", None, "mm")),
        ("12,5mm", Number("12.5", None, "mm")),
        ("45%", Number("45", None, "%")),
        ("5 x10^9/L", Number("5", None, "x10^9/L")),
        ("5 10^9/L", Number("5", None, "10^9/L")),
        ("36,6 °C", Number("36.6", None, "°C")),
        ("12 µm", Number("12", None, "µm")),
    ],
)
def test_comparators_and_units_in_the_cell_are_told_apart(typed: str, number: Number) -> None:
    assert parse_number(typed) == number


@pytest.mark.parametrize("typed", ["1,234", "1.234", "12,345", "999,999 mm", "1 234", "1'234", "-1,234", "<1,234"])
def test_what_can_be_two_numbers_is_none(typed: str) -> None:
    problem = parse_number(typed)
    assert isinstance(problem, Problem)
    assert problem.rule == "ambiguous-number"


@pytest.mark.parametrize(
    ("typed", "rules", "text"),
    [
        ("1.234", POINT, "1.234"),
        ("1,234", COMMA, "1.234"),
        ("1,234", ENGLISH, "1234"),
        ("1,234.50", ENGLISH, "1234.50"),
        ("1,234,567", ENGLISH, "1234567"),
        ("1.234", SPANISH, "1234"),
        ("1.234,50", SPANISH, "1234.50"),
        ("1 234,50", FRENCH, "1234.50"),
        ("1\u202f234\u202f567", FRENCH, "1234567"),
        ("1’234.5", SWISS, "1234.5"),
    ],
)
def test_a_study_declares_its_marks(typed: str, rules: NumberRules, text: str) -> None:
    assert parse_number(typed, rules) == Number(text)


@pytest.mark.parametrize(
    "typed",
    ["abc", "", " ", "NA", "N/A", "3-5", "5 cm x 3 cm", "1..2", "1,2,3", "²", "1,23,456", "--5", "mm",
     "1e99", "9" * 50],
)  # fmt: skip
def test_other_texts_are_no_numbers(typed: str) -> None:
    problem = parse_number(typed)
    assert isinstance(problem, Problem)
    assert problem.rule == "not-a-number"


@pytest.mark.parametrize(
    "raw", [True, None, datetime.date(2020, 7, 8), datetime.time(8, 7), float("nan"), float("inf")]
)
def test_other_cells_are_no_numbers(raw: RawCell) -> None:
    problem = parse_number(raw)
    assert isinstance(problem, Problem)
    assert problem.rule == "not-a-number"


def test_marks_that_nobody_declared_are_suggested_without() -> None:
    problem = parse_number("1,234.5")
    assert isinstance(problem, Problem)
    assert (problem.rule, problem.suggestion) == ("not-a-number", "1234.5")


def test_an_excel_error_says_so() -> None:
    problem = parse_number(CellError("#N/A"))
    assert isinstance(problem, Problem)
    assert problem.rule == "cell-error"


@pytest.mark.parametrize(
    ("raw", "outcome"), [(5, "5"), ("5.0", "5"), (5.0, "5"), ("5,00", "5"), ("5.5", "not-an-integer")]
)
def test_counts_are_whole(raw: RawCell, outcome: str) -> None:
    found = parse_number(raw, COUNT)
    assert (found.text if isinstance(found, Number) else found.rule) == outcome


def test_censored_numbers_can_be_refused() -> None:
    for rules in (NumberRules(censored="reject"), COUNT):
        problem = parse_number("<5", rules)
        assert isinstance(problem, Problem)
        assert problem.rule == "censored-number"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4))
def test_every_plain_decimal_survives(number: Decimal) -> None:
    for text in (format(number, "f"), format(number, "f").replace(".", ",")):
        found = parse_number(text)
        assert isinstance(found, Number)
        assert Decimal(found.text) == number


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_every_excel_number_survives_to_15_digits(number: float) -> None:
    found = parse_number(number)
    assert isinstance(found, Number)
    assert float(found.text) == float(format(number, ".15g"))


@given(st.text(max_size=30) | st.text(alphabet="0123456789.,' <>-+eE%mM/ \u00a0", max_size=16))
def test_no_text_breaks_the_parser_and_nothing_typed_stands_in_a_message(text: str) -> None:
    for rules in (NumberRules(), ENGLISH, SPANISH, COUNT):
        found = parse_number(text, rules)
        if isinstance(found, Number):
            Decimal(found.text)
        else:
            assert found.message
            assert found == parse_number(text, rules)
