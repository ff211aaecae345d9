"""`caseweave omop check` and `run --check-omop`: figures by category, and the cells behind the rows that fail."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree


@pytest.fixture
def loaded(bench: Any, clean: Any) -> Path:
    """A workspace whose database is sound."""
    bench.run(bench.form(clean))
    path: Path = bench.workspace
    return path


def spoil(workspace: Path, statement: str) -> None:
    connection = sqlite3.connect(workspace / "omop.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


LIGHT = "UPDATE measurement SET value_as_number = 3000 WHERE value_as_number = 61.5"
WEIGHT = "plausibleConceptHigh.measurement.value_as_number.LOINC|29463-7.kg"


def test_a_sound_database_is_0(bench: Any, loaded: Path) -> None:
    said = bench("omop", "check", loaded)
    assert said.code == 0
    assert "omop.sqlite, CDM 5.4 with imaging" in said.out
    assert "0: all passed." in said.out
    assert "100.0" in said.out


def test_a_row_that_fails_leads_to_its_cell(bench: Any, loaded: Path) -> None:
    spoil(loaded, LIGHT)
    said = bench("omop", "check", loaded)
    assert said.code == 1
    assert " ".join(said.out.split()).count(f"{WEIGHT}: 1 of 2 (50.0 %)") == 1
    assert "source-1:main!F2" in said.out
    assert "Garcia" not in said.out and "3000" not in said.out


def test_all_figures_in_json_and_junit(bench: Any, loaded: Path) -> None:
    spoil(loaded, LIGHT)
    said = bench("omop", "check", loaded, "--json", "all.json", "--junit", "all.xml")
    assert said.code == 1
    content = json.loads(Path("all.json").read_text(encoding="utf-8"))
    (failed,) = (one for one in content["checks"] if one["status"] == "failed")
    assert failed["id"] == WEIGHT
    assert (failed["violated"], failed["total"], failed["category"], failed["context"]) == (
        1, 2, "plausibility", "validation",
    )  # fmt: skip
    assert [cells[0] for cells in failed["places"].values()] == ["source-1:main!F2"]
    assert sum(sum(one.values()) for one in content["summary"].values()) == len(content["checks"]) > 2000
    root = ElementTree.parse("all.xml").getroot()
    assert root.get("tests") == str(len(content["checks"]))
    assert [one.get("message") for one in root.iter("failure")] == ["1 of 2 rows: Body weight is no more than 300 kg"]


def test_a_site_says_how_many_may_fail(bench: Any, loaded: Path) -> None:
    spoil(loaded, LIGHT)
    own = Path("own.csv")
    own.write_text("check,table,field,threshold\nplausibleConceptHigh,measurement,*,50\n", encoding="utf-8")
    assert bench("omop", "check", loaded, "--thresholds", own).code == 0
    own.write_text("check,table,field,threshold\nplausibleHigh,measurement,*,50\n", encoding="utf-8")
    said = bench("omop", "check", loaded, "--thresholds", own)
    assert said.code == 2 and "there is no such check" in said.err
    own.write_text("check,table,field,threshold\nplausibleConceptHigh,*,*,120\n", encoding="utf-8")
    assert "own.csv:2: that is no share" in bench("omop", "check", loaded, "--thresholds", own).err


def test_an_sqlite_file_alone_has_rows_and_no_cells(bench: Any, loaded: Path) -> None:
    spoil(loaded, LIGHT)
    said = bench("omop", "check", loaded / "omop.sqlite")
    assert said.code == 1
    assert "; measurement:" in " ".join(said.out.split()) and "main!" not in said.out


def test_another_cdm_lacks_fields(bench: Any, loaded: Path) -> None:
    said = bench("omop", "check", loaded, "--cdm", "5.3")
    assert said.code == 1
    assert "cdmField.measurement.modifier_of_event_id: it isn't there" in said.out


def test_what_is_no_database_is_2(bench: Any, loaded: Path) -> None:
    Path("text.sqlite").write_text("no database, but long enough to be looked at as one", encoding="utf-8")
    assert "is no SQLite database" in bench("omop", "check", "text.sqlite").err
    sqlite3.connect("empty.sqlite").close()
    said = bench("omop", "check", "empty.sqlite")
    assert said.code == 2 and "can't be told" in said.err
    said = bench("omop", "check", "postgresql://me:secret@nowhere.example/cdm")
    assert said.code == 2 and "secret" not in said.err
    said = bench("omop", "init", "postgresql://me@nowhere.example/cdm", "--json", "x.json")
    assert said.code == 2 and "checks nothing" in said.err


def test_a_run_asks_where_it_is_told_to(bench: Any, clean: Any) -> None:
    said = bench.run(bench.form(clean), "--check-omop")
    assert said.code == 0
    assert "0: all passed." in said.out
    content = json.loads((bench.workspace / "omop-check.json").read_text(encoding="utf-8"))
    assert {one["status"] for one in content["checks"]} == {"passed", "not applicable"}


def test_a_run_asks_nothing_by_itself(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean))
    assert not (bench.workspace / "omop-check.json").exists()
