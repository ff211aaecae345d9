"""`caseweave trace`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from caseweave.run.trace import CellSpot, Trace, Way


def trace(
    workspace: options.WorkspaceFolder,
    ref: Annotated[
        str,
        typer.Argument(metavar="REF", show_default=False, help="Observation/<id>, measurement:12, or Diagnosis!B7."),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Show the way from a cell to what was made of it, and back.

    Of a resource, a row of OMOP or a cell: the file, sheet and cells, the line of the mapping, the fact, and every
    resource and row of that fact. The answer names files and stays at home; what was typed it doesn't show.
    """
    from dataclasses import asdict

    from caseweave.cli.show import say, say_json
    from caseweave.run.trace import trace as follow
    from caseweave.run.workspace import Workspace

    found = follow(Workspace(workspace), ref)
    if as_json:
        say_json(asdict(found))
    else:
        say(describe_trace(found))


def describe_trace(found: Trace) -> str:
    """A trace as the terminal shows it."""
    blocks = [_spot(one, bool(found.ways)) for one in found.cells]
    return "\n\n".join([*blocks, *map(_way, found.ways)])


def _spot(spot: CellSpot, used: bool) -> str:
    from caseweave.cli.show import entry

    lines = [
        f"{spot.sheet}!{spot.cell}",
        entry("File", f"{spot.source} of run {spot.run}: {spot.file}"),
        entry("Field", spot.field or "none"),
        *(entry("Finding", f"{one['severity']}: {one['message']} ({one['rule']})") for one in spot.findings),
    ]
    if spot.ignored:
        lines.append(entry("Ignored", spot.ignored))
    elif not used:
        lines.append(entry("Facts", "none; a blank, missing or rejected cell makes none"))
    return "\n".join(lines)


def _way(way: Way) -> str:
    from caseweave.cli.show import entry

    cells: defaultdict[str, list[str]] = defaultdict(list)
    for one in way.cells:
        cells[one.slot].append(f"{one.sheet}!{one.cell} {one.field}")
    lines = [
        f"{way.statement}: {way.pattern}",
        entry("File", f"{way.source} of run {way.run}: {way.file}"),
        *(
            entry("Cells" if not n else "", f"{slot}: {', '.join(found)}")
            for n, (slot, found) in enumerate(cells.items())
        ),
        entry("Mapping", way.mapping),
        *(entry("Link", f"{slot}: {statement}") for slot, statement in way.links.items()),
        entry("Patient", way.subject or "unknown"),
        entry("Fact", way.fact),
        *_outputs("FHIR", way.fhir),
        *_outputs("OMOP", way.omop),
    ]
    return "\n".join(lines)


def _outputs(label: str, names: tuple[str, ...]) -> list[str]:
    from caseweave.cli.show import entry

    return [entry("" if n else label, name) for n, name in enumerate(names)] or [entry(label, "nothing is held")]
