"""Which CDM a PostgreSQL schema holds, whose projects deliver to it; and a CDM made in an empty one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from psycopg2.extensions import quote_ident

from caseweave.errors import Refusal, TargetError, UsageError
from caseweave.shapes.omop import OmopShapes, omop_shapes
from caseweave.targets.omop.connect import GRANTS, connect, place, told
from caseweave.targets.omop.ddl import create_statements, index_statements, plain
from caseweave.targets.omop.own_tables import make_own_tables

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

Columns = Mapping[str, frozenset[str]]
# a column that only one CDM has -> that CDM, and whether it has the oncology extension
MARKS = (
    (("measurement", "meas_event_field_concept_id"), "5.4", False),
    (("measurement", "modifier_of_event_id"), "5.3", True),
    (("measurement", "measurement_concept_id"), "5.3", False),
)
# said of the table CONCEPT where its rows are ours to add to
OWN = "Caseweave adds the concepts that its rows use"


@dataclass(frozen=True)
class Cdm:
    """What a schema holds.

    Arguments: `columns` of each table; `vocabulary_schema`, None where there is no CONCEPT; `vocabulary`, whether its
    rows are ours to add to; `concept_keys`, whether foreign keys point to it; `projects`, the check value of each
    project's key.
    """

    shapes: OmopShapes
    columns: Columns
    vocabulary_schema: str | None
    vocabulary: Literal["own", "foreign", "none"]
    concept_keys: bool
    projects: Mapping[str, str]


def look(dsn: str, schema: str = "public", vocabulary_schema: str | None = None) -> Cdm:
    """Say what a schema holds; nothing is changed.

    >>> look("postgresql://etl@cdm.example/omop", "cdm").shapes.cdm  # doctest: +SKIP
    '5.4'

    Raises UsageError where it holds no CDM, TargetError where the database can't be reached.
    """
    connection = connect(dsn)
    try:
        with told(dsn), connection.cursor() as cursor:
            return find_cdm(cursor, dsn, schema, vocabulary_schema)
    finally:
        connection.close()


def find_cdm(cursor: Cursor, dsn: str, schema: str, vocabulary_schema: str | None) -> Cdm:
    """As `look`, on a connection that is open."""
    columns = columns_of(cursor, schema)
    shapes = shapes_of(columns)
    if shapes is None:
        raise UsageError(
            f"Schema {schema} of the {place(dsn)} holds no OMOP CDM.",
            way_out="Make one with `caseweave omop init`, or name the schema that does with --omop-schema.",
        )
    pointed_to = _pointed_to(cursor, schema)
    found = vocabulary_schema or (schema if "concept" in columns else pointed_to)
    if found and "concept" not in columns_of(cursor, found):
        raise UsageError(
            f"Schema {found} of the {place(dsn)} holds no table CONCEPT.",
            way_out="Name the schema of the vocabulary with --vocabulary-schema.",
        )
    _require_usage(cursor, dsn, schema, found)
    projects: dict[str, str] = {}
    if "caseweave_project" in columns:
        cursor.execute(f"SELECT project, key_check FROM {quote_ident(schema, cursor)}.caseweave_project")
        projects = dict(cursor.fetchall())
    vocabulary = _whose(cursor, found) if found else "none"
    return Cdm(shapes, columns, found, vocabulary, bool(pointed_to), projects)


def _require_usage(cursor: Cursor, dsn: str, *schemas: str | None) -> None:
    """See that this user may look into some schemas; what stands in others is as if it weren't there."""
    cursor.execute("SELECT name FROM unnest(%s) AS name WHERE NOT has_schema_privilege(name, 'USAGE')",
                   ([one for one in schemas if one],))  # fmt: skip
    closed = [name for (name,) in cursor.fetchall()]
    if closed:
        raise TargetError(
            f"The {place(dsn)}: this user may not use schema {', '.join(closed)}.", way_out=GRANTS, sqlstate="42501"
        )


def shapes_of(columns: Columns) -> OmopShapes | None:
    """Which CDM some tables are, told by columns that only one has; None where they are none.

    >>> shapes_of({"measurement": frozenset({"measurement_concept_id"}), "person": frozenset()}).cdm
    '5.3'
    """
    for (table, column), cdm, oncology in MARKS:
        if "person" in columns and column in columns.get(table, ()):
            return omop_shapes(cdm, oncology=oncology, imaging="image_occurrence" in columns)
    return None


