"""What Caseweave keeps for itself in a CDM on PostgreSQL: ledger, project and key check value, numbers of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from psycopg2.extensions import quote_ident

from caseweave.targets.ledger import Held, Ledger
from caseweave.targets.scope import Unit

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

LEDGER = "caseweave_ledger"
COLUMNS = ("subject", "sheet", "study", "stream", "digest", "first_date", "last_date", "records")
KEY = COLUMNS[:4]
# the packed records are hashes for the most part: trying to compress them costs time and gains nothing
TABLES = {
    LEDGER: (
        """
        CREATE TABLE {} (
            subject text NOT NULL, sheet text NOT NULL, study text NOT NULL, stream text NOT NULL,
            digest bytea NOT NULL, first_date text, last_date text, records bytea NOT NULL,
            PRIMARY KEY (subject, sheet, study, stream))
        """,
        "ALTER TABLE {} ALTER records SET STORAGE EXTERNAL",
    ),
    "caseweave_project": ("CREATE TABLE {} (project text PRIMARY KEY, key_check text NOT NULL)",),
    "caseweave_rows": ("CREATE TABLE {} (table_name text PRIMARY KEY, rows bigint NOT NULL)",),
}


def make_own_tables(cursor: Cursor, schema: str) -> None:
    """Make those of our tables that aren't there; the caller holds the lock and commits."""
    for name, statements in TABLES.items():
        qualified = f"{quote_ident(schema, cursor)}.{name}"
        cursor.execute("SELECT to_regclass(%s)", (qualified,))
        # asked first: IF NOT EXISTS wants the right to create a table that is there already
        if cursor.fetchone() == (None,):
            for statement in statements:
                cursor.execute(statement.format(qualified))


class Copy(Protocol):
    """COPY into a table."""

    def __call__(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]], /) -> int: ...


@dataclass
class PostgresLedger(Ledger):
    """The ledger in a CDM on PostgreSQL; its table stands, and `copy` fills it."""

    copy: Copy

    def create(self) -> None:
        """Nothing: `make_own_tables` did it."""

    def among(self, subjects: Iterable[str]) -> tuple[str, object]:
        """The condition that a row is of one of some patients, and its argument."""
        return "subject = ANY (?)", list(subjects)

    def read(self, subjects: Iterable[str]) -> dict[Unit, Held]:
        """What is held of these patients, all sheets."""
        among, argument = self.among(subjects)
        rows = self.connection.execute(
            f"SELECT subject, sheet, digest, first_date, last_date, records FROM {self.table} "
            f"WHERE study = ? AND stream = ? AND {among}",
            (self.study, self.stream, argument),
        )
        return {
            (subject, sheet): Held(bytes(digest), first, last, bytes(records))
            for subject, sheet, digest, first, last, records in rows
        }

    def put(self, kept: Sequence[Sequence[object]], gone: Sequence[Sequence[str]]) -> None:
        """Write whole rows, by their keys; and take rows out."""
        names = ", ".join(KEY)
        self.connection.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS caseweave_units (subject text, sheet text, study text, stream text) "
            "ON COMMIT DROP"
        )
        self.copy("caseweave_units", KEY, chain((row[: len(KEY)] for row in kept), gone))
        self.connection.execute(f"DELETE FROM {self.table} WHERE ({names}) IN (SELECT {names} FROM caseweave_units)")
        self.connection.execute("TRUNCATE caseweave_units")
        self.copy(self.table, COLUMNS, kept)
