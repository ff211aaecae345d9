"""Lint: a study is proved against shapes, vocabularies and its own examples before a patient is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from caseweave.errors import MappingError
from caseweave.issues import SEVERITIES
from caseweave.plan.lint.checklist import CellCheck, checklist, coded_two_ways
from caseweave.plan.lint.claims import claims
from caseweave.plan.lint.codes import codes
from caseweave.plan.lint.examples import Outcome, RunExample, examples
from caseweave.plan.lint.fhir import fhir
from caseweave.plan.lint.finding import Knowledge, LintFinding, as_finding, knowledge
from caseweave.plan.lint.omop import omop
from caseweave.plan.lint.rules import RowRule, coherence, condition, rules
from caseweave.plan.lint.study import whole
from caseweave.spec.models import Study

__all__ = [
    "PASSES",
    "CellCheck",
    "Knowledge",
    "LintFinding",
    "Outcome",
    "RowRule",
    "RunExample",
    "as_finding",
    "condition",
    "knowledge",
    "lint",
]

PASSES: tuple[Callable[[Knowledge], Iterator[LintFinding]], ...] = (
    whole,
    codes,
    rules,
    coded_two_ways,
    fhir,
    claims,
    omop,
)


def lint(
    study: Study,
    known: Knowledge | None = None,
    run: RunExample | None = None,
    given: Iterable[RowRule] = (),
    asked: Iterable[CellCheck] = (),
) -> list[LintFinding]:
    """Find the faults of a study that loads: each once, by file and line, errors before warnings.

    >>> from caseweave.spec.loader import load_study
    >>> [one for one in lint(load_study("hcc-tace")) if one.severity == "error"]
    []

    Arguments: `known`, the shapes and vocabularies to measure it against, else those that Caseweave ships; `run`
    executes one example, without it they are not run; `given`, the study's rules of coherence; `asked`, the checks of
    single fields that stand beside them. A study that doesn't load raises MappingError before this.
    """
    measure = known or knowledge(study)
    found = {finding for one in PASSES for finding in _told(one(measure))}
    found.update(coherence(measure, given))
    found.update(checklist(measure, asked))
    if run is not None:
        found.update(examples(study, run))
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one))


def _told(findings: Iterator[LintFinding]) -> Iterator[LintFinding]:
    """An expression inside a tree is parsed only here; one that can't be is a fault like any other."""
    try:
        yield from findings
    except MappingError as error:
        yield from (as_finding(one, "expression") for one in error.each)
