"""`caseweave merge`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from caseweave.cli import options

TYPED = "-"


def merge(
    workspace: options.WorkspaceFolder,
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", show_default=False, help="The pseudonym that goes; - to type the id."),
    ],
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", show_default=False, help="The pseudonym that stays; - to type the id."),
    ],
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="STUDY",
            show_default=False,
            help="The study's folder, for an id that is typed.",
        ),
    ] = None,
    studies: options.Studies = None,
    key: options.KeyFile = None,
    site: options.Site = "",
    fhir: options.Fhir = None,
    fhir_format: options.FhirFormat = options.Format.JSON,
    bundle: options.Bundle = options.BundleKind.TRANSACTION,
    omop: options.OmopToo = None,
    omop_schema: options.OmopSchema = "public",
    vocabulary_schema: options.VocabularySchema = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take a merge back: the two as they were named then.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Two patients are one, or a patient's id was corrected: OLD becomes NEW.

    What stood under OLD is retracted at once from the workspace and from the OMOP database that it writes, from FHIR
    servers with --fhir or by the next `caseweave deliver`. Rows with OLD's id become NEW's facts in every later run.
    """
    from caseweave.cli.deliver import after_run, servers_of
    from caseweave.cli.omop import transfer_to
    from caseweave.cli.show import say, say_json
    from caseweave.errors import UsageError
    from caseweave.run.database import OmopServer, remembered
    from caseweave.run.merge import Patient, patient_of
    from caseweave.run.merge import merge as merge_patients
    from caseweave.run.transfer import transfer
    from caseweave.run.workspace import Workspace

    folder, servers = Workspace(workspace), servers_of(fhir, fhir_format, bundle)
    if omop and (own := remembered(folder.read_state())):
        raise UsageError(f"Runs of {workspace} write {own.name} themselves, and so does a merge.",
                         way_out="Leave out --omop.")  # fmt: skip
    both = [
        patient_of(folder, _typed(which), study=study, studies=studies or (), site=site, key_file=key)
        if name == TYPED
        else Patient(name)
        for name, which in ((old, "OLD"), (new, "NEW"))
    ]
    found = merge_patients(folder, *both, undo=undo, dry_run=dry_run)
    if as_json:
        say_json(found)
    else:
        say(describe_merge(found))
    if dry_run:
        return 0
    if omop and as_json:
        # the answer is the merge's, one document
        transfer(folder, OmopServer(omop, omop_schema, vocabulary_schema))
    elif omop:
        transfer_to(folder, omop, omop_schema, vocabulary_schema, dry_run=False, verify=False, as_json=False)
    return after_run(folder, servers, as_json)


def _typed(which: str) -> str:
    """A patient's id from a person who sees nothing of it on the screen, or from a pipe; it goes nowhere else."""
    import sys

    from caseweave.errors import UsageError

    if sys.stdin.isatty():
        found = str(typer.prompt(f"Id of {which} as in the forms (not shown)", hide_input=True, err=True))
    else:
        found = sys.stdin.readline()
    if not found.strip():
        raise UsageError(f"No id was typed for {which}.", way_out="Type it, or give the pseudonym.")
    return found.strip()


def describe_merge(found: Mapping[str, Any]) -> str:
    """A merge as the terminal shows it."""
    from caseweave.cli.show import count, counts, entry

    old, new = found["old"], found["new"]
    title = f"{old} is no longer {new}" if found["undo"] else f"{old} is {new}"
    lines = [f"{title}{' (nothing was changed)' if found['dry_run'] else ''}", ""]
    for label, name, one in (("FHIR", "fhir", "resource"), ("OMOP", "omop", "row")):
        told = found[name]
        lines.append(entry(label, f"{count(sum(told.values()), one)} retracted: {counts(told)}" if told else "nothing"))
    if found["elsewhere"]:
        lines.append(entry("Elsewhere", f"{'; '.join(found['elsewhere'])}: merge in that workspace too."))
    for n, one in enumerate(found["forms"]):
        told = f"{one['source']} of run {one['run']} ({', '.join(one['sheets'])})"
        lines.append(entry("" if n else "Run again", told))
    return "\n".join(lines)
