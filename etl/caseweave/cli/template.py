"""`caseweave template`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caseweave.cli import options


def template(
    study: Annotated[str, typer.Argument(metavar="STUDY", show_default=False, help="The study: its name or folder.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", show_default="STUDY.xlsx", help="The workbook to write."),
    ] = None,
    language: options.Language = "en",
    example: Annotated[bool, typer.Option("--example", help="Fill in the study's fictitious patients.")] = False,
    studies: options.Studies = None,
) -> None:
    """Write the Excel workbook of a study, to be filled in."""
    from caseweave.cli.show import command, count, say
    from caseweave.quality.rules import rules_of
    from caseweave.spec.loader import load_study
    from caseweave.targets.template import write_template

    made = load_study(study, studies=studies or ())
    path = output or Path(f"{made.name}.xlsx")
    rules = rules_of(made)
    left_out = write_template(made, path, language=language, example=example, rules=rules).left_out
    say(f"{path}: {made.name} {made.version}, {count(len(made.sheets), 'sheet')}")
    if rules:
        later = f"; {len(left_out)} only when it comes back, see its first sheet" if left_out else ""
        say(f"Excel colours what {len(rules) - len(left_out)} of {count(len(rules), 'rule')} object to{later}")
    own = [word for folder in studies or () for word in ("--studies", folder)]
    say(f"Fill it in, then: {command('caseweave', 'run', path, *own)}")
