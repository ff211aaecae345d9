"""What `run` and `check` share: forms read, unlocked by whoever sits at the terminal, and their study found."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from caseweave.cli.options import PASSWORD
from caseweave.cli.progress import paused
from caseweave.cli.show import note
from caseweave.run.pipeline import Clock
from caseweave.run.studies import other_templates, read_unlocked, study_of
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.values.grid import Source


@dataclass(frozen=True, slots=True)
class Intake:
    """Sources and the study they belong to."""

    study: Study
    sources: list[Source]


def take_in(paths: Sequence[Path], study: str | None, studies: Sequence[Path] | None, clock: Clock) -> Intake:
    """Read the forms and load their study; a named study is loaded first, so that a slip costs no reading."""
    folders = list(studies or ())
    named = load_study(study, studies=folders) if study else None
    with clock.step("read"):
        sources = read_unlocked(paths, os.environ.get(PASSWORD) or None, lambda: _ask(clock), named)
        chosen = named or study_of(sources, folders)
    for line in other_templates(chosen, sources):
        note(line)
    return Intake(chosen, sources)


def _ask(clock: Clock) -> str | None:
    """The password of a protected workbook, from a person; None in a pipe."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    with paused(clock):
        answer: str = typer.prompt(
            "Password of the protected workbook", hide_input=True, err=True, default="", show_default=False
        )
    return answer or None
