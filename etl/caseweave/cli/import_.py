"""`caseweave import`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from caseweave.cli import options


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            help="What describes the form: a REDCap data dictionary, CDISC ODM, a EuCanImage dictionary with its "
            "rules, or a bare workbook.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False, help="The folder of studies to write into."
        ),
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", show_default="the form's own", help="What the study is called.")
    ] = "",
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Let a check that asks of every row take the condition that the dictionary has."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a study of that name.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Draft a study from a codebook, a REDCap dictionary, ODM, or a bare workbook.

    The draft loads and can be checked with. What could not be taken over stands in import-report.md.
    """
    from caseweave.cli.options import PASSWORD
    from caseweave.cli.show import command, count, say, say_json
    from caseweave.run.imports import import_study

    password = os.environ.get(PASSWORD) or None
    done = import_study(sources, output, name=name, mend=mend, replace=replace, password=password)
    made = done.made
    if as_json:
        counts = {"fields": made.fields, "conditions": made.conditions, "checks": made.checks, "rules": made.rules}
        say_json(
            {"study": done.name, "folder": str(done.folder), "report": str(done.report), **counts, "notes": done.notes}
        )
        return
    told = [count(made.fields, "field"), count(made.conditions, "condition"), count(made.checks, "check")]
    say(f"{done.folder}: {', '.join([*told, count(made.rules, 'rule')])}")
    say(f"{done.report}: {count(done.notes, 'thing')} not taken over, or not as it stands")
    say(f"Then: {command('caseweave', 'lint', done.name, '--studies', output)}")
