"""Which OMOP database a workspace delivers to: DIR/omop.sqlite, or a CDM on PostgreSQL that is written instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from caseweave.identity.keyfile import ProjectKey, require_same_key
from caseweave.run.convert import Conversion, RowsAhead, compare_with
from caseweave.run.guards import Retraction
from caseweave.run.repair import repair_rows
from caseweave.run.workspace import Workspace
from caseweave.targets.ledger import Difference, Statements
from caseweave.targets.omop.database import Database
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.scope import Scope

if TYPE_CHECKING:
    from caseweave.targets.omop.server import Cdm


@dataclass(frozen=True)
class OmopServer:
    """A CDM on PostgreSQL.

    >>> OmopServer("postgresql://etl@cdm.example/omop", schema="cdm").schema
    'cdm'

    Arguments: `dsn` without a password; `schema` of the CDM; `vocabulary_schema`, where it can't be told by the CDM's
    keys. Raises UsageError for a DSN that holds a password.
    """

    dsn: str
    schema: str = "public"
    vocabulary_schema: str | None = None

    def __post_init__(self) -> None:
        from caseweave.targets.omop.connect import parse

        parse(self.dsn)

    def look(self) -> Cdm:
        """What the schema holds; before a run has written anything, so that a wrong DSN costs nothing."""
        from caseweave.targets.omop.server import look

        return look(self.dsn, self.schema, self.vocabulary_schema)

    def reading(self) -> AbstractContextManager[Statements]:
        """A connection for queries."""
        from caseweave.targets.omop.connect import asking

        return asking(self.dsn, self.schema)

    @property
    def name(self) -> str:
        """What to call it before people."""
        from caseweave.targets.omop.connect import place

        return f"schema {self.schema} of the {place(self.dsn)}"

    def as_state(self) -> dict[str, Any]:
        """What the workspace remembers."""
        return asdict(self)


def remembered(state: Mapping[str, Any]) -> OmopServer | None:
    """The server that earlier runs of a workspace delivered to."""
    return OmopServer(**state["omop"]) if state.get("omop") else None


def known_key(cdm: Cdm | None, project: str, key: ProjectKey | None = None) -> str | None:
    """The check value of the key with which a project has delivered to a CDM; raises Refusal where `key` is another."""
    known = cdm.projects.get(project) if cdm else None
    if known and key:
        require_same_key(key, known)
    return known


class Countable(Database, Protocol):
    """A database that says how many rows of each table are there."""

    def count(self) -> dict[str, int]: ...
    def undo(self) -> None: ...


@contextmanager
def open_database(
    workspace: Workspace, conversion: Conversion, server: OmopServer | None, dry_run: bool = False
) -> Iterator[Countable]:
    """The database in one transaction, which is committed at the end or leaves all as it was.

    Arguments: `dry_run` makes none where there is none.
    """
    shapes = conversion.omop.settings.shapes
    if server is None:
        with SqliteDatabase(None if dry_run and not workspace.omop.exists() else workspace.omop, shapes) as embedded:
            yield embedded
        return
    from caseweave.targets.omop.postgres import PostgresDatabase

    with PostgresDatabase(server.dsn, shapes, server.schema, server.vocabulary_schema) as database:
        database.require(conversion.key.project, conversion.key.check_value)
        yield database


@dataclass
class OmopDelivery:
    """The rows of a run on their way to the database; a context manager that leaves all as it was unless delivered.

    Arguments: `verify`, whether rows that are there are compared, and written anew where somebody changed them;
    `dry_run`, that it is never delivered.
    """

    workspace: Workspace
    conversion: Conversion
    stream: str
    scope: Scope
    server: OmopServer | None
    verify: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        self.opened = ExitStack()

    def __enter__(self) -> OmopDelivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened.__exit__(kind, error, trace)

    @cached_property
    def database(self) -> Countable:
        """The database; its transaction is open from here on."""
        return self.opened.enter_context(open_database(self.workspace, self.conversion, self.server, self.dry_run))

    @cached_property
    def ahead(self) -> RowsAhead:
        """The rows, compared with what is there."""
        return compare_with(self.database, self.conversion, self.stream, self.scope)

    def holds_some(self) -> bool:
        """Whether a server holds something that this run speaks of, whoever delivered it."""
        return self.server is not None and bool(self.database.ledger(self.conversion.study.name, self.stream).holds())

    def compare(self) -> Retraction:
        """Say what the run would retract."""
        return Retraction.of(self.ahead.change, self.scope, self.ahead.ledger)

    def deliver(self) -> tuple[Difference, Counter[str], dict[str, int]]:
        """Write and commit; returns the difference, the rows written and those that are there, by table."""
        if self.verify:
            self.conversion.findings.extend(repair_rows(self.database, self.conversion, self.stream, self.scope))
        written = self.ahead.write()
        total = self.database.count()
        self.opened.close()
        return self.ahead.change, written, total
