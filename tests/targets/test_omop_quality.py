"""The OMOP suite: every kind of check finds what is planted for it, on SQLite and PostgreSQL; clean databases pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import pytest

from caseweave.quality.omop import Ask, Check, Result, check_database, omop_suite
from caseweave.quality.omop.kinds import KINDS
from caseweave.quality.omop.suite import Dialect
from caseweave.run.convert import write_to
from caseweave.run.omopcheck import sqlite_columns
from caseweave.shapes.omop import OmopShapes
from caseweave.targets.omop.connect import Asking, asking
from caseweave.targets.omop.postgres import PostgresDatabase
from caseweave.targets.omop.server import columns_of, create_cdm
from caseweave.targets.omop.sqlite import SqliteDatabase
from tests.services.postgres import Postgres
from tests.targets.omop_plants import PLANTS, Plant
from tests.targets.studies import Convert

# their thresholds let all rows fail, until a site says what it wants
TOLD_ONLY = {
    "measureValueCompleteness",
    "standardConceptRecordCompleteness",
    "sourceConceptRecordCompleteness",
    "sourceValueCompleteness",
}
STRICT = [{"check": one, "table": "*", "field": "*", "threshold": "0.5"} for one in TOLD_ONLY]


@dataclass(frozen=True)
class Planted:
    """A clean database that can be spoilt; all of it is undone at the end."""

    ask: Any
    dialect: Dialect
    shapes: OmopShapes
    columns: Callable[[], Any]

    def plant(self, statements: Sequence[str]) -> None:
        """Do what is said to this dialect."""
        for one in statements:
            dialect, colon, statement = one.partition(": ")
            if not colon or dialect not in ("sqlite", "postgresql"):
                self.ask.execute(one)
            elif dialect == self.dialect:
                self.ask.execute(statement)

    def suite(self) -> tuple[Check, ...]:
        return omop_suite(self.shapes, self.dialect, thresholds=STRICT)

    def results(self, kind: str = "") -> dict[str, Result]:
        checks = [one for one in self.suite() if kind in ("", one.name)]
        return {one.check.id: one for one in check_database(self.ask, checks, self.columns())}


@pytest.fixture
def sqlite_planted(converted: Convert) -> Iterator[Planted]:
    conversion = replace(converted("breast").conversion)
    shapes = conversion.omop.settings.shapes
    with SqliteDatabase(None, shapes) as made:
        write_to(made, conversion)
        yield Planted(made.connection, "sqlite", shapes, lambda: sqlite_columns(made.connection))


DROP_KEYS = """
    SELECT format('ALTER TABLE cdm.%I DROP CONSTRAINT %I CASCADE', c.relname, k.conname)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'cdm' AND k.contype IN ('f', 'p')
    ORDER BY k.contype
"""


@pytest.fixture(scope="module")
def loose_cdm(postgres: Postgres, converted: Convert) -> Iterator[tuple[str, OmopShapes]]:
    """The rows of breast in a CDM that lost its keys, as other people's have."""
    postgres.execute("CREATE DATABASE planted")
    conversion = replace(converted("breast").conversion)
    shapes = conversion.omop.settings.shapes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", postgres.password)
        dsn = postgres.dsn("planted")
        create_cdm(dsn, shapes, "cdm")
        with PostgresDatabase(dsn, shapes, "cdm") as database:
            database.require(conversion.key.project, conversion.key.check_value)
            write_to(database, conversion)
        connection = psycopg2.connect(dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute(DROP_KEYS)
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)
        connection.close()
        yield dsn, shapes
    postgres.execute("DROP DATABASE planted WITH (FORCE)")


@pytest.fixture
def postgresql_planted(loose_cdm: tuple[str, OmopShapes], postgres: Postgres) -> Iterator[Planted]:
    dsn, shapes = loose_cdm
    connection = psycopg2.connect(dsn, password=postgres.password)
    ask = Asking(connection, dsn)
    ask.execute("SET search_path TO cdm")
    yield Planted(ask, "postgresql", shapes, lambda: columns_of(connection.cursor(), "cdm"))
    connection.rollback()
    connection.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.live)])
