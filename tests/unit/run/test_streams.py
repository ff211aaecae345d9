"""Two streams of one study: a fact stands while either says it; where they disagree, that is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.run.registry import deliver, fhir, filled, omop, periods, workbook


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A workspace into which the filled form has been run."""
    deliver(tmp_path / "workspace", workbook(tmp_path / "form.xlsx", filled()))
    return tmp_path / "workspace"


def test_a_second_stream_that_says_the_same_writes_nothing_and_keeps_it_standing(first: Path, tmp_path: Path) -> None:
    before = fhir(first), omop(first), periods(first)
    outcome = deliver(first, tmp_path / "form.xlsx", stream="registry")
    for target in outcome.manifest["targets"].values():
        assert (target["new"], target["changed"], target["retracted"]) == (0, 0, 0)
    rows = filled()
    rows["Visits"] = rows["Visits"][2:]
    deliver(first, workbook(tmp_path / "shorter.xlsx", rows))  # the first stream takes two visits back
    assert (fhir(first), omop(first), periods(first)) == before
    deliver(first, tmp_path / "shorter.xlsx", stream="registry")  # and now the second too
    assert len(fhir(first)) == len(before[0]) - 4
    assert len(omop(first)) == len(before[1]) - 4


def test_two_streams_that_disagree_are_told_and_the_first_stands(first: Path, tmp_path: Path) -> None:
    before = fhir(first), omop(first)
    rows = filled()
    rows["Patients"][4][5] = 15.5
    outcome = deliver(first, workbook(tmp_path / "other.xlsx", rows), stream="registry")
    assert (outcome.exit_code, outcome.manifest["findings"]["error"]) == (1, 1)
    assert "streams-disagree,source-1,patients,F6" in (first / "findings.csv").read_text(encoding="utf-8")
    assert (fhir(first), omop(first)) == before


def test_a_second_stream_adds_what_is_new(first: Path, tmp_path: Path) -> None:
    rows = filled()
    more = {"Patients": rows["Patients"][:1], "Visits": [["P000", 3, "2022-05-06", 9, 70.0]]}
    outcome = deliver(first, workbook(tmp_path / "more.xlsx", more), stream="registry")
    assert outcome.manifest["targets"]["fhir"]["new"] == outcome.manifest["targets"]["omop"]["new"] == 2
    assert ("2020-03-01", "2022-05-06") in periods(first)
