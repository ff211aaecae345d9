"""The OMOP database on PostgreSQL: COPY, set-based changes, rows, ledger and integers in one transaction.

What is ours stands in the ledger, in the same schema; nothing else is changed or deleted. One delivery at a time
writes to a schema, others wait for it: integers are given under that lock.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import quote_ident

from caseweave.errors import CaseweaveError, Refusal, TargetError
from caseweave.shapes.omop import OmopShapes
from caseweave.targets.ledger import Ledger
from caseweave.targets.omop.connect import Asking, connect, place, told
from caseweave.targets.omop.copying import CopyText
from caseweave.targets.omop.ddl import VOCABULARY_TABLES
from caseweave.targets.omop.own_tables import LEDGER, PostgresLedger, make_own_tables
from caseweave.targets.omop.server import find_cdm
from caseweave.targets.omop.trouble import LOCK, explained

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

LARGEST = 2**31 - 1
# a client that vanished leaves its lock after a minute, and not after the two hours of TCP; nobody waits for ever for
# what another session holds, unless the role or the DSN says how long
SETTINGS = (
    "SET LOCAL tcp_keepalives_idle = 20; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 4; "
    "SELECT set_config('lock_timeout', '15min', true) WHERE current_setting('lock_timeout') = '0'"
)
LOG = logging.getLogger("caseweave")


class PostgresDatabase:
    """Rows in and out of a CDM on PostgreSQL; a context manager that commits, or leaves all as it was.

    >>> with PostgresDatabase("postgresql://etl@cdm.example/omop", omop_shapes()) as database:  # doctest: +SKIP
    ...     database.largest("person", "person_id")

    Arguments: `dsn` without a password; `shapes` of the CDM that is there; `schema` that holds it; `vocabulary_schema`
    where that is another one. Raises UsageError for a DSN that holds a password, TargetError where the database can't
    be reached or refuses something; then nothing is written.
    """

    null: float | None = None

    def __init__(
        self, dsn: str, shapes: OmopShapes, schema: str = "public", vocabulary_schema: str | None = None
    ) -> None:
        self.dsn, self.shapes, self.schema, self.vocabulary_schema = dsn, shapes, schema, vocabulary_schema
        self.changes: Counter[str] = Counter()

    def __enter__(self) -> PostgresDatabase:
        self.connection: Connection = connect(self.dsn)
        self.ask = Asking(self.connection, self.dsn)
        try:
            with self.told(), self.connection.cursor() as cursor:
                cursor.execute(SETTINGS)
                self._take_turn(cursor)
                self.cdm = find_cdm(cursor, self.dsn, self.schema, self.vocabulary_schema)
                self.vocabulary = self.cdm.vocabulary
                make_own_tables(cursor, self.schema)
                schemas = dict.fromkeys((self.schema, self.cdm.vocabulary_schema or self.schema))
                cursor.execute(f"SET LOCAL search_path TO {', '.join(quote_ident(one, cursor) for one in schemas)}")
        except BaseException as error:
            self._close(error)
            raise
        return self

    def _take_turn(self, cursor: Cursor) -> None:
        """Until the transaction ends: two workspaces of a project take turns, and the second finds all there."""
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (LOCK, self.schema))
        if cursor.fetchone() != (True,):
            LOG.warning("Another delivery writes to schema %s of the %s; waiting for it.", self.schema, place(self.dsn))
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK, self.schema))

    def _close(self, error: BaseException | None) -> None:
        """Roll back what isn't committed; an error that the database can say more of is raised with that."""
        self.connection.close()
        if isinstance(error, CaseweaveError):
            found = getattr(self, "cdm", None)
            vocabulary = self.vocabulary_schema or (found and found.vocabulary_schema) or self.schema
            told = explained(error, self.dsn, self.schema, vocabulary)
            if told is not error:
                raise told from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self.told():
                    self._remember_counts()
                    self.connection.commit()
        except CaseweaveError as failed:
            error = failed
            raise
        finally:
            self._close(error)

    def undo(self) -> None:
        """Take back all that was done."""
        self.changes.clear()
        self.connection.rollback()

    def told(self) -> AbstractContextManager[None]:
        """Failures of the database in words."""
        return told(self.dsn)

    def execute(self, query: str, arguments: Sequence[Any] = ()) -> Cursor:
        """Run one statement written for SQLite."""
        return self.ask.execute(query, arguments)

    def require(self, project: str, key_check: str) -> None:
        """Let the database belong to a project and its key, or see that it does; another key is refused (Refusal)."""
        found = self.execute("SELECT key_check FROM caseweave_project WHERE project = ?", (project,)).fetchone()
        if found and found[0] != key_check:
            raise Refusal(
                f"This key ({key_check}) is not the one that project {project} came with to the {place(self.dsn)} "
                f"({found[0]}).",
                way_out="Name the right key file with --key FILE; to start anew, use another schema.",
            )
        if not found:
            self.execute("INSERT INTO caseweave_project (project, key_check) VALUES (?, ?)", (project, key_check))

    def ledger(self, study: str, stream: str) -> Ledger:
        """The ledger that lies in this database."""
        return PostgresLedger(self.ask, LEDGER, study, stream, self._copy)

    def largest(self, table: str, column: str) -> int:
        """The largest integer in use, ours or not; 0 where there is none."""
        ((found,),) = self.execute(f'SELECT coalesce(max("{column}"), 0) FROM "{table}"').fetchall()
        if found >= LARGEST - len(self.shapes.tables):
            raise Refusal(
                f"Table {table} of the {place(self.dsn)} uses the integers up to {found}; there are none above.",
                way_out="Deliver to a schema of its own (`caseweave omop init --schema`), or have the keys renumbered.",
            )
        return int(found)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Append rows by COPY."""
        self.changes[table] += self._copy(table, columns, rows)

    def update(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Replace rows in place, by their keys; one that somebody deleted comes again."""
        key, stage = self.shapes.tables[table].id_column, f"caseweave_new_{table}"
        names = [one.name for one in self.shapes.tables[table].fields if one.name in self.cdm.columns[table]]
        listed = ", ".join(f'"{name}"' for name in names)
        empty = f'SELECT {listed} FROM "{table}" WITH NO DATA'
        self.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DROP AS {empty}")
        self._copy(stage, columns, rows)
        new = ", ".join(f'"{name}" = new."{name}"' for name in names if name != key)
        self.execute(f'UPDATE "{table}" AS old SET {new} FROM {stage} AS new WHERE old."{key}" = new."{key}"')
        again = self.execute(
            f'INSERT INTO "{table}" ({listed}) SELECT {listed} FROM {stage} AS new '
            f'WHERE NOT EXISTS (SELECT FROM "{table}" AS old WHERE old."{key}" = new."{key}")'
        )
        self.changes[table] += again.rowcount
        self.execute(f"TRUNCATE {stage}")

    def delete(self, table: str, column: str, integers: Iterable[int]) -> None:
        """Delete the rows that hold these integers in a column."""
        gone = list(integers)
        if gone:
            done = self.execute(
                f'DELETE FROM "{table}" AS old USING unnest(?::bigint[]) AS gone (n) WHERE old."{column}" = gone.n',
                (gone,),
            )
            self.changes[table] -= done.rowcount

    def set_null(self, table: str, columns: Sequence[str], integers: Iterable[int]) -> None:
        """Empty columns of the rows with these keys."""
        empty, key = ", ".join(f'"{name}" = NULL' for name in columns), self.shapes.tables[table].id_column
        self.execute(f'UPDATE "{table}" SET {empty} WHERE "{key}" = ANY (?::bigint[])', (list(integers),))

    def select(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """Rows of a query."""
        return self.execute(query, arguments).fetchall()

    def refuse_lacking(self, concepts: Sequence[int]) -> str:
        """Say which concepts somebody else's vocabulary lacks; TargetError where foreign keys want them there."""
        few = ", ".join(map(str, concepts[:20])) + (" and more" if len(concepts) > 20 else "")
        told = f"The vocabulary of the {place(self.dsn)} lacks {len(concepts)} concepts that the rows use: {few}."
        if self.cdm.concept_keys:
            way_out = "Load the vocabulary release that has them, or run with --vocabulary and the database's own."
            raise TargetError(told, way_out=way_out, concepts=list(concepts))
        return told

    def lost(self, table: str, count: int) -> None:
        """Rows of ours that somebody deleted, and that came again: they were counted before."""
        self.changes[table] -= count

    def count(self) -> dict[str, int]:
        """Rows of ours per table, empty ones left out, and those of the vocabulary; others' rows aren't counted."""
        counts = Counter(dict(self.execute("SELECT table_name, rows FROM caseweave_rows").fetchall()))
        counts.update(self.changes)
        return {name: counts[name] for name in self.shapes.tables if counts[name] and name not in VOCABULARY_TABLES}

    def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
        lines = CopyText(rows)
        listed = ", ".join(f'"{name}"' for name in columns)
        with self.told(), self.connection.cursor() as cursor:
            cursor.copy_expert(f'COPY "{table}" ({listed}) FROM STDIN', lines)
        return lines.count

    def _remember_counts(self) -> None:
        for table, change in self.changes.items():
            if not change:
                continue
            self.execute(
                "INSERT INTO caseweave_rows AS known (table_name, rows) VALUES (?, ?) "
                "ON CONFLICT (table_name) DO UPDATE SET rows = known.rows + excluded.rows",
                (table, change),
            )
        self.changes.clear()
