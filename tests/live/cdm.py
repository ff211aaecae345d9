"""Somebody else's CDM: made by OHDSI-style DDL with all keys on, vocabulary in a schema of its own, patients in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import psycopg2

from caseweave.run.database import OmopServer
from caseweave.shapes.omop import omop_shapes
from caseweave.targets.omop.ddl import create_statements
from caseweave.terms.concept import Concept
from caseweave.terms.subset import load_subset

SHAPES = omop_shapes("5.4", imaging=True)
LISTS = (("vocabulary", "vocabulary_id"), ("domain", "domain_id"), ("concept_class", "concept_class_id"))
OTHERS = """
INSERT INTO cdm.person
    (person_id, gender_concept_id, year_of_birth, race_concept_id, ethnicity_concept_id, person_source_value)
    VALUES (5, 8507, 1950, 0, 0, 'theirs'), (7001, 8532, 1961, 0, 0, 'theirs');
INSERT INTO cdm.observation_period
    VALUES (12, 5, '2010-01-01', '2011-01-01', 32809), (900, 7001, '2012-01-01', '2014-01-01', 32809);
INSERT INTO cdm.measurement
    (measurement_id, person_id, measurement_concept_id, measurement_date, measurement_type_concept_id, value_as_number)
    VALUES (41000, 7001, 0, '2013-05-05', 32809, 12.5);
INSERT INTO cdm.death (person_id, death_date) VALUES (5, '2011-01-01');
INSERT INTO cdm.cdm_source
    (cdm_source_name, cdm_source_abbreviation, cdm_holder, source_release_date, cdm_release_date,
     cdm_version_concept_id, vocabulary_version)
    VALUES ('Their registry', 'theirs', 'They', '2020-01-01', '2020-02-01', 0, 'v5.0');
"""


@contextmanager
def connected(dsn: str) -> Iterator[Any]:
    """A cursor whose work is committed."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def ask(dsn: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with connected(dsn) as cursor:
        cursor.execute(query, arguments)
        return list(cursor.fetchall())


def their_cdm(dsn: str, without: Collection[int] = (), keys: bool = True) -> OmopServer:
    """Make it, with the shipped concepts but for some as its vocabulary; `keys` off leaves out the foreign ones."""
    with connected(dsn) as cursor:
        cursor.execute("CREATE SCHEMA vocab; CREATE SCHEMA cdm")
        for statement in create_statements(SHAPES, "postgresql", "cdm", True, "vocab"):
            cursor.execute(statement)
        concepts = [one for one in load_subset().by_id.values() if one.concept_id not in without]
        for table, key in LISTS:
            for value in sorted({str(getattr(one, key)) for one in concepts}):
                cursor.execute(f"INSERT INTO vocab.{table} VALUES (%s, %s, {'%s, %s, ' * (table == 'vocabulary')}0)",
                               (value, value, *("", "") * (table == "vocabulary")))  # fmt: skip
        cursor.executemany(
            "INSERT INTO vocab.concept VALUES (%s, %s, %s, %s, %s, %s, %s, '1970-01-01', '2099-12-31', NULL)",
            [_row(one) for one in concepts],
        )
        cursor.execute(OTHERS)
    with connected(dsn) as cursor:
        if not keys:
            cursor.execute("SELECT conname, conrelid::regclass FROM pg_constraint WHERE contype = 'f'")
            for constraint, table in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    return OmopServer(dsn, "cdm", None if keys else "vocab")


def _row(concept: Concept) -> Sequence[object]:
    return (concept.concept_id, concept.concept_name[:255], concept.domain_id, concept.vocabulary_id,
            concept.concept_class_id, concept.standard_concept or None, concept.concept_code[:50])  # fmt: skip


def theirs(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that others put there, with the transactions that wrote it: a row that is written anew differs."""
    where = {
        "person": "person_source_value = 'theirs'",
        "observation_period": "person_id IN (5, 7001)",
        "measurement": "person_id IN (5, 7001)",
        "death": "person_id IN (5, 7001)",
        "cdm_source": "true",
    }
    found = {table: ask(dsn, f"SELECT xmin::text, * FROM cdm.{table} WHERE {rule} ORDER BY 2")
             for table, rule in where.items()}  # fmt: skip
    return {**found, "concept": ask(dsn, "SELECT xmin::text, * FROM vocab.concept ORDER BY 2")}


def versions(dsn: str, schema: str) -> dict[str, set[tuple[Any, ...]]]:
    """Which version of each row stands where, of every table: what a run didn't touch is equal before and after."""
    names = ask(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = %s", schema)
    return {
        name: set(ask(dsn, f'SELECT tableoid::regclass::text, ctid::text, xmin::text FROM {schema}."{name}"'))
        for (name,) in names
    }


def vocabulary_release(folder: Path, moved: dict[int, int]) -> Path:
    """An Athena download of the shipped concepts in which some have another id."""
    folder.mkdir()
    names = [one.name for one in fields(Concept)]
    concepts = [
        replace(one, concept_id=moved.get(one.concept_id, one.concept_id)) for one in load_subset().by_id.values()
    ]
    _table(folder / "CONCEPT.csv", names, [astuple(one) for one in concepts])
    maps = [(one.concept_id, one.concept_id, "Maps to", "") for one in concepts if one.standard_concept == "S"]
    _table(folder / "CONCEPT_RELATIONSHIP.csv",
           ["concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"], maps)  # fmt: skip
    _table(folder / "VOCABULARY.csv", ["vocabulary_id", "vocabulary_version"], [("None", "v-next")])
    return folder


def _table(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    lines = ["\t".join(map(str, row)) for row in (names, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
