"""The state of a workspace: what its last run did, and what its targets hold."""

from __future__ import annotations

import json
from typing import Any

from caseweave.errors import UsageError
from caseweave.run.held import fhir_holdings, omop_holdings
from caseweave.run.servers import deliveries
from caseweave.run.workspace import Workspace

COPIED = ("caseweave", "sources", "balance", "findings", "targets", "fhir", "omop")


def status(workspace: Workspace) -> dict[str, Any]:
    """Say what a workspace holds; nothing in the answer names a person.

    Raises UsageError for a folder that is no workspace.
    """
    state = workspace.read_state()
    if not state:
        raise UsageError(
            f"{workspace.root} is no workspace of Caseweave.",
            way_out="Give the folder that `caseweave run` wrote, which is caseweave-STUDY if -o wasn't given.",
        )
    found: dict[str, Any] = {
        "workspace": str(workspace.root),
        "study": {"name": state["study"]},
        "key": state["key"],
        "runs": state["runs"],
        "patients": len(state["subjects"]),
        "last_run": None,
        "sheets": [],
        "deliveries": [],
    }
    if workspace.manifest.exists():
        manifest = json.loads(workspace.manifest.read_text(encoding="utf-8"))
        found["study"] = manifest["study"]
        found["last_run"] = {"run": manifest["run"], **{name: manifest[name] for name in COPIED}}
        found["sheets"] = _sheets(workspace)
        found["deliveries"] = deliveries(workspace)
    return found


def _sheets(workspace: Workspace) -> list[dict[str, Any]]:
    """Per sheet and stream, how many patients' sheets each target holds."""
    with fhir_holdings(workspace) as fhir, omop_holdings(workspace) as omop:
        units = {"fhir": fhir.units(), "omop": omop.units()}
    spots = sorted({spot for found in units.values() for spot in found})
    return [
        {"sheet": sheet, "stream": stream, **{name: found.get((sheet, stream), 0) for name, found in units.items()}}
        for sheet, stream in spots
    ]
