"""Everything that a workspace holds leads back to its cells, and every cell to what was made of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from caseweave.errors import UsageError
from caseweave.run.held import shapes_of
from caseweave.run.trace import DERIVED, Trace, trace
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import omop_shapes
from caseweave.targets.omop.ddl import VOCABULARY_TABLES

FOUND_BY = {"death": "person_id", "episode_event": "episode_id"}


def resources(workspace: Path) -> list[str]:
    lines = [line for path in (workspace / "fhir").glob("*.ndjson") for line in path.read_text().splitlines()]
    return [f"{one['resourceType']}/{one['id']}" for one in map(json.loads, lines)]


def rows(workspace: Path) -> list[str]:
    found = []
    with sqlite3.connect(workspace / "omop.sqlite") as connection:
        for table in omop_shapes("5.4", imaging=True).tables.values():
            column = FOUND_BY.get(table.name) or table.id_column
            if column and table.name not in {*DERIVED, *VOCABULARY_TABLES}:
                query = f"SELECT DISTINCT {column} FROM {table.name}"
                found += [f"{table.name}:{integer}" for (integer,) in connection.execute(query)]
    return found


@pytest.fixture
def loaded(bench: Any, clean: Any) -> Any:
    bench.run(bench.form(clean))
    return bench


def test_every_resource_and_row_leads_to_cells_and_both_targets_tell_the_same_fact(loaded: Any) -> None:
    workspace = Workspace(loaded.workspace)
    found = {ref: trace(workspace, ref) for ref in (*resources(loaded.workspace), *rows(loaded.workspace))}
    assert len(found) > 20
    for ref, answer in found.items():
        assert answer.ways, ref
        for way in answer.ways:
            assert ref in (*way.fhir, *way.omop)
            assert way.cells[0].slot == "subject"
            # the other way round: from either target to the same fact
            for other in (*way.fhir, *way.omop):
                assert way.fact in {one.fact for one in found[other].ways}


def test_a_cell_leads_to_every_fact_it_is_part_of(loaded: Any) -> None:
    workspace = Workspace(loaded.workspace)
    ways = {way.fact: way for ref in resources(loaded.workspace) for way in trace(workspace, ref).ways}
    for place in ("Main!A2", "Main!D2", "Main!E3", "Visits!D3"):
        answer = trace(workspace, place)
        cell = (answer.cells[0].sheet, answer.cells[0].cell)
        used = {fact for fact, way in ways.items() if cell in {(one.sheet, one.cell) for one in way.cells}}
        assert {way.fact for way in answer.ways} == used != set()
        assert {way.fact: way for way in answer.ways} == {fact: ways[fact] for fact in used}


def test_cells_are_those_that_were_filled(bench: Any, dirty: Any) -> None:
    bench.run(bench.form(dirty))
    patient = next(way for way in trace(Workspace(bench.workspace), "Main!A4").ways if way.statement == "main.patient")
    assert [one.cell for one in patient.cells] == ["A4"]  # its sex and birth date were rejected
    spot = trace(Workspace(bench.workspace), "Main!B4")
    assert spot.ways == ()
    assert [one["rule"] for one in spot.cells[0].findings] == ["not-in-value-set"]


def test_several_files_of_one_run(bench: Any, clean: Any) -> None:
    one = bench.form({"Main": clean["Main"][:1], "Visits": clean["Visits"]}, "one.xlsx")
    two = bench.form({"Main": clean["Main"][1:]}, "two.xlsx")
    bench("run", one, two, "--study", "mini", "--studies", bench.studies, "-o", bench.workspace)
    workspace = Workspace(bench.workspace)
    both = trace(workspace, "Main!E2")
    assert [spot.source for spot in both.cells] == ["source-1", "source-2"]
    second = trace(workspace, "source-2:Main!E2")
    assert [Path(way.file).name for way in second.ways] == ["two.xlsx"]
    assert second.ways[0].subject != both.ways[0].subject


def test_a_fact_stays_with_the_run_and_the_file_that_made_it(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean, "first.xlsx"))
    workspace = Workspace(bench.workspace)
    old = trace(workspace, "Main!E3").ways[0]
    bench.run(bench.form({"Main": [["Nino-07", "f", "1970-01-02", "2021-02-03", "neg", None, None]]}, "second.xlsx"))
    again = trace(workspace, old.fhir[0]).ways[0]
    assert (again.run, again.source, Path(again.file).name) == (1, "source-1", "first.xlsx")
    new = trace(workspace, "Main!E2").ways[0]
    assert (new.run, new.source, Path(new.file).name) == (2, "source-1", "second.xlsx")


def test_a_retracted_fact_is_found_and_holds_nothing(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean))
    workspace = Workspace(bench.workspace)
    old = trace(workspace, "Main!E3").ways[0]
    clean["Main"][1][4] = None
    bench.run(bench.form(clean), "--retract", "all")
    for ref in (old.fhir[0], old.fact):
        gone = trace(workspace, ref).ways[0]
        assert (gone.fact, gone.run, gone.fhir, gone.omop) == (old.fact, 1, (), ())
    with pytest.raises(UsageError, match="No fact of this workspace has the row"):
        trace(workspace, old.omop[0])


def test_a_resource_of_another_type_is_refused_with_the_right_one(loaded: Any) -> None:
    workspace = Workspace(loaded.workspace)
    right = next(ref for ref in resources(loaded.workspace) if ref.startswith("Condition/"))
    with pytest.raises(UsageError, match=f"The fact of that id has {right}"):
        trace(workspace, right.replace("Condition", "Observation"))


JOINED = {
    "study.yaml": "study: joined\nversion: '1'\ntitle: {en: Joined}\nsubject: given\nsheets: [one, two]\n",
    "one.yaml": """\
