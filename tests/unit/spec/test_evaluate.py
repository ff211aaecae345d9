"""What isn't known never counts as true: three-valued logic over clinical values."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.spec.evaluate import Answer, Presence, compare, evaluate, to_value, truth
from caseweave.spec.expression import parse
from caseweave.values.types import Boolean, Code, Coding, Integer, Missing, PartialDate, Quantity, Text, Value

POSITIVE = Coding("SCT", "10828004")
PRESENCE = Presence(
    yes=frozenset({POSITIVE}),
    no=frozenset({Coding("SCT", "260385009")}),
    unknown=frozenset({Coding("SCT", "261665006")}),
)
ROW: dict[str, Value] = {
    "er": Code((POSITIVE, Coding("LNC", "LA6576-8")), "pos", "Positive"),
    "pr": Code((Coding("SCT", "260385009"),), "neg"),
    "her2": Code((Coding("SCT", "261665006"),), "unk"),
    "subtype": Code((), "luminal"),
    "ki67": Missing("not-performed", "ND"),
    "grade": Missing("unknown", "-9"),
    "hb": Quantity("12.50", "g/dL"),
    "hb_l": Quantity("125", "g/L"),
    "psa": Quantity("0.1", "ng/mL", "<"),
    "afp": Quantity("60000", "ng/mL", ">="),
    "positive_nodes": Integer(3),
    "examined_nodes": Integer(12),
    "month": PartialDate("2021-03"),
    "day": PartialDate("2021-03-15"),
    "year": PartialDate("2021"),
    "birth": PartialDate("1960-06-01"),
    "birth_year": PartialDate("1960"),
    "note": Text("see report"),
    "number_as_text": Text("12"),
    "alive": Boolean(True),
}


def answer(text: str) -> Answer:
    return evaluate(parse(text, "x.yaml", 1), ROW.get, PRESENCE)


CASES = {
    # absent and declared missing operands leave it open
    "nothing = 1": None,
    "ki67 = 10": None,
    "not nothing = 1": None,
    "nothing = 1 and er = 'pos'": None,
    "nothing = 1 and er = 'neg'": False,
    "nothing = 1 or er = 'pos'": True,
    "nothing = 1 or er = 'neg'": None,
    # presence
    "er is present": True,
    "nothing is present": False,
    "ki67 is present": False,
    "ki67 is missing": True,
    "nothing is missing": False,
    "er is not missing": True,
    # codes: local value against text, any of the codings against SYSTEM|code
    "er = 'pos'": True,
    "er = 'Positive'": False,
    "er = SCT|10828004": True,
    "er = LNC|LA6576-8": True,
    "er = SCT|260385009": False,
    "er != pr": True,
    "er in ('neg', 'pos')": True,
    "er in (SCT|260385009)": False,
    "er in ('neg', ki67)": None,
    "subtype = 'luminal'": True,
    "subtype = SCT|10828004": None,
    "er < 'pos'": None,
    "yes(er)": True,
    "no(er)": False,
    "no(pr)": True,
    "unknown(her2)": True,
    "yes(her2) or no(her2)": False,
    "unknown(grade)": True,
    "unknown(ki67)": False,
    "yes(nothing)": None,
    "not yes(ki67)": None,
    "yes(alive)": True,
    "code(er)": "10828004",
    "code(subtype)": None,
    # numbers
    "positive_nodes <= examined_nodes": True,
    "positive_nodes > 3": False,
    "hb >= 12.5": True,
    "hb = 12.5": True,
    "hb = hb_l": None,
    "hb + 1": Decimal("13.50"),
    "hb + hb_l": None,
    "positive_nodes / examined_nodes": Decimal("0.25"),
    "positive_nodes / 0": None,
    "-positive_nodes": Decimal(-3),
    "note > 3": None,
    "number_as_text = 12": None,
    "number_as_text = '12'": True,
    # censored numbers are all that they can be
    "psa < 0.2": True,
    "psa < 0.1": True,
    "psa < 0.05": None,
    "psa >= 0.1": False,
    "psa = 0.1": False,
    "afp >= 60000": True,
    "afp > 60000": None,
    "afp < 60000": False,
    "afp + 1": None,
    # partial dates are periods, and periods that overlap leave it open
    "month < '2021-04-01'": True,
    "month <= '2021-03-31'": True,
    "month >= '2021-03-01'": True,
    "month < day": None,
    "month = day": None,
    "month = '2020-03'": False,
    "year >= '2022'": False,
    "day = '2021-03-15'": True,
    "day = 'soon'": None,
    "day - '2021-03-01'": 14,
    "'2021-03-31' - day": 16,
    "month - day": None,
    "day + 20": PartialDate("2021-04-04"),
    "day - 15": PartialDate("2021-02-28"),
    "day + 0.5": None,
    "day > 3": None,
    "day = er": None,
    "age_at(birth, day)": 60,
    "age_at(birth, '2020-06-01')": 60,
    "age_at(birth, '2020-05-31')": 59,
    "age_at(birth_year, day)": None,
    "age_at(day, birth)": None,
    "months_between(birth, '1960-09-30')": 3,
    "months_between('2021-01-31', '2021-02-28')": 0,
    "months_between('2021-01', month)": 2,
    "months_between(day, '2021-01-20')": -1,
    "months_between(year, day)": None,
    "year(birth_year)": 1960,
    "year(note)": None,
    "month(day)": 3,
    "month(month)": 3,
    "month(year)": None,
    "day(day)": 15,
    "day(month)": None,
    "day('2021-03-31')": 31,
    "coalesce(nothing, ki67, positive_nodes)": Integer(3),
    "coalesce(nothing, ki67)": None,
    "alive": Boolean(True),
    "not alive": False,
    "alive = true": True,
}


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=CASES.keys())
def test_what_an_expression_is_worth(text: str, expected: Answer) -> None:
    found = answer(text)
    assert found == expected and type(found) is type(expected)


def test_answers_become_values_that_a_slot_can_hold() -> None:
    assert to_value(True) == Boolean(True)
    assert to_value(14) == Integer(14)
    assert to_value(Decimal("1954.0")) == Integer(1954)
    assert to_value(Decimal("13.50")) == Quantity("13.50", "1")
    assert to_value("x") == Text("x")
    assert to_value(PartialDate("2021")) == PartialDate("2021")
    assert to_value(None) is None


DATES = st.dates().map(lambda day: day.isoformat())
PERIODS = st.tuples(DATES, st.sampled_from([4, 7, 10])).map(lambda pair: PartialDate(pair[0][: pair[1]]))


@given(PERIODS, PERIODS)
def test_periods_compare_as_all_their_days_do(left: PartialDate, right: PartialDate) -> None:
    before = [
        left.first_day() < right.first_day(), left.first_day() < right.last_day(),
        left.last_day() < right.first_day(), left.last_day() < right.last_day(),
    ]  # fmt: skip
    expected = True if all(before) else False if not any(before) else None
    assert compare("<", left, right) is expected
    assert compare(">", right, left) is expected


NUMBERS = st.one_of(
    st.integers(-50, 50).map(Integer),
    st.builds(Quantity, st.integers(-50, 50).map(str), st.just("mm"), st.sampled_from([None, "<", "<=", ">", ">="])),
)


@given(NUMBERS, NUMBERS)
def test_comparisons_contradict_neither_each_other_nor_their_mirror(left: Value, right: Value) -> None:
    less, equal, more = (compare(sign, left, right) for sign in ("<", "=", ">"))
    assert [less, equal, more].count(True) <= 1
    assert compare(">=", left, right) is (None if less is None else not less)
    assert compare("<=", left, right) is (None if more is None else not more)
    assert compare("=", right, left) is equal
    assert compare("!=", left, right) is (None if equal is None else not equal)


KNOWN = st.sampled_from([True, False, None])


@given(KNOWN, KNOWN)
def test_and_or_not_follow_kleene(left: bool | None, right: bool | None) -> None:
    row = {"a": left, "b": right}

    def lookup(name: str) -> Value | None:
        known = row[name]
        return None if known is None else Boolean(known)

    def of(text: str) -> bool | None:
        return truth(evaluate(parse(text, "x.yaml", 1), lookup))

    assert of("a and b") is (False if False in (left, right) else None if None in (left, right) else True)
    assert of("a or b") is (True if True in (left, right) else None if None in (left, right) else False)
    assert of("not (a and b)") is of("not a or not b")
