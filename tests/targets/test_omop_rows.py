"""All rows of all studies are what the CDM wants, 5.4 and 5.3 with its oncology extension; each check is proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.run.synthetic import synthetic_form
from caseweave.shapes.omop import OmopShapes, omop_shapes
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.scope import Scope
from caseweave.terms import Terms, open_terms
from tests.targets.quality import Quality
from tests.targets.studies import STUDIES, Convert

CDM = ("5.4", "5.3")
KEY = temporary_key("targets")


class Strict(SqliteDatabase):
    """The embedded database with foreign keys enforced while it is written, as PostgreSQL does it."""

    def __enter__(self) -> Strict:
        super().__enter__()
        self.connection.execute("COMMIT")
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        super().__exit__(kind, error, trace)


@pytest.fixture(scope="session")
def terms(shared: Path) -> Terms:
    return open_terms(shared / "data" / "vocabulary")


def with_cdm(study: Study, cdm: str) -> Study:
    return dataclasses.replace(study, omop={**study.omop, "cdm": cdm})


def again(converted: Convert, study: str, cdm: str, terms: Terms) -> Conversion:
    """The conversion of a study for one CDM."""
    if cdm == "5.4":
        return converted(study).conversion
    return convert(with_cdm(load_study(study), cdm), read_sources([converted(study).source]), key=KEY, terms=terms)


@pytest.mark.parametrize("cdm", CDM)
def test_no_failure(converted: Convert, study: str, cdm: str, terms: Terms) -> None:
    conversion = again(converted, study, cdm, terms)
    with Strict(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        assert (database.shapes.cdm, database.shapes.oncology) == (cdm, cdm == "5.3")
        quality = Quality(database.connection, database.shapes)
        assert quality.failures() == []
        assert len(quality.rows["person"]) == len(quality.rows["observation_period"]) > 0
        assert len(quality.rows["cdm_source"]) == 1
        assert quality.concepts[0]["concept_name"] == "No matching concept"


@pytest.mark.parametrize("cdm", CDM)
def test_no_failure_of_structure_with_every_value(study: str, cdm: str, terms: Terms) -> None:
    """The synthetic form: its dates make no sense, but what is built of them must."""
    form, source = synthetic_form(with_cdm(load_study(study), cdm))
    conversion = convert(form, [source], key=KEY, terms=terms)
    with Strict(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        assert Quality(database.connection, database.shapes, plausible=False).failures() == []


def test_rows_do_not_depend_on_the_cdm(converted: Convert, study: str, terms: Terms) -> None:
    """5.3 with the oncology extension has a place for every row; only an observation loses its link."""
    counts = []
    for cdm in CDM:
        conversion = again(converted, study, cdm, terms)
        with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
            write_to(database, conversion)
            counts.append(database.count())
    assert counts[0] == counts[1]


def test_retraction_with_keys_enforced(converted: Convert, study: str) -> None:
    """A patient goes, children before parents; and everybody."""
    conversion = converted(study).conversion
    shapes = conversion.omop.settings.shapes
    people = sorted(conversion.applied.facts.subjects)
    form = dataclasses.replace(conversion, applied=dataclasses.replace(conversion.applied))
    with Strict(None, shapes) as database:
        write_to(database, form)
        before = database.count()["person"]
        write_to(database, form, scope=conversion.scope())
        assert database.count()["person"] == before
        nothing = convert(load_study(study), [], key=conversion.key, terms=conversion.terms)
        gone = Scope([people[0]], conversion.sheets, frozenset(), frozenset())
        write_to(database, nothing, scope=gone)
        assert database.count().get("person", 0) in (before - 1, before)  # who had no row of PERSON leaves none
        assert Quality(database.connection, shapes).failures() == []
        write_to(database, nothing, scope=Scope(people, conversion.sheets, frozenset(), frozenset()))
        assert set(database.count()) <= {"cdm_source", "metadata"}


PERIOD = "observation_period_start_date, observation_period_end_date, period_type_concept_id FROM observation_period"
DEAD = "WHERE person_id IN (SELECT person_id FROM death)"
ABOUT = "WHERE measurement_event_id IS NOT NULL"
# what is done to the rows of breast, and what must be told of it
PLANTS = {
    "before birth": "UPDATE measurement SET measurement_date = '1801-01-01' WHERE measurement_id = 1",
    "outside": "UPDATE observation SET observation_date = '2031-01-01' WHERE observation_id = 1",
    "after death": f"UPDATE measurement SET measurement_date = '2025-01-01' {DEAD}",
    "to 2001-01-01": "UPDATE drug_exposure SET drug_exposure_end_date = '2001-01-01' WHERE drug_exposure_id = 1",
    "has none": "DELETE FROM observation_period WHERE person_id = 1",
    "has 2": f"INSERT INTO observation_period SELECT 99, person_id, {PERIOD} WHERE person_id = 1",
    "death: person": "INSERT INTO death SELECT * FROM death",
    "isn't standard": "UPDATE concept SET standard_concept = NULL WHERE concept_id = 8532",
    "8532 isn't standard": "UPDATE concept SET invalid_reason = 'D' WHERE concept_id = 8532",
    "99 isn't in concept": "UPDATE measurement SET measurement_concept_id = 99 WHERE measurement_id = 1",
    "is Gender": "UPDATE condition_occurrence SET condition_concept_id = 8532 WHERE condition_occurrence_id = 1",
    "is Type Concept": "UPDATE measurement SET unit_concept_id = 32809 WHERE measurement_id = 1",
    "no varchar(50)": "UPDATE measurement SET measurement_source_value = printf('%051d', 0) WHERE measurement_id = 1",
    "is no date": "UPDATE death SET death_date = '2022-09-30 00:00'",
    "is no float": "UPDATE measurement SET value_as_number = 'high' WHERE measurement_id = 1",
    "event_id 999999": f"UPDATE measurement SET measurement_event_id = 999999 {ABOUT}",
    "with field concept None": f"UPDATE measurement SET meas_event_field_concept_id = NULL {ABOUT}",
    "names no table": f"UPDATE measurement SET meas_event_field_concept_id = 32809 {ABOUT}",
    "of person": f"UPDATE measurement SET person_id = person_id % 3 + 1 {ABOUT}",
    "parent": "UPDATE episode SET episode_parent_id = 999 WHERE episode_id = 1",
    "year_of_birth: 1": "UPDATE person SET year_of_birth = 1",
}


@pytest.fixture
def database(converted: Convert) -> Iterator[SqliteDatabase]:
    conversion = converted("breast").conversion
    with SqliteDatabase(None, conversion.omop.settings.shapes) as made:
        write_to(made, conversion)
        yield made


@pytest.mark.parametrize(("told", "statement"), PLANTS.items(), ids=PLANTS)
def test_what_is_planted_fails(database: SqliteDatabase, told: str, statement: str) -> None:
    assert database.connection.execute(statement).rowcount > 0
    found = Quality(database.connection, database.shapes).failures()
    assert any(told in one for one in found), found[:5]


def test_a_missing_column_fails(database: SqliteDatabase) -> None:
    shapes: OmopShapes = omop_shapes("5.4")
    database.connection.execute("ALTER TABLE note ADD COLUMN more TEXT")
    assert any("note: columns" in one for one in Quality(database.connection, shapes).failures())


def test_all_studies_are_here() -> None:
    assert len(STUDIES) == 8
