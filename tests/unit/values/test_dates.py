"""Dates as clinicians type them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.values.dates import DateRules, parse_date
from caseweave.values.grid import RawCell
from caseweave.values.problems import Problem
from caseweave.values.types import CellError, PartialDate

TODAY = datetime.date(2024, 6, 1)


def rules(**changes: object) -> DateRules:
    return DateRules(**{"today": TODAY, **changes})  # type: ignore[arg-type]


def outcome(raw: RawCell, **changes: object) -> str:
    """The date read, or the rule that was broken."""
    found = parse_date(raw, rules(**changes))
    return found.iso if isinstance(found, PartialDate) else found.rule


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2, 23, 59), "2020-01-02"),
        ("2020-01-02", "2020-01-02"),
        ("2020-1-2", "2020-01-02"),
        ("2020/01/02", "2020-01-02"),
        ("2020-03-04T10:20:30Z", "2020-03-04"),
        ("2020-03-04 10:20", "2020-03-04"),
        ("\u00a02020-01-02 ", "2020-01-02"),
        ("31.12.2020", "2020-12-31"),
        ("3.4.2020", "2020-04-03"),
        ("2021-03", "2021-03"),
        ("2021", "2021"),
        (2021, "2021"),
        (2021.0, "2021"),
    ],
)
def test_dates_to_the_day_the_month_and_the_year(raw: RawCell, iso: str) -> None:
    assert outcome(raw) == iso


@pytest.mark.parametrize(
    "raw",
    ["2020-02-31", "1960-13-45", "2020-00-10", "30.02.2020", "2019-02-29", "x", "", "5", 0, -1, True, None,
     datetime.time(0, 0), datetime.timedelta(1), float("nan")],
)  # fmt: skip
def test_what_is_no_day_is_no_date(raw: RawCell) -> None:
    assert outcome(raw) == "not-a-date"


def test_day_and_month_are_never_guessed() -> None:
    assert outcome("03/04/2020") == "ambiguous-date"
    assert outcome("03-04-2020") == "ambiguous-date"
    assert outcome("31.12.20") == "ambiguous-date"
    assert outcome("31/12/2020") == "not-a-date"
    problem = parse_date("31/12/2020", rules())
    assert isinstance(problem, Problem)
    assert problem.suggestion == "2020-12-31"


def test_a_study_declares_the_order() -> None:
    assert outcome("03/04/2020", order="DMY") == "2020-04-03"
    assert outcome("03/04/2020", order="MDY") == "2020-03-04"
    assert outcome("31/12/2020", order="MDY") == "not-a-date"
    assert outcome("03/04/2020", accept=("DD/MM/YYYY",)) == "2020-04-03"


def test_two_accepted_formats_can_contradict() -> None:
    both = ("DD/MM/YYYY", "MM/DD/YYYY")
    assert outcome("03/04/2020", accept=both) == "ambiguous-date"
    assert outcome("04/04/2020", accept=both) == "2020-04-04"
    assert outcome("13/04/2020", accept=both) == "2020-04-13"
    assert outcome("03/04/2020", accept=both, ambiguous="order", order="MDY") == "2020-03-04"


@pytest.mark.parametrize(
    ("typed", "iso"),
    [("12 March 2020", "2020-03-12"), ("12-mar-2020", "2020-03-12"), ("12 Marzo 2020", "2020-03-12"),
     ("12. März 2020", "2020-03-12"), ("1 août 2020", "2020-08-01"), ("3 Dez. 2020", "2020-12-03")],
)  # fmt: skip
def test_months_have_names_in_many_languages(typed: str, iso: str) -> None:
    assert outcome(typed, accept=("DD MMM YYYY",)) == iso
    assert outcome(typed) == "not-a-date"


def test_bare_numbers_are_days_only_where_that_is_declared() -> None:
    assert outcome(43831) == "ambiguous-date"
    assert outcome(43831, accept=("excel-serial",)) == "2020-01-01"
    assert outcome(20200304) == "not-a-date"
    assert outcome(20200304, accept=("YYYYMMDD",)) == "2020-03-04"
    assert outcome("20200304", accept=("YYYYMMDD",)) == "2020-03-04"


def test_excel_dates_only_where_they_are_accepted() -> None:
    assert outcome(datetime.date(2020, 1, 2), accept=("YYYY-MM-DD",)) == "not-a-date"


def test_time_has_bounds() -> None:
    assert outcome("2024-06-01") == "2024-06-01"
    assert outcome("2024-06-02") == "future-date"
    assert outcome("2024-06") == "2024-06"
    assert outcome("2025") == "future-date"
    assert outcome("2025", future="allow") == "2025"
    assert outcome("1849-12-31") == "implausible-date"


def test_a_field_says_how_coarse_a_date_may_be() -> None:
    assert outcome("2021-03", precision="day") == "too-coarse"
    assert outcome("2021-03", precision="month") == "2021-03"
    assert outcome("2021", precision="month") == "too-coarse"
    assert outcome("2021", partial="reject") == "too-coarse"


def test_an_excel_error_says_so() -> None:
    assert outcome(CellError("#REF!")) == "cell-error"


@pytest.mark.parametrize("format_", ["DD.MM.YY", "YYYY-DD", "foo", "", "YYYY-MM-MM", "DD"])
def test_formats_are_checked_when_a_study_is_loaded(format_: str) -> None:
    with pytest.raises(ValueError, match="isn't a date format"):
        DateRules(accept=(format_,))


@given(st.dates(min_value=datetime.date(1850, 1, 1), max_value=TODAY))
def test_every_day_is_read_in_every_declared_way(day: datetime.date) -> None:
    for format_, typed in {
        "YYYY-MM-DD": day.isoformat(),
        "DD.MM.YYYY": day.strftime("%d.%m.") + f"{day.year:04}",
        "MM/DD/YYYY": day.strftime("%m/%d/") + f"{day.year:04}",
        "YYYYMMDD": day.isoformat().replace("-", ""),
    }.items():
        assert outcome(typed, accept=(format_,)) == day.isoformat()


@given(st.text(max_size=24) | st.text(alphabet="0123456789-./ :TZ", max_size=14) | st.floats() | st.integers())
def test_no_cell_breaks_the_parser(raw: str | float) -> None:
    for changes in ({}, {"order": "DMY"}, {"accept": ("excel-serial", "DD MMM YYYY", "YYYY")}):
        found = parse_date(raw, rules(**changes))
        if isinstance(found, PartialDate):
            assert found.first_day() <= TODAY
        else:
            assert found.message
