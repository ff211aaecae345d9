"""Lint with everything at hand: the vocabularies, the examples run, and every template filled and validated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caseweave.errors import MappingError
from caseweave.plan.lint import LintFinding, as_finding, knowledge, lint
from caseweave.quality.rules import checks_of, rules_of
from caseweave.run.examples import example_runner
from caseweave.run.templates import compile_check
from caseweave.spec.faults import Faults
from caseweave.spec.loader import load_study
from caseweave.terms import open_terms


def prove(name: str, *, studies: Sequence[Path] = (), vocabulary: Path | None = None) -> list[LintFinding]:
    """Find the faults of a study, errors first; one that doesn't load has those that stopped it.

    >>> [one.message for one in prove("hcc-tace") if one.severity == "error"]
    []

    Arguments: the study's name or folder; `studies`, a user's own folders; `vocabulary`, an Athena download. Raises
    UsageError where there is no such study.
    """
    try:
        study = load_study(name, studies=studies)
        terms = open_terms(vocabulary)
        faults = Faults()
        with faults:
            rules, checks = rules_of(study), checks_of(study)
        with faults:
            known = knowledge(study, terms)
        faults.tell()
    except MappingError as error:
        return sorted(as_finding(one, "not-loaded") for one in error.each)
    found = lint(study, known, example_runner(terms), rules, checks)
    # what lint has seen already would stop the compiler, or come out twice
    return found if any(one.severity == "error" for one in found) else [*compile_check(study, terms), *found]
