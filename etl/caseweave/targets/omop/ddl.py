"""CREATE TABLE statements for the OMOP CDM, keys inline, for SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from caseweave.errors import UsageError
from caseweave.shapes.omop import Field, OmopShapes, Table

Dialect = Literal["sqlite", "postgresql"]

VOCABULARY_TABLES = frozenset(
    {
        "concept",
        "vocabulary",
        "domain",
        "concept_class",
        "concept_relationship",
        "relationship",
        "concept_synonym",
        "concept_ancestor",
        "source_to_concept_map",
        "drug_strength",
    }
)
# rows that point to these are looked for, by people and whenever one of these is deleted
INDEXED = frozenset({"person", "visit_occurrence", "visit_detail", "note", "episode", "image_occurrence"})
# SQLite has no dates: ISO text sorts and compares as dates do
TYPES: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "integer": "INTEGER",
        "bigint": "INTEGER",
        "float": "REAL",
        "date": "TEXT",
        "datetime": "TEXT",
        "varchar(max)": "TEXT",
    },
    "postgresql": {
        # NUMERIC as in OHDSI's own DDL: 0.1 stays 0.1
        "integer": "integer",
        "bigint": "bigint",
        "float": "numeric",
        "date": "date",
        "datetime": "timestamp",
        "varchar(max)": "text",
    },
}
# the only name of a CDM column that is a reserved word somewhere (PostgreSQL, SQL key words)
RESERVED = frozenset({"offset"})
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def create_statements(
    shapes: OmopShapes,
    dialect: Dialect,
    schema: str | None = None,
    vocabulary_tables: bool = True,
    vocabulary_schema: str | None = None,
) -> list[str]:
    """Write the DDL of a CDM, one statement per item, in an order that can be executed.

    >>> from caseweave.shapes.omop import omop_shapes
    >>> create_statements(omop_shapes("5.4"), "sqlite")[0].splitlines()[0]
    'CREATE TABLE cohort ('

    Arguments: `schema` goes before each table's name, `vocabulary_schema` before those of the vocabulary where it is
    another one; without `vocabulary_tables` the tables of the vocabulary aren't made, and pointed to only in a schema
    of their own. Keys stand inside CREATE TABLE; on PostgreSQL those that close a circle (concept and domain, a visit
    and the one before it) follow as ALTER TABLE or are checked at the end of the transaction.
    Raises UsageError for an unknown dialect or a schema that isn't a plain name.
    """
    if dialect not in TYPES:
        raise UsageError(f"There is no DDL for {dialect!r}.", way_out="Say sqlite or postgresql.", dialect=dialect)
    homes = Homes(plain(schema), plain(vocabulary_schema) or schema)
    tables = {
        name: table for name, table in shapes.tables.items() if vocabulary_tables or name not in VOCABULARY_TABLES
    }
    there = VOCABULARY_TABLES if vocabulary_schema else frozenset[str]()
    order = _order(tables)
    created: set[str] = set() if vocabulary_tables else set(there)
    statements: list[str] = []
    later: list[tuple[Table, Field]] = []
    for name in order:
        created.add(name)
        table = tables[name]
        keys = [field for field in table.fields if field.fk_table in tables.keys() | there]
        inline = [field for field in keys if dialect == "sqlite" or field.fk_table in created]
        statements.append(_create(table, inline, dialect, homes))
        later.extend((table, field) for field in keys if field not in inline)
    return statements + [_alter(table, field, homes) for table, field in later]


def index_statements(shapes: OmopShapes, schema: str | None = None) -> list[str]:
    """Write CREATE INDEX for what people and deletions look for: the rows of a person, a visit, an episode.

    >>> from caseweave.shapes.omop import omop_shapes
    >>> index_statements(omop_shapes("5.4"), "cdm")[0]
    'CREATE INDEX ON cdm.observation_period (person_id)'
    """
    homes = Homes(plain(schema), schema)
    return [
        f"CREATE INDEX ON {homes.of(table.name)} ({field.name})"
        + ("" if field.required else f" WHERE {field.name} IS NOT NULL")
        for table in shapes.tables.values()
        for field in table.fields
        if field.fk_table in INDEXED and not field.primary_key and table.name not in VOCABULARY_TABLES
    ]


@dataclass(frozen=True)
class Homes:
    """Which schema a table is in; None is the one that the database takes by itself."""

    clinical: str | None
    vocabulary: str | None

    def of(self, table: str) -> str:
        """A table's name with its schema."""
        schema = self.vocabulary if table in VOCABULARY_TABLES else self.clinical
        return f"{schema}.{table}" if schema else table


