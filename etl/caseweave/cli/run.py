"""`caseweave run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caseweave.cli import options


def run(
    sources: options.Sources,
    study: options.StudyName = None,
    studies: options.Studies = None,
    output: options.Output = None,
    key: options.KeyFile = None,
    vocabulary: options.Vocabulary = None,
    site: options.Site = "",
    stream: options.Stream = "main",
    as_of: options.AsOf = None,
    increment: options.Increment = False,
    complete: options.Complete = False,
    retract: options.Retract = None,
    force: options.Force = False,
    verify: options.Verify = False,
    omop: options.Omop = None,
    omop_schema: options.OmopSchema = "public",
    vocabulary_schema: options.VocabularySchema = None,
    fhir: options.Fhir = None,
    fhir_format: options.FhirFormat = options.Format.JSON,
    bundle: options.Bundle = options.BundleKind.TRANSACTION,
    validate: options.Validate = options.Depth.TEMPLATES,
    check_omop: options.CheckOmop = False,
    language: options.AnswerLanguage = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be created, changed and retracted, and write nothing.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Turn filled forms into FHIR resources and OMOP rows, in a workspace.

    The same forms again change nothing; corrected ones change their facts and nothing else. Findings, with sheet and
    cell, are in findings.csv of the workspace.
    """
    from caseweave.cli.deliver import after_run, servers_of
    from caseweave.cli.intake import take_in
    from caseweave.cli.omopcheck import ask_omop
    from caseweave.cli.progress import clock
    from caseweave.cli.show import say, say_json
    from caseweave.cli.summary import describe_preview, describe_run
    from caseweave.run.database import OmopServer
    from caseweave.run.language import require_language
    from caseweave.run.pipeline import Options
    from caseweave.run.pipeline import run as run_study
    from caseweave.run.preview import preview
    from caseweave.run.workspace import Workspace

    servers = servers_of(fhir, fhir_format, bundle)
    with clock() as timer:
        found = take_in(sources, study, studies, timer)
        workspace = Workspace(output or Path(f"caseweave-{found.study.name}"))
        chosen = Options(
            key_file=key,
            vocabulary=vocabulary,
            site=site,
            stream=stream,
            as_of=as_of,
            increment=increment,
            complete=complete,
            retract=retract.value if retract else "",
            force=force,
            verify=verify,
            omop=OmopServer(omop, omop_schema, vocabulary_schema) if omop else None,
            validate=validate.value,
            language=require_language(language),
        )
        if dry_run:
            planned = preview(
                found.study, sources, workspace, chosen, sources=found.sources, servers=servers, clock=timer
            )
        else:
            outcome = run_study(found.study, sources, workspace, chosen, sources=found.sources, clock=timer)
    if dry_run:
        if as_json:
            say_json(planned.manifest)
        else:
            say(describe_preview(planned.manifest, workspace.root, planned.exit_code))
        return planned.exit_code
    if not as_json:
        say(describe_run(outcome.manifest, workspace.root, outcome.exit_code))
    sound = not check_omop or ask_omop(workspace, as_json)
    try:
        delivered = after_run(workspace, servers, as_json)
    finally:
        if as_json:
            say(workspace.manifest.read_text(encoding="utf-8").rstrip())
    return delivered or outcome.exit_code or int(not sound)
