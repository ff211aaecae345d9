"""What people type in a mapping is what the program reads: no Norway problem, no dates out of nothing, no bombs."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.errors import MappingError
from caseweave.spec.loader import load_study
from caseweave.spec.yamlfile import MAX_BYTES, Map, Quoted, Real, Seq, canonical, parse_yaml, read_yaml, scalar


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("NO", "NO"), ("yes", "yes"), ("off", "off"), ("010", "010"), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("2000-01-01", "2000-01-01"), ("12:30", "12:30"), ("true", True), ("False", False), ("~", None), ("", None),
        ("null", None), ("4.30", 4.3), ("-5", -5), ("1e3", 1000.0), (".5", 0.5), ("1..3", "1..3"), ("1.0.0", "1.0.0"),
        ("-007.5", "-007.5"), ("0", 0), ("0.5", 0.5), ("-10", -10),
        ("LNC|16112-5", "LNC|16112-5"), ("=", "="), (".inf", ".inf"), ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_bare_words_follow_the_core_schema_of_yaml_1_2(typed: str, meant: object) -> None:
    assert scalar(typed) == meant
    assert type(scalar(typed)) in (type(meant), Real)


def test_quotes_tell_a_literal_from_a_name() -> None:
    tree = parse_yaml("bare: pos\nsingle: 'pos'\ndouble: \"pos\"\nnumber: '0'\nblock: |\n  pos\n", "x.yaml")
    assert isinstance(tree, Map)
    assert [isinstance(value, Quoted) for value in tree.values()] == [False, True, True, True, True]
    assert tree["number"] == "0"


def test_numbers_keep_their_digits() -> None:
    tree = parse_yaml("a: 4.30", "x.yaml")
    assert isinstance(tree, Map) and tree["a"].text == "4.30" and tree["a"] == 4.3


def test_every_node_knows_its_line() -> None:
    tree = parse_yaml("a: 1\nb:\n  c: 2\n  d: [x,\n      y]\n# note\ne:\n  - p\n  - q\n", "x.yaml")
    assert isinstance(tree, Map)
    assert (tree.at("a"), tree.at("b"), tree.at("e")) == (1, 2, 7)
    assert (tree["b"].at("c"), tree["b"]["d"].at(1)) == (3, 5)
    assert [tree["e"].at(0), tree["e"].at(1)] == [8, 9]


def test_keys_are_text_as_written() -> None:
    tree = parse_yaml("{0: a, 010: b, NO: c, '1': d, 4.30: e}", "x.yaml")
    assert isinstance(tree, Map) and list(tree) == ["0", "010", "NO", "1", "4.30"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands here twice, first in line 1"),
        ("a: 1\nb: !!python/object/apply:os.system ['x']", 2, "the tag"),
        ("a: !local x", 1, "the tag"),
        ("a: [1, 2", 1, "not readable as YAML"),
        ("a: 1\n\tb: 2", 2, "not readable as YAML"),
        ("a: b: c", 1, "not readable as YAML"),
        ("--- 1\n--- 2", 2, "a second document"),
        ("? [a]\n: 1", 1, "a key can't be"),
        ("<<: {a: 1}", 1, "'<<' (merge)"),
        ("a: 1\n: 2", 2, "a key can't be empty"),
        ("a: &x [*x]", 1, "'*x' names no anchor"),
        ("a: *nowhere", 1, "'*nowhere' names no anchor"),
        ('a: "\\U00110000"', 1, "not readable as YAML"),
        ("a: \x01", 1, "not readable as YAML"),
        ("[" * 100, 1, "nested deeper"),
        ("a: " + "{b: " * 60, 1, "nested deeper"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse_yaml(text, "study.yaml")
    assert str(caught.value).startswith(f"study.yaml:{line}: ")
    assert problem in str(caught.value) and caught.value.way_out


def test_aliases_share_and_are_counted_as_often_as_they_are_used() -> None:
    tree = parse_yaml("a: &w {warn: [1, 2]}\nb: *w", "x.yaml")
    assert isinstance(tree, Map) and tree["b"] == {"warn": [1, 2]}
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(MappingError, match="more than 400,000 values"):
        parse_yaml(laughs, "x.yaml")


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    cases = {
        "latin.yaml": (b"a: 1\nb: C\xe1ncer\n", "latin.yaml:2: not UTF-8 text"),
        "big.yaml": (b"#" * (MAX_BYTES + 1), "larger than"),
        "list.yaml": (b"- a\n", "the top level isn't a mapping"),
        "empty.yaml": (b"", "the top level isn't a mapping"),
    }
    for name, (content, problem) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MappingError) as caught:
            read_yaml(tmp_path / name, name)
        assert problem in str(caught.value)
    with pytest.raises(MappingError, match="can't be read"):
        read_yaml(tmp_path / "none.yaml", "none.yaml")


def test_a_byte_order_mark_is_read_past(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "x.yaml", "x.yaml")[0] == {"a": 1}


def test_canonical_text_changes_with_the_content_alone() -> None:
    def same(one: str, other: str) -> bool:
        return canonical(parse_yaml(one, "a")) == canonical(parse_yaml(other, "b"))

    assert same("a: 1 # why\n\n", "{a: 1}")
    assert same("a: 'x'", 'a: "x"')
    assert not same("a: 'x'", "a: x")
    assert not same("a: 4.30", "a: 4.3")
    assert not same("{a: 1, b: 2}", "{b: 2, a: 1}")


def test_trees_travel_to_another_process() -> None:
    tree = parse_yaml("a: ['x', 4.30]\nb: {c: d}", "x.yaml")
    again = pickle.loads(pickle.dumps(tree))
    assert again == tree and again.at("b") == 2 and again["a"].at(0) == 1
    assert isinstance(again["a"][0], Quoted) and isinstance(again["a"], Seq)


PUNCTUATION = st.text(alphabet="{}[],:&*!|>'\"#-? \nab1", max_size=60)


@given(st.one_of(st.text(max_size=200), PUNCTUATION))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        parse_yaml(text, "x.yaml")
    except MappingError as error:
        line = error.data["line"]
    else:
        return
    assert line >= 1


def in_lung(lung: Path, name: str, raw: bytes) -> str:
    (lung / name).write_bytes(raw)
    with pytest.raises(MappingError) as caught:
        load_study(lung)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  sex:", "\tsex:", "diagnosis.yaml:5: .*no tabs"),
        ("  sex:", "   sex:", "diagnosis.yaml:5: .*Indent the line as its neighbours"),
        ("unit: ng/mL", "unit: %", "diagnosis.yaml:9: .*in quotes"),
        ("sheet: Diagnosis", "sheet: Diagnosis: main", "diagnosis.yaml:1: .*colon and a space in quotes"),
        ("f: GENDER|female", "f: 0123", "diagnosis.yaml:14: .*found '0123'"),
    ],
)
def test_clumsy_yaml_is_told_with_the_way_out(lung: Path, old: str, new: str, told: str) -> None:
    text = (lung / "diagnosis.yaml").read_text(encoding="utf-8")
    assert re.search(told, in_lung(lung, "diagnosis.yaml", text.replace(old, new, 1).encode()))


def test_a_csv_of_another_encoding_is_told_with_its_line(lung: Path) -> None:
    (lung / "valuesets" / "sex.yaml").unlink()
    said = in_lung(lung, "valuesets/sex.csv", "value,label_en\nf,F\u00e9male\n".encode("cp1252"))
    assert "sex.csv:2: not UTF-8 text" in said


def test_zeros_before_digits_are_kept_wherever_a_code_can_stand(lung: Path) -> None:
    (lung / "valuesets" / "sex.yaml").write_text("values: {f: {aliases: [0123, 007]}, m: {}}\n", encoding="utf-8")
    text = (lung / "study.yaml").read_text(encoding="utf-8")
    (lung / "study.yaml").write_text(text.replace("[Diagnosis, Follow-up]", "[01, 02]"), encoding="utf-8")
    study = load_study(lung)
    assert study.valuesets["sex"].values["f"].aliases == ("0123", "007")
    assert study.timepoints == ("01", "02")


def test_keys_that_stand_twice_are_all_told() -> None:
    with pytest.raises(MappingError) as caught:
        parse_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n", "x.yaml")
    assert [one.data["line"] for one in caught.value.each] == [2, 3]