def plain(schema: str | None) -> str | None:
    """A schema's name, if it can stand in a statement as it is; raises UsageError otherwise."""
    if schema is not None and not PLAIN_NAME.fullmatch(schema):
        raise UsageError(
            f"{schema!r} can't be the name of a schema.",
            way_out="Use letters, digits and underscores.",
            schema=schema,
        )
    return schema


def parents_first(shapes: OmopShapes) -> tuple[str, ...]:
    """The tables but for the vocabulary's, each after those that its rows can point to.

    >>> from caseweave.shapes.omop import omop_shapes
    >>> parents_first(omop_shapes("5.4")).index("person") < parents_first(omop_shapes("5.4")).index("measurement")
    True
    """
    return tuple(_order({name: table for name, table in shapes.tables.items() if name not in VOCABULARY_TABLES}))


def _order(tables: Mapping[str, Table]) -> list[str]:
    """Tables after those they point to; of tables that point in a circle, the one with the fewest open keys first."""
    wants = {
        name: {field.fk_table for field in _keys(table, tables) if field.fk_table != name}
        for name, table in tables.items()
    }
    behind = {name: _reach(name, wants) for name in wants}
    order: list[str] = []
    while wants:
        # ready: everything still open behind a table lies in a circle with it
        ready = [name for name in wants if all(name in behind[one] for one in behind[name] if one in wants)]
        chosen = min(ready, key=lambda name: len(wants[name]))
        del wants[chosen]
        order.append(chosen)
        for open_keys in wants.values():
            open_keys.discard(chosen)
    return order


def _reach(name: str, wants: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        more = wants[waiting.pop()] - seen
        seen |= more
        waiting.extend(more)
    return seen


def _keys(table: Table, tables: Mapping[str, Table]) -> list[Field]:
    return [field for field in table.fields if field.fk_table in tables]


def _name(name: str) -> str:
    return f'"{name}"' if name in RESERVED else name


def _type(field: Field, dialect: Dialect) -> str:
    known = TYPES[dialect].get(field.datatype)
    if known:
        return known
    return "TEXT" if dialect == "sqlite" else field.datatype


def _create(table: Table, keys: list[Field], dialect: Dialect, homes: Homes) -> str:
    lines = []
    for field in table.fields:
        words = [_name(field.name), _type(field, dialect)]
        if field.required:
            words.append("NOT NULL")
        if field.primary_key:
            words.append("PRIMARY KEY")
        lines.append("    " + " ".join(words))
    lines += [f"    {_foreign_key(table, field, dialect, homes)}" for field in keys]
    return f"CREATE TABLE {homes.of(table.name)} (\n" + ",\n".join(lines) + "\n)"


def _foreign_key(table: Table, field: Field, dialect: Dialect, homes: Homes) -> str:
    # SQLite looks for the other table in the same schema and allows no name before it
    target = field.fk_table if dialect == "sqlite" else homes.of(field.fk_table)
    text = f"FOREIGN KEY ({_name(field.name)}) REFERENCES {target} ({_name(field.fk_field)})"
    circle = table.name in VOCABULARY_TABLES or field.fk_table == table.name
    return f"{text} DEFERRABLE INITIALLY DEFERRED" if circle else text


def _alter(table: Table, field: Field, homes: Homes) -> str:
    return f"ALTER TABLE {homes.of(table.name)} ADD {_foreign_key(table, field, 'postgresql', homes)}"
