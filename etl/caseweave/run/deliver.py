"""What a workspace holds, to FHIR servers: the difference alone, confirmed, resumable; cells for what is refused."""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from caseweave.errors import TargetError, UsageError
from caseweave.run.held import fact_bytes
from caseweave.run.lineage import runs
from caseweave.run.pipeline import Clock
from caseweave.run.refused import Refusals
from caseweave.run.servers import ledger_of, quarantine_of, study_of
from caseweave.run.workspace import Workspace, write_json
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.capability import Capability, read, require, takes_gzip
from caseweave.targets.fhir.server.client import Client, Rejected, TooLarge, Unreachable
from caseweave.targets.fhir.server.confirm import Reader
from caseweave.targets.fhir.server.judge import Judge
from caseweave.targets.fhir.server.ledger import ServerLedger
from caseweave.targets.fhir.server.load import Loader, Report
from caseweave.targets.fhir.server.parcels import UnitName
from caseweave.targets.fhir.server.rebuild import Rebuilt, holds_some, rebuild
from caseweave.targets.fhir.server.settings import Server
from caseweave.targets.fhir.server.store import Lines, id_of

EXIT_DONE, EXIT_FAILED = 0, 3


@dataclass(frozen=True)
class Delivery:
    """What a delivery came to.

    Arguments: `refused` gives, of each patient's sheet in quarantine, its folder, the server's status and the cells.
    """

    summary: Mapping[str, Any]
    refused: Sequence[Mapping[str, Any]] = ()

    @property
    def exit_code(self) -> int:
        """0 where the server holds everything, 3 where something waits or was refused."""
        counts = self.summary
        return EXIT_FAILED if counts.get("waiting") or counts.get("quarantined") or counts.get("problem") else EXIT_DONE


def deliver(
    workspace: Workspace,
    server: Server,
    environment: Mapping[str, str],
    *,
    dry_run: bool = False,
    verify: bool = False,
    validate: bool = False,
    clock: Clock | None = None,
) -> Delivery:
    """Bring a FHIR server to what a workspace holds.

    >>> deliver(Workspace(Path("caseweave-breast")), Server("http://localhost:8080/fhir"), os.environ)  # doctest: +SKIP

    Arguments: `environment` holds the credentials; `dry_run` tells the difference and sends nothing; `verify` holds
    the content of the server against the workspace first, instead of the ledger; `validate` asks the server's $validate
    of each resource before it is sent. Raises UsageError for a folder
    without runs or credentials by half, TargetError where the server can't be reached or can't take what is there.
    """
    credentials = Credentials.of(environment, server)
    study = study_of(workspace)
    clock = clock or Clock()
    with workspace.locked(), ledger_of(workspace, keep=not dry_run) as connection:
        job = _Job(workspace, server, study, connection)
        if dry_run:
            return Delivery({**job.head(), "dry_run": True, **difference(job.ledger)})
        with Client(server, credentials) as client, clock.step("deliver"):
            try:
                return job.run(client, verify, validate)
            finally:
                client.stop.set()


