"""All rows of all studies are what the CDM wants, 5.4 and 5.3 with its oncology extension."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import TracebackType

import pytest

from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import Conversion, compare_with, convert, write_to
from caseweave.run.synthetic import synthetic_form
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.scope import Scope
from caseweave.terms import Terms, open_terms
from tests.targets.quality import failures_of
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
        assert failures_of(database.connection, database.shapes) == []
        counted = database.count()
        assert counted["person"] == counted["observation_period"] > 0
        assert counted["cdm_source"] == 1
        assert database.select("SELECT concept_name FROM concept WHERE concept_id = 0") == [("No matching concept",)]


@pytest.mark.parametrize("cdm", CDM)
def test_no_failure_of_structure_with_every_value(study: str, cdm: str, terms: Terms) -> None:
    """The synthetic form: its dates make no sense, but what is built of them must."""
    form, source = synthetic_form(with_cdm(load_study(study), cdm))
    conversion = convert(form, [source], key=KEY, terms=terms)
    with Strict(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        assert failures_of(database.connection, database.shapes, plausible=False) == []


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
        compare_with(database, form, scope=conversion.scope()).write()
        assert database.count()["person"] == before
        nothing = convert(load_study(study), [], key=conversion.key, terms=conversion.terms)
        gone = Scope([people[0]], conversion.sheets, frozenset(), frozenset())
        compare_with(database, nothing, scope=gone).write()
        assert database.count().get("person", 0) in (before - 1, before)  # who had no row of PERSON leaves none
        assert failures_of(database.connection, shapes) == []
        compare_with(database, nothing, scope=Scope(people, conversion.sheets, frozenset(), frozenset())).write()
        assert set(database.count()) <= {"cdm_source", "metadata"}


def test_all_studies_are_here() -> None:
    assert len(STUDIES) == 8
