"""A check: what a run would say of its sources, without loading anything."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caseweave.identity.keyfile import project_key
from caseweave.run.account import account, write_account
from caseweave.run.checklist import write_checks
from caseweave.run.handback import hand_back
from caseweave.run.pipeline import Clock, Options, Outcome, made, remember
from caseweave.run.validate import invalid_findings
from caseweave.run.workspace import Workspace, write_json
from caseweave.sources import read_sources
from caseweave.spec.models import Study
from caseweave.values.grid import Source

USUAL = Options()


def check(
    study: Study,
    paths: Sequence[Path],
    workspace: Workspace,
    options: Options = USUAL,
    *,
    sources: Sequence[Source] | None = None,
    clock: Clock | None = None,
    all_checks: bool = False,
) -> Outcome:
    """Check a study's sources: findings and work list into the workspace, nothing into a target or a ledger.

    In the workspace of earlier runs their patients are known, so that a form may hold some of their sheets only.
    Arguments: as of `pipeline.run`; `all_checks` writes private/checks.csv, every check made, passed or not. Raises
    what `pipeline.run` raises.
    """
    clock = clock or Clock()
    if sources is None:
        with clock.step("read"):
            sources = read_sources(paths, password=options.password, study=study)
    workspace.create()
    with workspace.locked():
        state = workspace.read_state()
        key = project_key(
            study.project or study.name, key_file=options.key_file, known=state.get("key"), workspace=workspace.root
        )
        state = workspace.require(study.name, key)
        conversion, asked = made(study, sources, workspace, state, key, options, clock)
        if options.validate != "none":
            with clock.step("validate"):
                conversion.findings.extend(invalid_findings(conversion, options.validate))
        with clock.step("report"):
            if not state:
                remember(workspace, conversion, state, 0)

            def tell() -> dict[str, Any]:
                write_account(workspace, conversion, sources)
                content = account(conversion, sources)
                if all_checks:
                    today = options.today or datetime.date.today()
                    content["checks"] = write_checks(workspace.private, conversion, today)
                content["timings_s"] = dict(clock.seconds)
                write_json(workspace.root / "check.json", content)
                return content

            content = hand_back(workspace, conversion, asked, tell, checked=True, language=options.language)
    return Outcome(content, 1 if content["findings"]["error"] else 0)
