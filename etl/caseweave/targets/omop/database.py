"""What a database of OMOP rows has to offer, and the order in which rows come and go there so that every key holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np

from caseweave.errors import TargetError
from caseweave.shapes.omop import OmopShapes
from caseweave.targets.ledger import Difference, Ledger
from caseweave.targets.omop.ddl import parents_first
from caseweave.targets.records import Records, concatenate

# tables without an integer key of their own: the column by which their rows are found again
FOUND_BY = {"death": "person_id", "episode_event": "episode_id"}
FIELD_CONCEPTS = {
    "condition_occurrence": "event-field-condition",
    "procedure_occurrence": "event-field-procedure",
    "drug_exposure": "event-field-drug",
    "measurement": "event-field-measurement",
    "observation": "event-field-observation",
    "episode": "event-field-episode",
}
# table, columns, rows, how many
Rows = tuple[str, list[str], Iterable[Sequence[object]], int]


class Database(Protocol):
    """What a database has to offer; omop.sqlite and PostgreSQL do."""

    shapes: OmopShapes
    null: float | None  # what stands for NULL in the rows that it is given
    vocabulary: Literal["own", "foreign", "none"]  # whether its vocabulary tables are ours to fill

    def ledger(self, study: str, stream: str) -> Ledger: ...
    def largest(self, table: str, column: str) -> int: ...
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None: ...
    def update(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None: ...
    def delete(self, table: str, column: str, integers: Iterable[int]) -> None: ...
    def set_null(self, table: str, columns: Sequence[str], integers: Iterable[int]) -> None: ...
    def select(self, query: str, *arguments: object) -> list[tuple[object, ...]]: ...
    def refuse_lacking(self, concepts: Sequence[int]) -> str: ...
    def lost(self, table: str, count: int) -> None: ...


def put_rows(database: Database, change: Difference, new: Iterable[Rows], changed: Iterable[Rows]) -> Counter[str]:
    """Insert and replace rows, parents first; returns how many of each table were written.

    A row with a key of its own stays where it is while it changes, since others point to it; one without goes first and
    comes again.
    """
    delete_rows(database, concatenate([change.changed, change.vanished]), with_key=False)
    written: Counter[str] = Counter()
    for table, columns, rows, count in new:
        database.insert(table, columns, rows)
        written[table] += count
    for table, columns, rows, count in changed:
        write = database.insert if table in FOUND_BY else database.update
        write(table, columns, rows)
        written[table] += count
    return written


def confirm_rows(database: Database, new: Records) -> None:
    """Count in the database what was just inserted, before it is committed.

    Raises TargetError where a trigger or a rule kept rows out: their facts would be lost without a word.
    """
    for kind, name in enumerate(database.shapes.tables):
        integer, column = new.integer[new.kind == kind], database.shapes.tables[name].id_column
        if not len(integer) or name in FOUND_BY:
            continue
        query = f'SELECT count(*) FROM {name} WHERE "{column}" BETWEEN ? AND ?'
        # integers are given without gaps, above all that were there
        ((there,),) = database.select(query, int(integer.min()), int(integer.max()))
        if there != len(integer):
            raise TargetError(
                f"Table {name} was given {len(integer)} rows and holds {there} of them.",
                way_out="Look for triggers and rules on the table; nothing was written. Then run again.",
            )


def delete_rows(database: Database, records: Records, *, with_key: bool) -> None:
    """Delete the rows of some records, children before parents, of tables with or without a key of their own."""
    kinds = {name: kind for kind, name in enumerate(database.shapes.tables)}
    for name in reversed(parents_first(database.shapes)):
        stale = records.integer[records.kind == kinds[name]]
        if len(stale) and (name not in FOUND_BY) is with_key:
            column = FOUND_BY.get(name) or str(database.shapes.tables[name].id_column)
            database.delete(name, column, np.unique(stale).tolist())
