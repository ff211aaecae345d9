"""A run that only tells: what would be created, changed and retracted, by type and table, in every target."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from caseweave.errors import Refusal
from caseweave.identity.keyfile import ProjectKey, key_path, project_key, temporary_key
from caseweave.run.account import account
from caseweave.run.database import OmopDelivery
from caseweave.run.deliver import difference
from caseweave.run.guards import Retraction, disagreements, refuse_mass_retraction, retractions
from caseweave.run.pipeline import Clock, FhirDelivery, Options, Outcome, Ready, prepare
from caseweave.run.servers import begin_undone
from caseweave.run.workspace import Workspace
from caseweave.sources import read_sources
from caseweave.spec.models import Study
from caseweave.targets.fhir.server.ledger import ServerLedger
from caseweave.targets.fhir.server.settings import Server
from caseweave.targets.ledger import Difference
from caseweave.targets.records import Records
from caseweave.values.grid import Source

USUAL = Options()


def preview(
    study: Study,
    paths: Sequence[Path],
    workspace: Workspace,
    options: Options = USUAL,
    *,
    sources: Sequence[Source] | None = None,
    servers: Sequence[Server] = (),
    clock: Clock | None = None,
) -> Outcome:
    """Say what a run would do, and do nothing: no file is written, no key made, no row, no request sent.

    >>> preview(study, [Path("site-a.xlsx")], Workspace(Path("caseweave-breast"))).manifest  # doctest: +SKIP

    Arguments: as of `pipeline.run`; `servers`, FHIR servers to which the run would deliver. What a server lacks is told
    as its ledger knows it. The exit code is what the run's would be, 4 where it would be refused for what it retracts.
    Raises what `pipeline.run` raises.
    """
    clock = clock or Clock()
    if sources is None:
        with clock.step("read"):
            sources = read_sources(paths, password=options.password, study=study)
    workspace.refuse_strange()
    with workspace.locked() if workspace.private.exists() else contextlib.nullcontext():
        ready = prepare(study, sources, workspace, options, clock, _key_without_making_one)
        conversion = ready.conversion
        with clock.step("compare"):
            fhir, fhir_retracts, at_servers = _fhir(ready, workspace, options, servers)
            omop, omop_retracts = _omop(ready, workspace, options)
    refused = ""
    if options.retract != "all":
        try:
            refuse_mass_retraction(fhir_retracts, omop_retracts)
        except Refusal as error:
            refused = str(error)
    conversion.findings.extend(retractions(fhir_retracts.vanished))
    conversion.findings.extend(disagreements(conversion.applied, {*fhir.pop("conflicts"), *omop.pop("conflicts")}))
    content = {
        "dry_run": True,
        "run": ready.number,
        **account(conversion, ready.asked.sources),
        "omop_database": ready.server.name if ready.server else workspace.omop.name,
        "targets": {"fhir": fhir, "omop": omop, **at_servers},
        "refused": refused,
        "timings_s": clock.seconds,
    }
    return Outcome(content, Refusal.exit_code if refused else 1 if content["findings"]["error"] else 0)


def _key_without_making_one(project: str, **about: Any) -> ProjectKey:
    """The project's key; a passing one where a run would make it."""
    if about["known"] is None and not key_path(project, about["key_file"]).exists():
        return temporary_key(project)
    return project_key(project, **about)


@contextlib.contextmanager
def _undone(workspace: Workspace) -> Iterator[sqlite3.Connection]:
    """The ledger's database, or one in memory where there is none; nothing that is written stays."""
    path = workspace.ledger if workspace.ledger.exists() else ":memory:"
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        begin_undone(connection)
        yield connection
    finally:
        connection.close()


def _fhir(
    ready: Ready, workspace: Workspace, options: Options, servers: Sequence[Server]
) -> tuple[dict[str, Any], Retraction, dict[str, Any]]:
    """The difference of DIR/fhir, what it retracts, and what each server would then lack."""
    delivery = FhirDelivery(ready.conversion, workspace, options.stream, ready.scope)
    with _undone(workspace) as connection:
        ledger = delivery.ledger(connection)
        change = delivery.writer.compare(ledger)
        retracts = Retraction.of(change, ready.scope, ledger)
        names = {kind: name.partition("-")[0] for name, kind in delivery.writer.kind_of.items()}
        # as the run would leave it; closing takes it back
        ledger.write(delivery.writer.ledger_rows(change))
        lacking = {one.url: difference(ServerLedger.of(connection, one.digest)) for one in servers}
    return _told(change, names), retracts, lacking


def _omop(ready: Ready, workspace: Workspace, options: Options) -> tuple[dict[str, Any], Retraction]:
    """The difference of the OMOP database, and what it retracts."""
    with OmopDelivery(workspace, ready.conversion, options.stream, ready.scope, ready.server, dry_run=True) as delivery:
        retracts, ahead = delivery.compare(), delivery.ahead
        names = {kind: table.name for kind, table in enumerate(ahead.writer.tables)}
        delivery.database.undo()
        return _told(ahead.change, names), retracts


def _told(change: Difference, names: Mapping[int, str]) -> dict[str, Any]:
    """A difference in numbers, by type or table."""

    def by_name(records: Records) -> dict[str, int]:
        return dict(sorted(Counter(names[kind] for kind in records.kind.tolist()).items()))

    return {
        "new": by_name(change.new),
        "changed": by_name(change.changed),
        "retracted": by_name(change.vanished),
        "unchanged": change.same,
        "conflicts": list(zip(change.conflicts.batch.tolist(), change.conflicts.fact.tolist(), strict=True)),
    }