def columns_of(cursor: Cursor, schema: str) -> dict[str, frozenset[str]]:
    """The columns of each table of a schema, whether this user may read them or not."""
    cursor.execute(
        "SELECT relname, array_agg(attname::text) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        "JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relkind IN ('r', 'p', 'v', 'f') AND attnum > 0 AND NOT attisdropped GROUP BY relname",
        (schema,),
    )
    return {table: frozenset(columns) for table, columns in cursor.fetchall()}


def tables_in(
    dsn: str, schema: str, vocabulary_schema: str | None = None
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """The tables of a schema, whatever it holds, with those of its vocabulary; and the schemas where they are.

    >>> tables_in("postgresql://etl@cdm.example/omop", "cdm")  # doctest: +SKIP

    Raises TargetError where the database can't be reached.
    """
    connection = connect(dsn)
    try:
        with told(dsn), connection.cursor() as cursor:
            columns = columns_of(cursor, schema)
            other = vocabulary_schema or ("" if "concept" in columns else _pointed_to(cursor, schema))
            if not other or other == schema:
                return columns, [schema]
            return {**columns_of(cursor, other), **columns}, [schema, other]
    finally:
        connection.close()


def _pointed_to(cursor: Cursor, schema: str) -> str | None:
    """The schema of the CONCEPT that foreign keys of the CDM point to."""
    cursor.execute(
        "SELECT other.nspname FROM pg_constraint k JOIN pg_class concept ON concept.oid = k.confrelid "
        "JOIN pg_namespace other ON other.oid = concept.relnamespace "
        "JOIN pg_class mine ON mine.oid = k.conrelid JOIN pg_namespace here ON here.oid = mine.relnamespace "
        "WHERE k.contype = 'f' AND here.nspname = %s AND concept.relname = 'concept' AND mine.relname = 'person'",
        (schema,),
    )
    found = cursor.fetchone()
    return str(found[0]) if found else None


def _whose(cursor: Cursor, schema: str) -> Literal["own", "foreign"]:
    cursor.execute(
        "SELECT obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = %s AND relname = 'concept'",
        (schema,),
    )
    return "own" if cursor.fetchone() == (OWN,) else "foreign"


def create_cdm(dsn: str, shapes: OmopShapes, schema: str = "public", vocabulary_schema: str | None = None) -> list[str]:
    """Make a CDM with all its keys, and what Caseweave keeps for itself; returns the names of the tables.

    >>> create_cdm("postgresql://etl@cdm.example/omop", omop_shapes("5.4"), "cdm")  # doctest: +SKIP

    Arguments: `schema` is made where it isn't there; `vocabulary_schema` likewise, unless it holds a vocabulary: then
    keys point to that, and nothing is added to it. In a schema that holds this CDM already only what Caseweave keeps
    for itself is made: so its owner can prepare it for a user who may not create tables.
    Raises Refusal where the schema holds another CDM, UsageError for a name that is none.
    """
    plain(schema), plain(vocabulary_schema)
    connection = connect(dsn)
    try:
        with told(dsn), connection.cursor() as cursor:
            made = _create(cursor, dsn, shapes, schema, vocabulary_schema or schema)
            connection.commit()
            return made
    finally:
        connection.close()


def _create(cursor: Cursor, dsn: str, shapes: OmopShapes, schema: str, vocabulary_schema: str) -> list[str]:
    for one in (schema, vocabulary_schema):
        cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", (one,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE SCHEMA {quote_ident(one, cursor)}")
    there = columns_of(cursor, schema)
    with_vocabulary = "concept" not in columns_of(cursor, vocabulary_schema)
    found = shapes_of(there)
    statements: list[str] = []
    if found is None:
        clash = sorted(there.keys() & shapes.tables.keys()) if with_vocabulary else []
        if clash:
            raise Refusal(
                f"Schema {schema} of the {place(dsn)} holds tables that a CDM has ({', '.join(clash[:5])}).",
                way_out="Name another schema with --schema.",
            )
        other = vocabulary_schema if vocabulary_schema != schema or not with_vocabulary else None
        statements = create_statements(shapes, "postgresql", schema, with_vocabulary, other)
        statements += index_statements(shapes, schema)
        if with_vocabulary:
            statements.append(f"COMMENT ON TABLE {vocabulary_schema}.concept IS '{OWN}'")
    elif found != shapes:
        raise Refusal(
            f"Schema {schema} of the {place(dsn)} holds {found.name}, not {shapes.name}.",
            way_out="Name another schema with --schema, or that CDM.",
        )
    for statement in statements:
        cursor.execute(statement)
    make_own_tables(cursor, schema)
    return sorted(columns_of(cursor, schema).keys() - there.keys())
