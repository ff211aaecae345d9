"""`caseweave lint`: faults with file and line, examples run, exit codes."""

from __future__ import annotations

from typing import Any

import pytest

EXAMPLE = """\
examples:
  - row: {pid: A1, sex: f, birth: 1960-01-02, dx: 2020-02-03, er: pos, weight: 61.30}
    sheets: {visits: {pid: A1, n: 1, at: 2020-03-03, ki67: 20}}
    expect:
      facts: {er: SCT|10828004, weight: "61.30", cancer: SCT|254837009, visits.ki67: 20}
      fhir: {Patient: 1, Condition: 1, Observation: 3}
      omop: {person: 1, condition_occurrence: 1, measurement: 3}
      findings: []
"""


def main_yaml(bench: Any, change: tuple[str, str] = ("", ""), more: str = EXAMPLE) -> None:
    path = bench.studies / "mini" / "main.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(*change) + more, encoding="utf-8")


def test_a_sound_study_is_0(bench: Any) -> None:
    main_yaml(bench)
    said = bench("lint", "mini", "--studies", bench.studies)
    assert said.code == 0, said.out
    assert said.out.splitlines()[-1].startswith("mini: ")
    assert "error" not in said.out


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("weight: 61.30", "weight: abc", "not-a-number"),
        ("Observation: 3", "Observation: 2", "3 Observation in FHIR, expected 2"),
        ("person: 1", "person: 2", "1 person in OMOP, expected 2"),
        ("visits.ki67: 20", "visits.ki67: 21", "fact 'visits.ki67' is 20 %, expected 21"),
        ("findings: []", "findings: [partial-date]", "findings are none, expected partial-date"),
        ("weight: 61.30}", "weight: 61.30, wait: 1}", "findings are unknown-column, expected none"),
    ],
)
def test_an_example_that_fails_is_2(bench: Any, old: str, new: str, problem: str) -> None:
    main_yaml(bench, more=EXAMPLE.replace(old, new, 1))
    said = bench("lint", "mini", "--studies", bench.studies)
    assert said.code == 2
    faults = [line for line in said.out.splitlines() if "the example fails" in line]
    assert any(problem in line and line.startswith("mini/main.yaml:15: error: ") for line in faults), said.out


def test_a_study_that_does_not_load_has_its_line(bench: Any) -> None:
    main_yaml(bench, ("values: posneg", "values: posneq"), "")
    said = bench("lint", "mini", "hcc-tace", "--studies", bench.studies)
    assert said.code == 2
    assert said.out.startswith("mini/main.yaml:8: error: ")
    assert "posneg" in said.out  # what would be valid
    assert said.out.splitlines()[-1].startswith("hcc-tace: ")  # the next one is still proved


def test_json(bench: Any) -> None:
    main_yaml(bench, more=EXAMPLE.replace("Patient: 1", "Patient: 2"))
    said = bench("lint", "mini", "--studies", bench.studies, "--json")
    assert said.code == 2
    fault = next(one for one in said.json["mini"] if one["severity"] == "error")
    assert (fault["file"], fault["line"], fault["rule"]) == ("mini/main.yaml", 15, "example-fails")


def test_no_such_study_is_2(bench: Any) -> None:
    said = bench("lint", "minni", "--studies", bench.studies)
    assert said.code == 2
    assert "There is no study 'minni'" in said.err
