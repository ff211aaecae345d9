"""The FHIR servers that a workspace knows: what each was sent last, what it lacks now, what lies in quarantine."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from caseweave.errors import UsageError
from caseweave.run.workspace import Workspace
from caseweave.targets.fhir.server.ledger import OWN, ServerLedger
from caseweave.targets.fhir.server.quarantine import Quarantine
from caseweave.targets.fhir.server.settings import Server
from caseweave.targets.ledger import FORGET

SERVERS = """
CREATE TABLE IF NOT EXISTS fhir_server (digest TEXT PRIMARY KEY, url TEXT, format TEXT, bundle TEXT, last TEXT)
"""
LAST = ("at", "new", "changed", "retracted", "problem")


def study_of(workspace: Workspace) -> str:
    """The study of a workspace in which a run has ended; raises UsageError where there is none."""
    state = workspace.read_state()
    if not state or not workspace.ledger.is_file():
        raise UsageError(
            f"{workspace.root} holds nothing to deliver.",
            way_out="Give the folder that `caseweave run` wrote, which is caseweave-STUDY if -o wasn't given.",
        )
    return str(state["study"])


def known_servers(workspace: Workspace) -> list[Server]:
    """The servers to which a workspace was delivered before, with the form they were given."""
    study_of(workspace)
    with ledger_of(workspace, keep=False) as connection:
        rows = connection.execute("SELECT url, format, bundle FROM fhir_server ORDER BY url").fetchall()
    return [Server(url, format=format_, bundle=bundle) for url, format_, bundle in rows]


def begin_undone(connection: sqlite3.Connection) -> None:
    """Begin a transaction that closing the connection takes back; until then nothing of it reaches the file."""
    connection.execute("PRAGMA cache_spill = OFF")
    connection.execute("BEGIN IMMEDIATE")


@contextlib.contextmanager
def ledger_of(workspace: Workspace, *, keep: bool = True) -> Iterator[sqlite3.Connection]:
    """The ledger's database; what is settled is committed at once, patient by patient, for sending takes long.

    Arguments: `keep` off undoes at the end whatever is written, so that the file stays as it is.
    """
    connection = sqlite3.connect(workspace.ledger, isolation_level=None, timeout=60)
    try:
        connection.execute(FORGET)
        if not keep:
            begin_undone(connection)
        connection.execute(SERVERS)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (f"{OWN}_kind",)).fetchone():
            raise UsageError(
                f"{workspace.root} holds no ledger of its FHIR resources.",
                way_out="Run its forms into it again; then deliver.",
            )
        yield connection
    finally:
        connection.close()


def quarantine_of(workspace: Workspace, server: Server) -> Quarantine:
    """Where what a server refuses lies."""
    return Quarantine(workspace.private / "quarantine" / f"fhir-{server.digest}", server)


def deliveries(workspace: Workspace) -> list[dict[str, Any]]:
    """Per server what it was sent last, and how many resources and patients it lacks now."""
    if not workspace.ledger.is_file():
        return []
    found = []
    with ledger_of(workspace, keep=False) as connection:
        query = "SELECT url, format, bundle, last FROM fhir_server ORDER BY url"
        for url, format_, bundle, last in connection.execute(query).fetchall():
            server = Server(url, format=format_, bundle=bundle)
            ledger, said = ServerLedger.of(connection, server.digest), json.loads(last)
            apart = {(one["subject"], one["sheet"]) for one in quarantine_of(workspace, server).reasons()}
            waiting = [one for one in ledger.parcels(ledger.subjects()) if one.changes]
            units = {(one.subject, sheet) for one in waiting for sheet, _ in one.units}
            found.append(
                {
                    "server": url,
                    "format": format_,
                    "bundle": bundle,
                    **{name: said.get(name) for name in LAST},
                    "unchanged": ledger.unchanged(),
                    "waiting": len({subject for subject, _ in units - apart}),
                    "quarantined": len(apart),
                }
            )
    return found
