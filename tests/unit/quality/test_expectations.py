"""Great Expectations finds the cells that our own engine finds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.golden.eucanimage.published import USE_CASES, UseCase, records_path
from tests.golden.test_planted_contradictions import HCC, IN_HCC, IN_ISPY, ISPY, Book, Plant, plant
from tests.unit.quality.expected import TODAY, Failure, by_expectations, by_ours, converted, ran
from tests.unit.quality.planted import planted_form

from caseweave.quality.expectations.planned import Planned
from caseweave.quality.expectations.validate import validate

SPOILERS: list[Callable[[int, str], str]] = [
    lambda n, cell: cell if n % 3 else "zzz",
    lambda n, cell: "" if n % 2 else cell,
    lambda n, cell: "-99999" if cell.isdigit() else cell,
]


def both(study: str, *paths: Path) -> tuple[set[Failure], set[Failure]]:
    made = converted(study, *paths)
    results = ran(made)
    assert {one.rule: one.unable for one in results if one.unable} == {}
    return by_ours(made), by_expectations(results)


@pytest.mark.parametrize("planted", [False, True], ids=["clean", "planted"])
def test_breast(planted: bool, tmp_path: Path) -> None:
    ours, theirs = both("breast", planted_form(tmp_path / "form.xlsx", planted=planted))
    assert theirs == ours
    assert ours


@pytest.mark.parametrize(("book", "plants"), [(HCC, IN_HCC), (ISPY, IN_ISPY)], ids=["hcc-tace", "ispy1"])
def test_public_workbooks_with_contradictions_and_without(
    book: Book, plants: list[Plant], shared: Path, tmp_path: Path
) -> None:
    ours, theirs = both(book.study, shared / book.file)
    assert theirs == ours
    plant(book, plants, shared / book.file, tmp_path / "planted.xlsx")
    more, theirs = both(book.study, tmp_path / "planted.xlsx")
    assert theirs == more
    assert len(more - ours) >= len(plants)


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: str(case.study))
def test_eucanimage_records_and_spoilt_ones(case: UseCase, shared: Path, tmp_path: Path) -> None:
    source = records_path(case, shared)
    ours, theirs = both(case.study, source)
    assert theirs == ours
    with source.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    for row, spoil in zip(rows, SPOILERS, strict=False):  # one use case has a single record
        row[1:] = [spoil(n, cell) for n, cell in enumerate(row[1:])]
    spoilt = tmp_path / "spoilt.csv"
    with spoilt.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    more, theirs = both(case.study, spoilt)
    assert theirs == more
    assert len(more) > len(ours)


def test_a_rule_that_could_not_run_neither_passed_nor_failed(tmp_path: Path) -> None:
    form = tmp_path / "form.csv"
    form.write_text("TCIA_ID,age,AFP,AFP_group\nHCC_001,41,12,<400\nHCC_002,41,500,<400\n", encoding="utf-8")
    found = {one.rule: one for one in ran(converted("hcc-tace", form))}
    lacking, broken = found["age-group-fits-age"], found["afp-group-fits-afp"]
    assert (lacking.fails, lacking.cells) == (False, ())
    assert lacking.unable == "the sources have no age_group"
    assert (broken.fails, broken.unable, broken.cells) == (True, "", (("source-1", "data-table", "D3"),))


def test_what_great_expectations_raises_is_told_as_unable_without_its_text(tmp_path: Path) -> None:
    form = tmp_path / "form.csv"
    form.write_text("TCIA_ID,age,agegp\nHCC_001,41,41-50\n", encoding="utf-8")
    made = converted("hcc-tace", form)
    text = {"column": ("age_group", "")}
    asked = [
        Planned(
            "text-as-number", "data-table", "age_group", "expect_column_values_to_be_between", text, {"max_value": 5}
        ),
        Planned("kept", "data-table", "age_group", "expect_column_values_to_not_be_null", text),
    ]
    raised, kept = validate(asked, made.study, made.applied.sheets, today=TODAY)
    assert raised.unable.startswith("Great Expectations raised ")
    assert "MetricResolutionError" in raised.unable
    assert "41-50" not in raised.unable
    assert not raised.fails
    assert (kept.fails, kept.unable) == (False, "")
