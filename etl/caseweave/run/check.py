"""A check: what a run would say of its sources, without loading anything."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from caseweave.identity.keyfile import project_key
from caseweave.run.account import account, write_account
from caseweave.run.checklist import write_checks
from caseweave.run.convert import convert
from caseweave.run.handback import hand_back
from caseweave.run.pipeline import Clock, Options, Outcome, remember
from caseweave.run.queries import ask
from caseweave.run.validate import invalid_findings
from caseweave.run.workspace import Workspace, write_json
from caseweave.sources import read_sources
from caseweave.spec.models import Study
from caseweave.terms import open_terms
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
        with clock.step("terms"):
            terms = open_terms(options.vocabulary)
        with clock.step("apply"):
            known = frozenset(state.get("subjects", ()))
            make = partial(
                convert,
                study,
                key=key,
                terms=terms,
                today=options.today,
                site=options.site,
                known_subjects=known,
                merged=state.get("merged", {}),
            )
            conversion, asked = ask(make, sources, workspace, options.language)
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
