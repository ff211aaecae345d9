"""The expression language: what it takes, how it binds, and how it says what is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.errors import MappingError
from caseweave.spec.expression import (
    Binary,
    Call,
    CodeLiteral,
    Expression,
    In,
    IsMissing,
    IsPresent,
    Literal,
    Name,
    Unary,
    codes,
    names,
    parse,
)
from caseweave.values.types import Coding


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a or b and c", "a or b and c"),
        ("(a or b) and c", "(a or b) and c"),
        ("not a = b", "not a = b"),
        ("not (a and b)", "not (a and b)"),
        ("a - (b - c) - d", "a - (b - c) - d"),
        ("a * (b + 1)", "a * (b + 1)"),
        ("stage in ('II', \"III\")", 'stage in ("II", "III")'),
        ("stage not in (1, 2)", "not stage in (1, 2)"),
        ("ct is not present", "not ct is present"),
        ("ct is missing", "ct is missing"),
        ("er = SCT|10828004", "er = SCT|10828004"),
        ("m = SCT|416471007:64572001=372064008", "m = SCT|416471007:64572001=372064008"),
        ("months_between(a, b) >= 13", "months_between(a, b) >= 13"),
        ("-x + 3", "-x + 3"),
        ("a = true", "a = true"),
        ("año > 1", "año > 1"),
        ("outcome.rfs <= survival", "outcome.rfs <= survival"),
        ("anchor_year() - age", "anchor_year - age"),
        ("lesion_$i_size > 3", "lesion_$i_size > 3"),
    ],
)
def test_expressions_print_as_they_would_be_written(text: str, printed: str) -> None:
    tree = parse(text, "x.yaml", 1)
    assert str(tree) == printed
    assert parse(printed, "x.yaml", 1) == tree


def test_names_and_codes_of_an_expression() -> None:
    tree = parse("year(birth) > 1900 and er in (SCT|10828004, LNC|LA6576-8) or pr is present", "x.yaml", 1)
    assert names(tree) == {"birth", "er", "pr"}
    assert codes(tree) == (Coding("SCT", "10828004"), Coding("LNC", "LA6576-8"))


@pytest.mark.parametrize(
    ("text", "column", "problem", "way_out"),
    [
        ("", 1, "expected a value, found the end", "a name, a number"),
        ("stage >= and", 10, "expected a value, found 'and'", "a name, a number"),
        ("a < b < c", 7, "comparisons don't chain", "Join two of them with 'and'"),
        ("a = b is present", 7, "comparisons don't chain", "brackets"),
        ("age(birth)", 1, "unknown function 'age'", "age_at"),
        ("age_at(birth)", 7, "1 values in brackets", "Give 2"),
        ("a in ()", 6, "0 values in brackets", "Give 1 to 200"),
        ("a is empty", 6, "expected 'present' or 'missing', found 'empty'", "is not present"),
        ("(a or b", 8, "expected ')', found the end", "Close what is open"),
        ("a b", 3, "unexpected 'b'", "and, or, a comparison"),
        ("a && b", 3, "'&' means nothing here", "Valid"),
        ("x == 1", 4, "expected a value, found '='", "a name"),
        ("'open", 1, "means nothing here", "Valid"),
        ("__import__('os')", 1, "unknown function '__import__'", "coalesce"),
        ("a.b.c", 4, "means nothing here", "Valid"),
    ],
)
def test_errors_point_at_the_column_and_say_what_is_valid(text: str, column: int, problem: str, way_out: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse(text, "rules.yaml", 7)
    assert caught.value.data["column"] == column
    assert str(caught.value).startswith("rules.yaml:7: ")
    assert problem in str(caught.value) and way_out in caught.value.way_out


def test_length_and_depth_are_bounded() -> None:
    with pytest.raises(MappingError, match="characters"):
        parse("a" * 3000, "x.yaml", 1)
    for text in ("(" * 500 + "a" + ")" * 500, "not " * 400 + "a", "-" * 900 + "a"):
        with pytest.raises(MappingError, match="nested deeper"):
            parse(text, "x.yaml", 1)


def test_long_chains_of_one_operator_are_no_depth() -> None:
    tree = parse(" or ".join(f"a{n} = {n}" for n in range(100)), "x.yaml", 1)
    assert len(names(tree)) == 100


FIELDS = st.sampled_from(["er", "diagnosis_date", "sheet.field", "año"]).map(Name)
LITERALS = st.one_of(
    st.decimals(min_value=0, max_value=10**6, places=2).map(Literal),
    st.integers(0, 10**9).map(lambda n: Literal(Decimal(n))),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=10).map(Literal),
    st.booleans().map(Literal),
)
CODES = st.sampled_from(["SCT|10828004", "CM|c-8th_AJCC/UICC-T1c", "ICDO3|8500/3-C50.9"]).map(
    lambda text: CodeLiteral(Coding(*text.split("|", 1)))
)


def _grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    operators = st.sampled_from(["and", "or", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"])
    return st.one_of(
        st.builds(Unary, st.sampled_from(["not", "negative"]), inner),
        st.builds(Binary, operators, inner, inner),
        st.builds(In, inner, several),
        st.builds(IsPresent, inner),
        st.builds(IsMissing, inner),
        st.builds(Call, st.just("coalesce"), several),
        st.builds(Call, st.just("year"), st.tuples(inner)),
    )


@given(st.recursive(st.one_of(FIELDS, LITERALS, CODES), _grow, max_leaves=12))
def test_what_is_printed_parses_to_the_same_tree(tree: Expression) -> None:
    assert parse(str(tree), "x.yaml", 1) == tree


@given(st.text(max_size=80))
def test_any_text_parses_or_says_where_it_fails(text: str) -> None:
    try:
        tree = parse(text, "x.yaml", 1)
    except MappingError as error:
        place: int = error.data["column"]
    else:
        assert parse(str(tree), "x.yaml", 1) == tree
        return
    assert 1 <= place <= len(text) + 1


WORDS = [
    *("a", "b.c", "1", "2.5", "'x'", "SCT|1", "(", ")", ",", "and", "or", "not", "in", "is", "present", "missing"),
    *("+", "-", "*", "/", "=", "<", "!=", "year", "coalesce", "anchor_year", "true"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_any_row_of_words_parses_or_says_where_it_fails(text: str) -> None:
    try:
        tree = parse(text, "x.yaml", 1)
    except MappingError as error:
        way_out = error.way_out
    else:
        assert parse(str(tree), "x.yaml", 1) == tree
        return
    assert way_out
