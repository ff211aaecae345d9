"""The embedded OMOP database: one SQLite file, written in one transaction or, when new, under another name first."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Literal

from caseweave.shapes.omop import OmopShapes
from caseweave.targets.ledger import FORGET, Ledger
from caseweave.targets.omop.ddl import VOCABULARY_TABLES, create_statements

VARIABLES = 999  # as many as any SQLite takes in one statement


class SqliteDatabase:
    """Rows in and out of omop.sqlite, or of memory (None); a context manager that commits, or leaves all as it was.

    >>> from caseweave.shapes.omop import omop_shapes
    >>> with SqliteDatabase(None, omop_shapes()) as database:
    ...     database.largest("person", "person_id")
    0
    """

    vocabulary: Literal["own", "foreign", "none"] = "own"
    # SQLite stores a NaN as NULL, and Python binds one in 20 ns, but None, which it first tries to adapt, in 320
    null: float | None = math.nan

    def __init__(self, path: Path | None, shapes: OmopShapes) -> None:
        self.path, self.shapes = path, shapes
        self.new = path is None or not path.exists()
        self.file = path.with_suffix(".part") if path and self.new else path

    def __enter__(self) -> SqliteDatabase:
        if self.new and self.file:
            self.file.unlink(missing_ok=True)
        self.connection = sqlite3.connect(self.file or ":memory:", isolation_level=None)
        if self.new:
            # nobody sees the file before it is whole and renamed, so that a journal would guard nothing
            self.connection.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536"
            )
        self.connection.execute(FORGET)
        self.connection.execute("BEGIN")
        if self.new:
            for statement in create_statements(self.shapes, "sqlite"):
                self.connection.execute(statement)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.connection.in_transaction:
            self.connection.execute("COMMIT")
        elif self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.connection.close()
        if not self.new or self.path is None or self.file is None:
            return
        if kind is None:
            os.replace(self.file, self.path)
        else:
            self.file.unlink(missing_ok=True)

    def undo(self) -> None:
        """Take back all that was done."""
        self.connection.execute("ROLLBACK")

    def ledger(self, study: str, stream: str) -> Ledger:
        """The ledger that lies in this database."""
        return Ledger(self.connection, "caseweave_ledger", study, stream)

    def largest(self, table: str, column: str) -> int:
        """The largest integer in use; 0 where there is none."""
        return int(self.connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()[0])

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, many with one statement: 25,000 patients take a second less so."""
        width = len(columns)
        head, marks = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ", f"({', '.join('?' * width)})"
        many, cells = VARIABLES // width, chain.from_iterable(rows)
        insert_many = head + ", ".join([marks] * many)
        while block := tuple(islice(cells, many * width)):
            full = len(block) == many * width
            self.connection.execute(insert_many if full else head + ", ".join([marks] * (len(block) // width)), block)

    def update(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Replace rows by their keys; columns that aren't named become null."""
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def delete(self, table: str, column: str, integers: Iterable[int]) -> None:
        """Delete the rows that hold these integers in a column."""
        self.connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((one,) for one in integers))

    def set_null(self, table: str, columns: Sequence[str], integers: Iterable[int]) -> None:
        """Empty columns of the rows with these keys."""
        empty = ", ".join(f"{name} = NULL" for name in columns)
        key = self.shapes.tables[table].id_column
        self.connection.executemany(f"UPDATE {table} SET {empty} WHERE {key} = ?", ((one,) for one in integers))

    def select(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """Rows of a query."""
        return self.connection.execute(query, arguments).fetchall()

    def refuse_lacking(self, concepts: Sequence[int]) -> str:
        """Nothing to refuse: the vocabulary tables are filled as rows need them."""
        return ""

    def lost(self, table: str, count: int) -> None:
        """Nothing to do: rows are counted where they stand."""

    def count(self) -> dict[str, int]:
        """Rows per table, empty ones left out, and those of the vocabulary, which tell of no patient."""
        counts = {
            name: int(self.connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])
            for name in self.shapes.tables
            if name not in VOCABULARY_TABLES
        }
        return {name: count for name, count in counts.items() if count}