sheet: One
join: {with: two, on: pid}
fields:
  pid: {type: id, role: subject, required: true}
  sex: {type: code, values: sex}
  dx: {type: date}
statements:
  patient: {pattern: patient, sex: sex, birth: birth}
  weight: {pattern: vital-sign, code: LNC|29463-7, at: dx, value: weight, when: weight is present}
""",
    "two.yaml": """\
sheet: Two
fields:
  pid: {type: id, role: subject}
  birth: {type: date}
  weight: {type: number, unit: kg}
""",
    "valuesets/sex.yaml": "valueset: sex\nvalues:\n  f: {code: GENDER|female, label: {en: female}}\n",
}


def test_cells_of_a_joined_sheet_have_their_own_rows(bench: Any) -> None:
    for name, text in JOINED.items():
        path = bench.studies / "joined" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    book = openpyxl.Workbook()
    one, two = book.worksheets[0], book.create_sheet("Two")
    one.title = "One"
    for row in ("pid sex dx", "P1 f 2020-01-01", "P2 f 2020-01-02"):
        one.append(row.split())
    for row in ("weight birth pid", "70 1960-01-01 P2", "60 1961-01-01 P1"):
        two.append(row.split())
    book.save(bench.folder / "joined.xlsx")
    said = bench("run", "joined.xlsx", "--study", "joined", "--studies", bench.studies, "-o", bench.workspace)
    assert said.code == 0, said.out + said.err
    answer: Trace = trace(Workspace(bench.workspace), "Two!A3")
    (way,) = answer.ways
    assert (way.statement, way.subject) == ("one.weight", "P1")
    assert [(use.slot, use.sheet, use.cell) for use in way.cells] == [
        ("subject", "one", "A2"),
        ("at", "one", "C2"),
        ("value", "two", "A3"),
        ("when", "two", "A3"),
    ]


@pytest.mark.parametrize(
    "cdm", [("5.4", False, True), ("5.4", False, False), ("5.3", True, True), ("5.3", True, False)]
)
def test_a_database_tells_its_cdm(cdm: tuple[str, bool, bool]) -> None:
    from caseweave.targets.omop.sqlite import SqliteDatabase

    version, oncology, imaging = cdm
    shapes = omop_shapes(version, oncology=oncology, imaging=imaging)
    with SqliteDatabase(None, shapes) as database:
        assert shapes_of(database.connection) == shapes