@dataclass
class _Job:
    """One delivery on its way."""

    workspace: Workspace
    server: Server
    study: str
    connection: sqlite3.Connection

    def __post_init__(self) -> None:
        self.ledger = ServerLedger.of(self.connection, self.server.digest)
        self.quarantine = quarantine_of(self.workspace, self.server)
        self.at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.refusals = Refusals(self.workspace, self.quarantine, self.ledger, self.at)

    def head(self) -> dict[str, Any]:
        return {"server": self.server.url, "format": self.server.format, "bundle": self.server.bundle, "at": self.at}

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Some writes to the ledger, whole or not at all."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def run(self, client: Client, verify: bool, validate: bool) -> Delivery:
        capability = read(client)
        reader = Reader(client, capability)
        rebuilt = self.know(client, capability, reader, verify)
        subjects = self.ledger.subjects()
        put, deleted = Counter[str](), Counter[str]()
        wanted: list[str] = []
        for parcel in self.ledger.parcels(subjects):
            for change in parcel.changes:
                (deleted if change.delete else put)[change.type] += 1
                if not change.delete:
                    wanted.append(change.ref)
        require(capability, self.server, put, deleted)
        unchanged = self.ledger.unchanged()
        with Lines(self.workspace.fhir, wanted) as lines:
            self.require_whole(lines, wanted)
            client.zipped = takes_gzip(client) if wanted else False
            apart = self.quarantine.subjects()
            judge = Judge(client, capability, lines)
            refuse = partial(self.refusals.take, judge=judge)
            loader = Loader(client, reader, lines, self.intend, self.settle, refuse, judge if validate else None)
            report = loader.load(
                self.ledger.parcels([one for one in subjects if one not in apart]),
                list(self.ledger.parcels([one for one in subjects if one in apart])),
            )
        self.refusals.clean()
        summary = {
            **self.head(),
            **_counts(report),
            "unchanged": unchanged,
            "kept": report.kept,
            "quarantined": len(self.refusals.found),
            "waiting": len(report.waiting),
            "waiting_why": dict(Counter(report.waiting.values())),
            "waiting_resources": report.waiting_resources,
            "problem": str(report.problem) if report.problem else "",
            "requests": client.counters.requests,
            "retries": client.counters.retries,
            "sent_bytes": client.counters.sent,
            **({"found": vars(rebuilt)} if rebuilt else {}),
        }
        self.remember(summary)
        return Delivery(summary, self.refusals.found)

    def know(self, client: Client, capability: Capability, reader: Reader, verify: bool) -> Rebuilt | None:
        """Make the ledger of a server that is new to this workspace, or is to be looked at, out of what it holds."""
        known = self.ledger.exists
        types = sorted({name.partition("-")[0] for name in self.ledger.kinds().values()})
        readable = [name for name in types if capability.searches(name)]
        try:
            look = (verify or not known) and bool(readable)
            if look:
                reader.learn(readable[0], client.patience())
                look = holds_some(reader, self.study, readable, client.patience())
            with self.transaction():
                self.ledger.create()
                self.remember({})
                if not look:
                    if verify:
                        self.ledger.forget()
                    return None
                with Lines(self.workspace.fhir, self.all_refs()) as lines:
                    return rebuild(self.ledger, reader, self.study, lines, self.made, client.patience)
        except (Unreachable, Rejected, TooLarge) as error:
            raise TargetError(
                f"The FHIR server doesn't let itself be searched: {type(error).__name__}.",
                way_out="Look at it, then run `caseweave deliver`.",
            ) from None

    def all_refs(self) -> list[str]:
        """Everything that the workspace tells."""
        return [ref for path in self.workspace.fhir.glob("*.ndjson") for ref in _refs(path)]

    def made(self, facts: Collection[str]) -> set[str]:
        """Which of some facts this workspace's runs have made."""
        wanted = {raw: text for text in facts if (raw := fact_bytes(text))}
        return {
            wanted[raw]
            for run in (runs(self.workspace.lineage) if wanted else ())
            for trail in run.trails()
            for raw in map(bytes, trail.ids)
            if raw in wanted
        }

    def require_whole(self, lines: Lines, wanted: Sequence[str]) -> None:
        """Stop where the files lack what the ledger tells: a run died between them."""
        lost = sum(ref not in lines for ref in wanted)
        if lost:
            raise UsageError(
                f"{lost} resources of the ledger aren't in {self.workspace.fhir}.",
                way_out="Run the forms into this folder again, then deliver.",
            )

    def intend(self, units: Sequence[tuple[str, tuple[UnitName, ...]]]) -> None:
        with self.transaction():
            for subject, names in units:
                self.ledger.intend(subject, names)

    def settle(self, units: Sequence[tuple[str, tuple[UnitName, ...]]]) -> None:
        with self.transaction():
            for subject, names in units:
                self.ledger.settle(subject, names)
        for subject, names in units:
            self.quarantine.release(subject, names)

    def remember(self, summary: Mapping[str, Any]) -> None:
        """Keep the server and what happened, in the ledger and in the manifest."""
        server = self.server
        row = (server.digest, server.url, server.format, server.bundle, json.dumps(summary))
        self.connection.execute("INSERT OR REPLACE INTO fhir_server VALUES (?, ?, ?, ?, ?)", row)
        path = self.workspace.manifest
        if summary and path.exists():
            manifest = json.loads(path.read_text(encoding="utf-8"))
            deliveries = {**manifest.get("deliveries", {}), server.url: dict(summary)}
            write_json(path, {**manifest, "deliveries": deliveries})


def difference(ledger: ServerLedger) -> dict[str, Any]:
    """What a server lacks, by type, as its ledger tells it; the caller undoes what that writes."""
    ledger.create()
    report = Report()
    for parcel in ledger.parcels(ledger.subjects()):
        for change in parcel.changes:
            report.count(change)
    return {**_counts(report), "unchanged": ledger.unchanged()}


def _counts(report: Report) -> dict[str, Any]:
    return {name: dict(sorted(getattr(report, name).items())) for name in ("new", "changed", "retracted")}


def _refs(path: Path) -> Iterator[str]:
    name = path.name.removesuffix(".ndjson")
    with path.open("rb") as file:
        for line in file:
            yield f"{name}/{id_of(line).decode()}"
