"""A delivery asked for by a Python script: a run into a workspace, then what it holds to a FHIR server."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from caseweave.run.deliver import deliver as deliver_to
from caseweave.run.pipeline import Options, Outcome, run
from caseweave.run.preview import preview
from caseweave.run.workspace import Workspace
from caseweave.spec.models import Study
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.settings import Server
from caseweave.values.grid import Source


def deliver(
    study: Study, sources: Sequence[Source], folder: Path, options: Options, *, fhir: str | None, dry_run: bool
) -> Outcome:
    """Run sources that were read into a workspace, and deliver it to a FHIR server.

    >>> deliver(study, sources, Path("caseweave-breast"), Options(), fhir=None, dry_run=True)  # doctest: +SKIP

    Arguments: `fhir`, the server's base address; `dry_run` tells the difference and writes nothing. Raises what
    `pipeline.run` and `deliver.deliver` raise.
    """
    workspace, servers = Workspace(folder), [Server(fhir)] if fhir else []
    for one in servers:
        Credentials.of(os.environ, one)  # wrong ones are told before anything is written
    if dry_run:
        return preview(study, [], workspace, options, sources=sources, servers=servers)
    outcome = run(study, [], workspace, options, sources=sources)
    codes = [deliver_to(workspace, one, os.environ).exit_code for one in servers]
    manifest = json.loads(workspace.manifest.read_text(encoding="utf-8"))
    return Outcome(manifest, max(codes, default=0) or outcome.exit_code)
