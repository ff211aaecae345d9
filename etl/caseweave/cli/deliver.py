"""`caseweave deliver`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from caseweave.run.deliver import Delivery
    from caseweave.run.workspace import Workspace
    from caseweave.targets.fhir.server.settings import Server

SHOWN_REFUSED = 5
SHOWN_CELLS = 4


def deliver(
    workspace: options.WorkspaceFolder,
    fhir: options.Fhir = None,
    fhir_format: options.FhirFormat = options.Format.JSON,
    bundle: options.Bundle = options.BundleKind.TRANSACTION,
    omop: options.OmopToo = None,
    omop_schema: options.OmopSchema = "public",
    vocabulary_schema: options.VocabularySchema = None,
    size: Annotated[int, typer.Option("--bundle-size", min=1, help="How many resources go together, at most.")] = 400,
    connections: Annotated[int, typer.Option("--connections", min=1, max=64, help="Bundles under way at once.")] = 4,
    gzip: Annotated[
        options.Gzip,
        typer.Option("--gzip", help="Compress what is sent: auto asks the server, if it isn't this machine."),
    ] = options.Gzip.AUTO,
    confirm: Annotated[
        options.Confirm,
        typer.Option("--confirm", help="What is read back of what was stored: counts and versions, or the contents."),
    ] = options.Confirm.QUICK,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=1, help="For one request.")] = 120,
    give_up: Annotated[
        float, typer.Option("--give-up", metavar="SECONDS", min=1, help="For one bundle, with all its attempts.")
    ] = 600,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read what the target holds back first, and repair whatever differs."),
    ] = False,
    validate: Annotated[
        bool, typer.Option("--validate", help="Ask the server's $validate of each resource before it is sent.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Bring FHIR servers, or an OMOP database, to what a workspace holds; only what differs is sent.

    Credentials come from CASEWEAVE_FHIR_ variables, never from arguments.
    """
    from dataclasses import replace

    from caseweave.cli.show import say, say_json
    from caseweave.errors import UsageError
    from caseweave.run.servers import known_servers
    from caseweave.run.workspace import Workspace

    folder = Workspace(workspace)
    if omop:
        from caseweave.cli.omop import transfer_to

        transfer_to(folder, omop, omop_schema, vocabulary_schema, dry_run=dry_run, verify=verify, as_json=as_json)
        if not fhir:
            return 0
    tuning: dict[str, Any] = {
        "size": size,
        "connections": connections,
        "gzip": gzip.value,
        "confirm": confirm.value,
        "timeout": timeout,
        "give_up": give_up,
    }
    servers = servers_of(fhir, fhir_format, bundle) or known_servers(folder)
    if not servers:
        raise UsageError(f"{workspace} was delivered to no server yet.", way_out="Name one with --fhir URL.")
    done = _deliver(
        folder, [replace(one, **tuning) for one in servers], dry_run=dry_run, verify=verify, validate=validate
    )
    if as_json:
        say_json([{**one.summary, "refused": list(one.refused)} for one in done])
    else:
        say("\n\n".join(map(describe_delivery, done)))
    return max(one.exit_code for one in done)


def servers_of(url: str | None, fhir_format: options.Format, bundle: options.BundleKind) -> list[Server]:
    """The server that was named, if one was; raises UsageError where its address or credentials are wrong."""
    import os

    if not url:
        return []
    from caseweave.targets.fhir.server.auth import Credentials
    from caseweave.targets.fhir.server.settings import Server

    server = Server(url, format=fhir_format.value, bundle=bundle.value)
    Credentials.of(os.environ, server)
    return [server]


def after_run(workspace: Workspace, servers: Sequence[Server], as_json: bool) -> int:
    """Deliver what a run made; the exit code is 0 where there is nothing to deliver to."""
    from caseweave.cli.show import say

    done = _deliver(workspace, servers)
    if done and not as_json:
        say("\n" + "\n\n".join(map(describe_delivery, done)))
    return max((one.exit_code for one in done), default=0)


def _deliver(workspace: Workspace, servers: Sequence[Server], **how: bool) -> list[Delivery]:
    import os

    from caseweave.cli.progress import clock
    from caseweave.run.deliver import deliver as deliver_to

    if not servers:
        return []
    with clock() as timer:
        return [deliver_to(workspace, one, os.environ, clock=timer, **how) for one in servers]


def describe_delivery(delivery: Delivery) -> str:
    """A delivery as the terminal shows it."""
    from caseweave.cli.show import count, counts, entry, number

    said = delivery.summary
    lines = [entry("Server", f"{said['server']}{', nothing was sent' if said.get('dry_run') else ''}")]
    for name, label in (("new", "New"), ("changed", "Changed"), ("retracted", "Retracted")):
        if said[name]:
            lines.append(entry(label, f"{number(sum(said[name].values()))}: {counts(said[name])}"))
    lines.append(entry("Unchanged", count(said["unchanged"], "resource")))
    if said.get("kept"):
        lines.append(entry("Kept", f"{count(said['kept'], 'Patient')} to whom facts of another study belong"))
    if found := said.get("found"):
        lines.append(entry("Found", _found(found)))
    if said.get("waiting"):
        why = "; ".join(said["waiting_why"])
        lines.append(entry("Waiting", f"{count(said['waiting'], 'patient')}: {why}. `caseweave deliver` goes on."))
    if said.get("problem"):
        lines.append(entry("Stopped", said["problem"]))
    lines += _refused(delivery.refused, entry)
    return "\n".join(lines)


def _found(found: Mapping[str, int]) -> str:
    words = (
        ("same", "as here"),
        ("different", "different"),
        ("missing", "missing"),
        ("stray", "retracted since"),
        ("others", "of others"),
    )
    return ", ".join(f"{found[name]:,} {word}" for name, word in words if found[name]) or "nothing"


def _refused(refused: Sequence[Mapping[str, Any]], entry: Callable[[str, str], str]) -> list[str]:
    lines = []
    for one in refused[:SHOWN_REFUSED]:
        cells = ", ".join(one["cells"][:SHOWN_CELLS]) + (" ..." if len(one["cells"]) > SHOWN_CELLS else "")
        where = f" from {cells}" if cells else ""
        lines.append(
            entry(
                "Refused", f"{one['subject']} {one['sheet']}: {one['status']} {one['why']}{where}; see {one['folder']}"
            )
        )
    if len(refused) > SHOWN_REFUSED:
        lines.append(entry("", f"and {len(refused) - SHOWN_REFUSED:,} more"))
    return lines