def planted(request: pytest.FixtureRequest) -> Planted:
    found: Planted = request.getfixturevalue(f"{request.param}_planted")
    return found


@pytest.mark.parametrize("plant", PLANTS, ids=lambda one: one.check)
def test_what_is_planted_fails(planted: Planted, plant: Plant) -> None:
    before = planted.results(plant.kind)[plant.check]
    planted.plant(plant.statements)
    after = planted.results(plant.kind)[plant.check]
    assert before.status != "failed" or plant.kind in TOLD_ONLY
    assert after.status == "failed"
    assert after.violated > before.violated
    assert not plant.violated or after.violated == before.violated + plant.violated
    assert after.rows or not after.check.key


def test_every_kind_is_planted() -> None:
    assert {one.kind for one in PLANTS} == set(KINDS)


def test_a_check_that_cannot_run_never_passed(planted: Planted) -> None:
    planted.plant(["sqlite: DROP TABLE concept", "postgresql: DROP TABLE concept CASCADE"])
    found = planted.results()
    assert found["cdmTable.concept"].status == "failed"
    about = [one for one in found.values() if ("concept", "concept_id") in one.check.needs]
    assert len(about) > 100
    assert {one.status for one in about} == {"could not run"}
    assert {one.why for one in about} == {"there is no table concept"}


def test_what_the_database_refuses_could_not_run(planted: Planted) -> None:
    """A view that breaks when it is read: only what looks at it can't be told, and everything else answers."""
    planted.plant(["ALTER TABLE death RENAME TO dead"])
    division = {"sqlite": "abs(-9223372036854775808)", "postgresql": "1 / (person_id * 0)"}[planted.dialect]
    columns = ", ".join(
        f"{division} AS person_id" if one.name == "person_id" else one.name
        for one in planted.shapes.tables["death"].fields
    )
    planted.plant([f"CREATE VIEW death AS SELECT {columns} FROM dead"])
    found = planted.results()
    assert found["cdmTable.death"].status == "passed"
    assert found["isForeignKey.death.person_id"].status == "could not run"
    assert found["isForeignKey.death.person_id"].why
    assert found["plausibleBeforeDeath.measurement.measurement_date"].status == "could not run"
    assert found["isRequired.measurement.measurement_date"].status == "passed"


def test_a_check_names_the_rows_that_fail(planted: Planted) -> None:
    planted.plant(["UPDATE measurement SET measurement_date = '2999-12-31' WHERE measurement_id IN (2, 5)"])
    found = planted.results("plausibleTemporalBefore")["plausibleTemporalBefore.measurement.measurement_date"]
    assert found.rows == ("measurement:2", "measurement:5")
    assert (found.violated, found.total, found.check.threshold) == (2, 97, 0)


def test_a_threshold_lets_some_fail(planted: Planted) -> None:
    planted.plant(["UPDATE measurement SET measurement_date = '2999-12-31' WHERE measurement_id IN (2, 5)"])
    for share, status in (("2.1", "passed"), ("2.0", "failed")):
        own = {"check": "plausibleTemporalBefore", "table": "measurement", "field": "*", "threshold": share}
        suite = omop_suite(planted.shapes, planted.dialect, thresholds=[own])
        check = next(one for one in suite if one.id == "plausibleTemporalBefore.measurement.measurement_date")
        ask: Ask = planted.ask
        (found,) = check_database(ask, [check], planted.columns())
        assert (found.status, round(found.share, 2)) == (status, 2.06)


@pytest.mark.live
def test_clean_on_postgresql(postgres_database: str, converted: Convert, study: str) -> None:
    conversion = replace(converted(study).conversion)
    shapes = conversion.omop.settings.shapes
    create_cdm(postgres_database, shapes, "cdm")
    with PostgresDatabase(postgres_database, shapes, "cdm") as database:
        database.require(conversion.key.project, conversion.key.check_value)
        write_to(database, conversion)
    with asking(postgres_database, "cdm") as ask:
        columns = columns_of(ask.connection.cursor(), "cdm")
        found = check_database(ask, omop_suite(shapes, "postgresql"), columns)
    assert [one for one in found if one.status in ("failed", "could not run")] == []
    assert sum(one.status == "passed" for one in found) > 700
