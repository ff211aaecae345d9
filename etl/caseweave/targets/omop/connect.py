"""The way to a PostgreSQL database: a DSN without a password, and failures in words that quote no value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from caseweave.errors import CaseweaveError, TargetError, UsageError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

PASSWORD = "A password comes from PGPASSWORD, from .pgpass or from a service file, never from the DSN."
# asked for where the DSN doesn't say otherwise; a client that vanished must not keep its lock for hours
DEFAULTS = {"connect_timeout": "10", "application_name": "caseweave", "keepalives_idle": "30", "keepalives_count": "3"}
AGAIN = "Nothing was written; run again when it is well, the same files load what is missing."
GRANTS = (
    "It needs SELECT, INSERT, UPDATE and DELETE on the CDM, SELECT on the vocabulary, TEMPORARY on the database, and "
    "CREATE on the schema for the first delivery, unless the schema's owner ran `caseweave omop init`. "
    "Nothing was written."
)
# what libpq says when nobody answers -> the way out; its words, in any language of the server, are told anyway
WAYS_IN = (
    (r"password|authentication", PASSWORD),
    (
        r"SSL|certificate|sslmode",
        "TLS is set by sslmode, sslrootcert, sslcert and sslkey in the DSN or the service file.",
    ),
    (r"service", "Services stand in ~/.pg_service.conf, or in the file that PGSERVICEFILE names."),
    (
        r"database .* does not exist",
        "Name the database in the DSN; `caseweave omop init` makes a CDM in one that is there.",
    ),
    (r"starting up|shutting down|recovery", "It will be there soon."),
)
OTHERWISE = "Look whether it is up, and at host and port."
# the first two or all five characters of an SQLSTATE -> what happened, and the way out
FAILURES = {
    "08": ("the connection was lost", AGAIN),
    "57": ("the server ended the work", AGAIN),
    "57014": (
        "a statement was cancelled",
        "It took longer than statement_timeout allows this user, or somebody ended it. " + AGAIN,
    ),
    "53100": ("its disk is full", "Make room on the server. " + AGAIN),
    "53300": ("it takes no more connections", AGAIN),
    "53": ("the server has no resources left", AGAIN),
    "40": ("another writer was in the way", AGAIN),
    "55": ("something else holds a table, longer than lock_timeout allows to wait", AGAIN),
    "25006": ("it can only be read", "Give the DSN of the server that is written to, not of its replica."),
    "42501": (
        "this user may not do what is needed",
        GRANTS,
    ),
    "42": ("the tables are not those of the CDM", "Compare them with the CDM's DDL (`caseweave omop init` makes one)."),
    "3F": ("the schema is not there", "Name the schema with --omop-schema."),
    "23503": ("a key points to a row that isn't there", "A concept that the vocabulary lacks? Load its release."),
    "23502": (
        "a column that wants a value got none",
        "If it is a column of your own, give it a default or let it be NULL; if it is the CDM's, please report it.",
    ),
    "23": (
        "a constraint of the database doesn't hold",
        "Somebody else may have taken the key; if not, please report it.",
    ),
    "0A": (
        "a table can't be filled by COPY",
        "Is it a view, or are its rows guarded by policies (row-level security)? This user has to be past them.",
    ),
    "22": ("a value doesn't fit its column", "Compare the column's type with the CDM's DDL."),
}


def parse(dsn: str) -> dict[str, str]:
    """Take a DSN apart, as a URL or as `key=value` words; one that holds a password is refused.

    >>> sorted(parse("postgresql://etl@cdm.example/omop"))
    ['dbname', 'host', 'user']

    Raises UsageError, without a word of the DSN in it.
    """
    try:
        words = {name: str(value) for name, value in parse_dsn(dsn).items()}
    except (psycopg2.Error, TypeError):
        # libpq quotes what it can't read, and that may be a password
        raise UsageError(
            "The DSN of the OMOP database can't be read.",
            way_out="Write postgresql://USER@HOST:PORT/DATABASE, or service=NAME.",
        ) from None
    if {"password", "sslpassword"} & words.keys():
        raise UsageError("The DSN of the OMOP database holds a password.", way_out=f"Take it out. {PASSWORD}")
    return words


def place(dsn: str) -> str:
    """Say which database a DSN means.

    >>> place("postgresql://etl@cdm.example/omop")
    'database omop at cdm.example'
    """
    words = parse(dsn)
    host = ":".join(filter(None, (words.get("host", ""), words.get("port", ""))))
    name = words.get("dbname") or words.get("service") or words.get("user") or "of the user's name"
    return f"database {name}" + (f" at {host}" if host else "")


def connect(dsn: str) -> Connection:
    """Open a connection.

    >>> connect("postgresql://etl@cdm.example/omop")  # doctest: +SKIP

    Raises UsageError for a DSN that holds a password or can't be read, TargetError where nobody answers.
    """
    words = {**DEFAULTS, **parse(dsn)}
    try:
        return psycopg2.connect(make_dsn(**words))
    except psycopg2.Error as error:
        told = str(error).strip().splitlines() or ["no reason given"]
        reason = told[0].rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
        way_out = next((way for sign, way in WAYS_IN if re.search(sign, reason)), OTHERWISE)
        raise TargetError(
            f"The {place(dsn)} can't be reached: {reason}.",
            way_out=f"{way_out} `caseweave run` with the same files resumes.",
        ) from None


@dataclass(frozen=True)
class Asking:
    """Asks PostgreSQL what is written for SQLite, with ? for each argument.

    >>> Asking(connect("service=cdm"), "service=cdm").execute("SELECT ? + 1", (1,)).fetchall()  # doctest: +SKIP
    [(2,)]
    """

    connection: Connection
    dsn: str

    def execute(self, query: str, arguments: Sequence[Any] = ()) -> Cursor:
        """Run one statement; raises TargetError."""
        cursor = self.connection.cursor()
        with told(self.dsn):
            if arguments:
                cursor.execute(query.replace("?", "%s"), arguments)
            else:  # then psycopg2 leaves every % as it is
                cursor.execute(query)
        return cursor

    def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of a few rows."""
        for row in rows:
            self.execute(query, row)


