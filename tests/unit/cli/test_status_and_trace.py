"""`caseweave status` and `caseweave trace`, as the terminal and a program see them."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def loaded(bench: Any, dirty: Any) -> Any:
    bench.run(bench.form(dirty))
    return bench


def test_status_says_what_is_held(loaded: Any) -> None:
    said = loaded("status", loaded.workspace)
    assert said.code == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert ["source-1", "6"] in [line[:2] for line in lines]
    assert ["main", "main", "3", "2"] in lines  # sheet, stream, patients in FHIR and in OMOP
    assert ["visits", "main", "1", "1"] in lines


def test_status_as_json(loaded: Any) -> None:
    said = loaded("status", loaded.workspace, "--json")
    found = said.json
    assert found["study"]["name"] == "mini"
    assert found["runs"] == found["last_run"]["run"] == 1
    assert found["last_run"]["targets"]["fhir"]["new"] == sum(found["last_run"]["fhir"].values())
    assert found["key"] == json.loads((loaded.workspace / "private" / "workspace.json").read_text())["key"]


def test_status_of_no_workspace_is_2(bench: Any) -> None:
    said = bench("status", bench.folder)
    assert said.code == 2
    assert "is no workspace of Caseweave" in said.err


def test_status_after_a_check_alone(bench: Any, clean: Any) -> None:
    bench("check", bench.form(clean), "--studies", bench.studies, "--study", "mini", "-o", bench.workspace)
    said = bench("status", bench.workspace)
    assert said.code == 0
    assert "No run has ended here yet." in said.out


def test_trace_of_a_cell(loaded: Any) -> None:
    said = loaded("trace", loaded.workspace, "Main!E2")
    assert said.code == 0
    for expected in (
        "main!E2",
        "Garcia_Lopez.xlsx",
        "value: main!E2 er",
        "mini/main.yaml:8",
        "Observation/",
        "measurement:",
    ):
        assert expected in said.out


def test_trace_of_a_rejected_and_of_an_ignored_cell(loaded: Any) -> None:
    rejected = loaded("trace", loaded.workspace, "main!B4").out
    assert "Not in value set sex. (not-in-value-set)" in rejected and "Facts      none" in rejected
    assert "Elena" not in rejected
    assert "Ignored    free text" in loaded("trace", loaded.workspace, "Main!G2").out


def test_trace_as_json(loaded: Any) -> None:
    found = loaded("trace", loaded.workspace, "main!E2", "--json").json
    assert found["cells"][0]["field"] == "er"
    assert found["ways"][0]["pattern"] == "tumor-marker"


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("nonsense", "names no resource, row or cell. A REF is Observation/<id>"),
        ("Nowhere!B7", "read a sheet 'Nowhere'. Its sheets: main, visits"),
        ("Main!Z7", "Column Z of sheet main holds no field of the mapping. Its fields: A pid"),
        ("measurement:4711", "No fact of this workspace has the row measurement:4711"),
        ("measurement:99999999999", "No fact of this workspace"),
        ("measurements:1", "OMOP has no table 'measurements'"),
        ("concept:0", "is of the vocabulary"),
        ("observation_period:1", "It spans all dates of a patient"),
        ("Patient/" + "a" * 32, "No run of this workspace made a fact"),
    ],
)
def test_what_is_not_there_is_2_and_says_what_was_looked_for(loaded: Any, ref: str, words: str) -> None:
    said = loaded("trace", loaded.workspace, ref)
    assert said.code == 2
    assert words in said.err
    assert said.out == ""


def test_trace_without_a_run_is_2(bench: Any) -> None:
    assert bench("trace", bench.folder, "Main!E2").code == 2
