"""The DDL is OHDSI's: equal to the package omop-cdm but for listed differences, and real databases take it."""

from __future__ import annotations

import csv
import importlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caseweave.errors import UsageError
from caseweave.shapes.omop import Field, OmopShapes, omop_shapes
from caseweave.targets.omop.ddl import VOCABULARY_TABLES, create_statements

DIFFERENCES = Path(__file__).with_name("omop_cdm_differences.csv")
MODULES = {"5.3": "omop_cdm.regular.cdm531", "5.4": "omop_cdm.regular.cdm54"}
# what the oracle's columns call the types of OHDSI's field list
NAMES = {"varchar": "varchar", "text": "varchar(max)", "numeric": "float"}
ALL = (("5.3", False, False), ("5.3", True, False), ("5.3", True, True), ("5.4", False, False), ("5.4", False, True))
Difference = tuple[str, str, str, str, str, str]


def differences(cdm: str) -> list[Difference]:
    """(cdm, table, field, what, ours, theirs) for everything in which omop-cdm differs from our shapes."""
    metadata = importlib.import_module(MODULES[cdm]).Base.metadata
    theirs = {table.name: table for table in metadata.tables.values()}
    ours = omop_shapes(cdm).tables
    found: list[Difference] = [
        (cdm, name, "", "table", str(name in ours).lower(), str(name in theirs).lower())
        for name in sorted(set(ours) ^ set(theirs))
    ]
    for name in sorted(set(ours) & set(theirs)):
        columns = {column.name: column for column in theirs[name].columns}
        fields = {field.name: field for field in ours[name].fields}
        for column in sorted(set(columns) | set(fields)):
            mine, other = _facts(fields.get(column)), _their_facts(columns.get(column))
            found += [(cdm, name, column, what, mine[what], other[what]) for what in mine if mine[what] != other[what]]
    return found


def _facts(field: Field | None) -> dict[str, str]:
    if field is None:
        return {"column": "false"}
    return {
        "column": "true",
        "type": field.datatype,
        "required": str(field.required).lower(),
        "primary key": str(field.primary_key).lower(),
        "foreign key": f"{field.fk_table}.{field.fk_field}" if field.fk_table else "",
    }


def _their_facts(column: Any) -> dict[str, str]:
    if column is None:
        return dict.fromkeys(("type", "required", "primary key", "foreign key"), "") | {"column": "false"}
    kind = str(column.type).lower()
    return {
        "column": "true",
        "type": NAMES.get(kind, kind),
        "required": str(not column.nullable).lower(),
        "primary key": str(column.primary_key).lower(),
        "foreign key": next((key.target_fullname.partition(".")[2] for key in column.foreign_keys), ""),
    }


@pytest.mark.parametrize("cdm", ["5.3", "5.4"])
def test_equal_to_the_oracle_but_for_listed_differences(cdm: str) -> None:
    pytest.importorskip("omop_cdm", reason="the oracle omop-cdm is not installed")
    with DIFFERENCES.open(encoding="utf-8", newline="") as lines:
        listed = [row for row in csv.reader(lines) if row[0] == cdm]
    assert all(row[6] for row in listed), "a difference has no reason"
    assert sorted(differences(cdm)) == sorted(tuple(row[:6]) for row in listed)


@pytest.mark.parametrize(("cdm", "oncology", "imaging"), ALL)
def test_sqlite_takes_it(cdm: str, oncology: bool, imaging: bool) -> None:
    shapes = omop_shapes(cdm, oncology, imaging)
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA foreign_keys = ON")
    for statement in create_statements(shapes, "sqlite"):
        database.execute(statement)
    for name, table in shapes.tables.items():
        found = {row[1]: (row[2], bool(row[3]), bool(row[5])) for row in database.execute(f"PRAGMA table_info({name})")}
        assert list(found) == [field.name for field in table.fields]
        assert {key: value[1:] for key, value in found.items()} == {
            field.name: (field.required, field.primary_key) for field in table.fields
        }
        keys = {(row[3], row[2], row[4]) for row in database.execute(f"PRAGMA foreign_key_list({name})")}
        assert keys == {(field.name, field.fk_table, field.fk_field) for field in table.fields if field.fk_table}
    database.execute("PRAGMA foreign_key_check")


def test_sqlite_keeps_keys() -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    for statement in create_statements(omop_shapes("5.4"), "sqlite", vocabulary_tables=False):
        database.execute(statement)
    person = "INSERT INTO person (person_id, gender_concept_id, year_of_birth, race_concept_id, ethnicity_concept_id)"
    database.execute(f"{person} VALUES (1, 8532, 1960, 0, 0)")
    period = "INSERT INTO observation_period VALUES (1, {}, '2020-01-01', '2020-12-31', 32809)"
    database.execute(period.format(1))
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        database.execute(period.format(2).replace("(1,", "(2,"))
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        database.execute("INSERT INTO person (person_id) VALUES (2)")