@contextmanager
def asking(dsn: str, *schemas: str) -> Iterator[Asking]:
    """A connection to read schemas with, dates in ISO form."""
    connection = connect(dsn)
    try:
        connection.set_session(readonly=True)
        ask = Asking(connection, dsn)
        path = ", ".join(["quote_ident(?)"] * len(schemas))
        ask.execute(f"SELECT set_config('search_path', concat_ws(', ', {path}), true)", schemas)
        ask.execute("SELECT set_config('datestyle', 'ISO', true)")
        yield ask
    finally:
        connection.close()


@contextmanager
def told(dsn: str) -> Iterator[None]:
    """Turn what the database raises inside into a TargetError that names table, column and constraint, never a value.

    >>> with told("postgresql://etl@cdm.example/omop"):
    ...     pass
    """
    try:
        yield
    except psycopg2.Error as error:
        raise describe(dsn, error) from None


def describe(dsn: str, error: psycopg2.Error) -> CaseweaveError:
    """The words for what a database raised; its own message and detail, which quote values, stay out."""
    code = error.pgcode or "08000"
    what, way_out = FAILURES.get(code) or FAILURES.get(code[:2]) or ("it refused the work", "Ask its administrator.")
    named = {
        "table": error.diag.table_name,
        "column": error.diag.column_name,
        "constraint": error.diag.constraint_name,
    }
    if named["column"] is None:
        named.update(_in_context(error.diag.context))
    spot = ", ".join(f"{name} {value}" for name, value in named.items() if value)
    if code == "42501" and (refused := re.match(r"permission denied for (\w+ \w+)", error.diag.message_primary or "")):
        spot = refused[1]
    if code[:2] == "42" and not spot:
        # the message of a missing table or column names it, and nothing that came from a cell
        spot = " ".join(re.findall(r'"[a-z_0-9.]+"', error.diag.message_primary or "")).replace('"', "")
    return TargetError(
        f"The {place(dsn)}: {what}{f' ({spot})' if spot else ''}.", way_out=way_out, sqlstate=code, **_given(named)
    )


def _in_context(context: str | None) -> dict[str, str | None]:
    """Where a COPY failed: `COPY measurement, line 3, column unit_source_value: "..."`."""
    found = re.match(r"COPY (\w+), line \d+(?:, column (\w+))?", context or "")
    return {"table": found[1].removeprefix("caseweave_new_"), "column": found[2]} if found else {}


def _given(named: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in named.items() if value}
