"""The benchmarks' own registry: always the same workbook, converted whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import national
from benchmarks.carrot import FOUND, MEASURED, rules
from benchmarks.page import page

from caseweave.identity.keyfile import ProjectKey
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.shapes.omop import omop_shapes
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import open_terms

PATIENTS = 50
KEY = ProjectKey("national", bytes(32))


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(national.STUDY)


@pytest.fixture(scope="module")
def made(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    path = tmp_path_factory.mktemp("national") / "national.xlsx"
    return path, *national.write(path, {sheet.key: list(sheet.fields) for sheet in study.sheets}, PATIENTS)


@pytest.fixture(scope="module")
def conversion(study: Study, made: tuple[Path, int, int]) -> Conversion:
    return convert(study, read_sources([made[0]]), key=KEY, terms=open_terms())


def test_the_workbook_is_always_the_same(study: Study, made: tuple[Path, int, int], tmp_path: Path) -> None:
    sheets = {sheet.key: list(sheet.fields) for sheet in study.sheets}
    again = national.write(tmp_path / "again.xlsx", sheets, PATIENTS)
    assert again == made[1:]
    grids = [read_sources([path])[0].grids for path in (made[0], tmp_path / "again.xlsx")]
    assert grids[0] == grids[1]


def test_a_larger_one_begins_with_the_smaller(study: Study) -> None:
    fields = list(study.sheet("diagnosis").fields)
    small, large = (list(national.rows("diagnosis", fields, patients)) for patients in (3, 5))
    assert large[: len(small)] == small


def test_every_cell_is_accounted_for(conversion: Conversion, made: tuple[Path, int, int]) -> None:
    _, rows, cells = made
    headers = sum(len(sheet.fields) for sheet in conversion.study.sheets)
    assert rows == PATIENTS * 9 + PATIENTS // 5 + len(conversion.study.sheets)
    assert conversion.balance["cells"] == cells - headers
    assert conversion.balance["rejected"] == 0
    assert conversion.findings == []


def test_both_targets_are_filled(conversion: Conversion) -> None:
    resources = sum(len(lines) for number in range(len(conversion.applied.facts.batches))
                    for _, _, lines in conversion.fhir.resources(number))  # fmt: skip
    with SqliteDatabase(None, omop_shapes("5.4", imaging=True)) as database:
        write_to(database, conversion)
        written = database.count()
    assert resources > len(conversion.applied.facts) > 100 * PATIENTS
    assert written["person"] == written["observation_period"] == PATIENTS


def test_carrot_is_given_the_same_fields_and_concepts(study: Study) -> None:
    codes = {"LNC|8302-2": 1, "LNC|29463-7": 2, "LNC|718-7": 3, "LNC|89247-1": 4,
             "SCT|73211009": 5, "SCT|38341003": 6, "SCT|414916001": 7, "SCT|195967001": 8}  # fmt: skip
    written = rules(study, codes)["cdm"]
    measured = written["measurement"]["demographics.csv"]["concept_mappings"]
    assert {name: one["*"]["measurement_concept_id"] for name, one in measured.items()} == {
        name: [number] for number, name in enumerate(MEASURED, start=1)
    }
    assert set(written["observation"]["demographics.csv"]["concept_mappings"]) == set(FOUND)


def test_the_page_says_what_was_measured() -> None:
    one = {"patients": 1000, "facts": 100, "run_s": 2.0, "process_cpu_s": 3.0, "peak_memory_mb": 90,
           "memory_mb": {"one": 100, "together": 150}, "fhir": {"Patient": 5}, "omop": {"person": 6},
           "timings_s": {"read": 1.0}}  # fmt: skip
    results = {
        "machine": {"load": 0.5, "cpu": "a CPU", "cores": 2, "system": "Linux", "python": "3.11"},
        "caseweave": "1", "repeat": 1,
        "runs": [{**one, "patients": 100, "process_cpu_s": 1.0}, one], "reload_s": 0.5, "help_s": 0.2,
        "oracle": {"ours_us": 2.0, "objects_us": 200.0},
        "steps": {"steps_s": {"read": 1.0, "FHIR: render": 0.1}, "facts": 100, "resources": 100, "rows": 100},
    }  # fmt: skip
    text = page(json.loads(json.dumps(results)))
    assert "| facts per second, both targets | 50 | 80,000 |" in text
    assert "| FHIR: render | 0.10 | 1000.00 µs a resource |" in text
    assert "| an unchanged reload to the first load | 0.25 | 0.3 |" in text
