"""`caseweave status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caseweave.cli import options

CHANGES = {"new": "loaded", "unchanged": "unchanged", "changed": "changed", "retracted": "retracted"}


def status(
    workspace: options.WorkspaceFolder,
    as_json: options.AsJson = False,
) -> None:
    """Say what a workspace holds and what its last run did."""
    from caseweave.cli.show import say, say_json
    from caseweave.run.status import status as state_of
    from caseweave.run.workspace import Workspace

    found = state_of(Workspace(workspace))
    if as_json:
        say_json(found)
    else:
        say(describe_status(found))


def describe_status(found: Mapping[str, Any]) -> str:
    """The state of a workspace as the terminal shows it."""
    from caseweave.cli.show import count, entry, number, table
    from caseweave.issues import SEVERITIES

    study, last = found["study"], found["last_run"]
    title = f"{study['name']} {study.get('version', '')}".rstrip()
    lines = [
        f"{title}, in {found['workspace']}",
        "",
        entry("Runs", number(found["runs"])),
        entry("Patients", number(found["patients"])),
        entry("Key", f"check value {found['key']}"),
    ]
    if last is None:
        return "\n".join([*lines, "", "No run has ended here yet."])
    sources = [[one["alias"], number(one["rows"]), one["digest"][:16]] for one in last["sources"]]
    findings = ", ".join(count(last["findings"][one], one) for one in SEVERITIES)
    targets = [
        [name.upper(), *(number(change[one]) for one in CHANGES), number(sum(last[name].values()))]
        for name, change in last["targets"].items()
    ]
    sheets = [[one["sheet"], one["stream"], number(one["fhir"]), number(one["omop"])] for one in found["sheets"]]
    return "\n".join(
        [
            *lines,
            entry("Findings", f"{findings}, of run {last['run']}"),
            "",
            table([f"run {last['run']}", *CHANGES.values(), "holds now"], targets),
            "",
            table(["source", "rows", "digest"], sources),
            "",
            table(["sheet", "stream", "patients in FHIR", "patients in OMOP"], sheets),
            *_deliveries(found["deliveries"]),
        ]
    )


def _deliveries(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each FHIR server was sent last, and what it lacks."""
    from caseweave.cli.show import number, table

    if not found:
        return []
    head = ["FHIR server", *CHANGES.values(), "waiting", "quarantined"]
    rows = [
        [
            one["server"],
            *(number(one[name] if name == "unchanged" else sum((one[name] or {}).values())) for name in CHANGES),
            number(one["waiting"]),
            number(one["quarantined"]),
        ]
        for one in found
    ]
    return ["", table(head, rows)]
