"""`caseweave check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caseweave.cli import options


def check(
    sources: options.Sources,
    study: options.StudyName = None,
    studies: options.Studies = None,
    output: options.Output = None,
    key: options.KeyFile = None,
    vocabulary: options.Vocabulary = None,
    site: options.Site = "",
    all_checks: Annotated[
        bool,
        typer.Option("--all-checks", help="List every check of every record in private/checks.csv, passed or not."),
    ] = False,
    validate: options.Validate = options.Depth.TEMPLATES,
    language: options.AnswerLanguage = "",
    as_json: options.AsJson = False,
) -> int:
    """Say what a run would find in filled forms, and load nothing.

    Findings and work list go to the workspace; FHIR, OMOP and what was loaded before stay as they are.
    """
    from caseweave.cli.intake import take_in
    from caseweave.cli.progress import clock
    from caseweave.cli.show import say, say_json
    from caseweave.cli.summary import describe_check
    from caseweave.run.check import check as check_study
    from caseweave.run.language import require_language
    from caseweave.run.pipeline import Options
    from caseweave.run.workspace import Workspace

    with clock() as timer:
        found = take_in(sources, study, studies, timer)
        workspace = Workspace(output or Path(f"caseweave-{found.study.name}"))
        chosen = Options(
            key_file=key, vocabulary=vocabulary, site=site, validate=validate.value, language=require_language(language)
        )
        outcome = check_study(
            found.study, sources, workspace, chosen, sources=found.sources, clock=timer, all_checks=all_checks
        )
    if as_json:
        say_json(outcome.manifest)
    else:
        say(describe_check(outcome.manifest, workspace.root, outcome.exit_code))
    return outcome.exit_code
