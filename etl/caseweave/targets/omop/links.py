"""Links between rows of different sheets: cut where the row that they lead to is retracted alone, tied when it returns.

A run that lacks a sheet says nothing about its rows, yet they can point to rows that the run retracts, and again to
those of a later run, which have other integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from caseweave.shapes.omop import Table
from caseweave.targets.omop.columns import Reference
from caseweave.targets.omop.database import Database
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.targets.records import Records, concatenate, grouped

ASKED_AT_ONCE = 500


def pointing_to(builder: OmopBuilder, made: Records, fresh: Records) -> Records:
    """Those of a run's records whose rows point to rows that are new."""
    new = {number: _places(builder, number) for number in np.unique(fresh.batch).tolist()}
    for (batch, place), rows in grouped(fresh, "batch", "place"):
        new[batch][place, fresh.fact[rows]] = True
    found = []
    for (batch, place), rows in grouped(made, "batch", "place"):
        facts = made.fact[rows]
        wanted = np.zeros(len(rows), dtype=np.bool_)
        for built in builder.batch(batch):
            for column in built.columns.values():
                if built.rendering == place and isinstance(column, Reference) and column.batch in new:
                    index, places = column.index[facts], column.renderings[facts]
                    there = (index >= 0) & (places >= 0)
                    wanted[there] |= new[column.batch][places[there], index[there]]
        if wanted.any():
            found.append(made.take(rows[wanted]))
    return concatenate(found)


def _places(builder: OmopBuilder, number: int) -> NDArray[np.bool_]:
    size = max((one.rendering for one in builder.batch(number)), default=0) + 1
    return np.zeros((size, len(builder.facts.batches[number])), dtype=np.bool_)


def cut(
    database: Database, tables: Sequence[Table], ours: Records, vanished: Records, field_concepts: Mapping[str, int]
) -> None:
    """Let no row of ours point to one that vanishes; those of others are left to the database's keys.

    Arguments: `ours`, the records whose rows may; `field_concepts`, by table, what a link to it names besides.
    """
    for kind in np.unique(vanished.kind).tolist():
        gone = np.unique(vanished.integer[vanished.kind == kind]).tolist()
        for number, table in enumerate(tables):
            mine = set(ours.integer[ours.kind == number].tolist())
            if not mine or not table.id_column:
                continue
            for columns, condition in _links(table, tables[kind].name, field_concepts):
                query = f"SELECT {table.id_column} FROM {table.name} WHERE {columns[0]} IN ({{}}){condition}"
                database.set_null(table.name, columns, mine & set(_asked(database, query, gone)))


def _links(table: Table, target: str, field_concepts: Mapping[str, int]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The columns of a table that can point to another, and what else has to hold for that."""
    for field in table.fields:
        if field.fk_table == target and field.name != table.id_column and not field.required and target != "person":
            yield (field.name,), ""
    if table.event_id and table.event_field and target in field_concepts:
        yield (table.event_id, table.event_field), f" AND {table.event_field} = {field_concepts[target]}"


def _asked(database: Database, query: str, integers: Sequence[int]) -> Iterator[int]:
    for start in range(0, len(integers), ASKED_AT_ONCE):
        asked = integers[start : start + ASKED_AT_ONCE]
        yield from (int(str(one)) for (one,) in database.select(query.format(", ".join("?" * len(asked))), *asked))
