"""Which OMOP database a workspace delivers to: DIR/omop.sqlite, or a CDM on PostgreSQL that is written instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from caseweave.identity.keyfile import ProjectKey, require_same_key
from caseweave.run.convert import Conversion, write_to
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


@contextmanager
def open_database(workspace: Workspace, conversion: Conversion, server: OmopServer | None) -> Iterator[Countable]:
    """The database in one transaction, which is committed at the end or leaves all as it was."""
    shapes = conversion.omop.settings.shapes
    if server is None:
        with SqliteDatabase(workspace.omop, shapes) as embedded:
            yield embedded
        return
    from caseweave.targets.omop.postgres import PostgresDatabase

    with PostgresDatabase(server.dsn, shapes, server.schema, server.vocabulary_schema) as database:
        database.require(conversion.key.project, conversion.key.check_value)
        yield database


def deliver_to(
    workspace: Workspace, conversion: Conversion, stream: str, scope: Scope, server: OmopServer | None
) -> tuple[Difference, Counter[str], dict[str, int]]:
    """Bring the database to what a run says; returns the difference, the rows written and those that are there."""
    with open_database(workspace, conversion, server) as database:
        change, written = write_to(database, conversion, stream, scope)
        return change, written, database.count()