def test_without_vocabulary_tables_nothing_points_to_them() -> None:
    text = "\n".join(create_statements(omop_shapes("5.4"), "postgresql", vocabulary_tables=False))
    assert not set(re.findall(r"REFERENCES (\w+)", text)) & VOCABULARY_TABLES
    assert not set(re.findall(r"CREATE TABLE (\w+)", text)) & VOCABULARY_TABLES


def test_the_same_text_every_time() -> None:
    shapes = omop_shapes("5.4", imaging=True)
    again = OmopShapes(shapes.cdm, shapes.oncology, shapes.imaging, dict(shapes.tables))
    assert create_statements(shapes, "postgresql") == create_statements(again, "postgresql")


def test_keys_stand_inline_unless_they_close_a_circle() -> None:
    statements = create_statements(omop_shapes("5.4"), "postgresql")
    later = [statement for statement in statements if statement.startswith("ALTER TABLE")]
    assert all(statement.split()[2] in VOCABULARY_TABLES | {"visit_detail"} for statement in later), later
    assert all(statement.startswith("CREATE TABLE") for statement in create_statements(omop_shapes("5.4"), "sqlite"))


def test_types() -> None:
    sqlite_person, postgres_measurement = (
        next(one for one in create_statements(omop_shapes("5.4"), dialect) if one.startswith(f"CREATE TABLE {table} "))
        for dialect, table in (("sqlite", "person"), ("postgresql", "measurement"))
    )
    assert "birth_datetime TEXT" in sqlite_person and "person_source_value TEXT" in sqlite_person
    for line in ("value_as_number numeric", "measurement_date date NOT NULL", "measurement_datetime timestamp,"):
        assert line in postgres_measurement
    assert "value_source_value varchar(50)" in postgres_measurement


@pytest.mark.parametrize("schema", ["cdm; DROP TABLE person", "a.b", "", "1a"])
def test_a_schema_is_a_plain_name(schema: str) -> None:
    with pytest.raises(UsageError, match=r"letters, digits and underscores"):
        create_statements(omop_shapes("5.4"), "sqlite", schema=schema)


def test_another_dialect_or_cdm_is_refused() -> None:
    with pytest.raises(UsageError, match="sqlite or postgresql"):
        create_statements(omop_shapes("5.4"), "oracle")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"5\.3"):
        omop_shapes("6.0")


@pytest.fixture
def connection(postgres_database: str) -> Iterator[Any]:
    psycopg2 = pytest.importorskip("psycopg2")
    opened = psycopg2.connect(postgres_database)
    yield opened
    opened.close()


POSTGRES_TYPES = {
    "integer": "integer",
    "bigint": "bigint",
    "float": "numeric",
    "date": "date",
    "datetime": "timestamp without time zone",
    "varchar(max)": "text",
}


@pytest.mark.live
@pytest.mark.parametrize(("cdm", "oncology", "imaging"), ALL)
def test_postgres_takes_it(connection: Any, cdm: str, oncology: bool, imaging: bool) -> None:
    shapes = omop_shapes(cdm, oncology, imaging)
    cursor = connection.cursor()
    cursor.execute("CREATE SCHEMA cdm")
    for statement in create_statements(shapes, "postgresql", schema="cdm"):
        cursor.execute(statement)
    connection.commit()
    cursor.execute(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable"
        " FROM information_schema.columns WHERE table_schema = 'cdm' ORDER BY table_name, ordinal_position"
    )
    wanted = [
        (
            name,
            field.name,
            POSTGRES_TYPES.get(field.datatype, "character varying"),
            field.width,
            "NO" if field.required or field.primary_key else "YES",
        )
        for name, table in sorted(shapes.tables.items())
        for field in table.fields
    ]
    assert cursor.fetchall() == wanted
    cursor.execute("SELECT contype, count(*) FROM pg_constraint WHERE connamespace = 'cdm'::regnamespace GROUP BY 1")
    fields = [field for table in shapes.tables.values() for field in table.fields]
    assert dict(cursor.fetchall()) == {
        "p": sum(field.primary_key for field in fields),
        "f": sum(bool(field.fk_table) for field in fields),
    }


@pytest.mark.live
def test_postgres_loads_concept_and_domain_in_one_transaction(connection: Any) -> None:
    cursor = connection.cursor()
    for statement in create_statements(omop_shapes("5.4"), "postgresql"):
        cursor.execute(statement)
    female = "(8532, 'FEMALE', 'Gender', 'Gender', 'Gender', 'S', 'F', '1970-01-01', '2099-12-31')"
    cursor.execute(f"INSERT INTO concept VALUES {female}")
    cursor.execute("INSERT INTO domain VALUES ('Gender', 'Gender', 8532)")
    cursor.execute("INSERT INTO vocabulary VALUES ('Gender', 'Gender', NULL, NULL, 8532)")
    cursor.execute("INSERT INTO concept_class VALUES ('Gender', 'Gender', 8532)")
    connection.commit()
