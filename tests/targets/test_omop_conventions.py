"""What an OHDSI analyst's own SQL finds in the rows of the breast example and of HCC-TACE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caseweave.run.convert import write_to
from caseweave.targets.omop.sqlite import SqliteDatabase
from tests.targets.studies import Convert

# event table: the column of its day
EVENTS = {
    "condition_occurrence": "condition_start_date",
    "procedure_occurrence": "procedure_date",
    "drug_exposure": "drug_exposure_start_date",
    "measurement": "measurement_date",
    "observation": "observation_date",
}


def rows_of(converted: Convert, study: str) -> Iterator[SqliteDatabase]:
    """The OMOP database of a study's example."""
    conversion = converted(study).conversion
    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        yield database


@pytest.fixture
def breast(converted: Convert) -> Iterator[SqliteDatabase]:
    """The three patients of the breast example."""
    yield from rows_of(converted, "breast")


@pytest.fixture
def hcc(converted: Convert, shared: Path) -> Iterator[SqliteDatabase]:
    """The 105 patients of HCC-TACE."""
    yield from rows_of(converted, "hcc-tace")


def test_what_was_seen_at_a_visit_belongs_to_it(breast: SqliteDatabase) -> None:
    weights = breast.select(
        "SELECT measurement_date, visit_start_date FROM measurement LEFT JOIN visit_occurrence USING "
        "(visit_occurrence_id) WHERE measurement_source_value = 'LNC|29463-7' ORDER BY measurement_id"
    )
    followed = [one for one in weights if one[1]]
    assert len(weights) == 10 and len(followed) == 7  # three stand in the sheet of the person, which tells of no visit
    assert all(day == visit for day, visit in followed)
    began_before = breast.select(
        "SELECT count(*) FROM observation WHERE observation_source_value = 'LOCAL|adverse_event' "
        "AND visit_occurrence_id IS NULL"
    )
    told = breast.select("SELECT count(*) FROM observation WHERE observation_source_value = 'LOCAL|adverse_event'")
    assert began_before != [(0,)] and told == [(5,)]


@pytest.mark.parametrize("table", list(EVENTS))
def test_no_row_lies_outside_its_visit_or_in_that_of_another_person(breast: SqliteDatabase, table: str) -> None:
    wrong = (
        f"SELECT {table}_id FROM {table} AS one JOIN visit_occurrence AS visit USING (visit_occurrence_id) "
        f"WHERE visit.person_id <> one.person_id "
        f"OR {EVENTS[table]} NOT BETWEEN visit_start_date AND visit_end_date"
    )
    assert breast.select(wrong) == []


def test_a_metastasis_that_was_looked_for_is_positive_or_negative(hcc: SqliteDatabase) -> None:
    # OHDSI/OncologyWG issue 559: 9191 Positive, 9189 Negative
    found = hcc.select(
        "SELECT value_as_concept_id, count(*) FROM measurement WHERE measurement_concept_id = 36769180 GROUP BY 1"
    )
    assert found == [(9189, 98), (9191, 7)]
