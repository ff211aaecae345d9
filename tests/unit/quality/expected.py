"""The two ways to check a form, our own engine and Great Expectations, each as the set of what fails."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from caseweave.identity.keyfile import ProjectKey
from caseweave.quality.expectations.plan import plan_study
from caseweave.quality.expectations.validate import Ran, validate
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import rules_of
from caseweave.run.convert import Conversion, convert
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.terms import open_terms
from caseweave.terms.presence import presence

TODAY = datetime.date(2026, 1, 31)
# what our engine tells apart, while an expectation says that the cell can't be read
UNREADABLE = {
    "not-a-number", "ambiguous-number", "not-an-integer", "censored-number", "unknown-unit", "unexpected-unit",
    "no-unit", "not-a-date", "ambiguous-date", "implausible-date", "future-date", "too-coarse",
}  # fmt: skip
OF_FIELDS = {"cell-error", "not-in-value-set", "not-an-id", "partial-date", "out-of-range", "unusual-value", "required",
             "gap"}  # fmt: skip

Failure = tuple[str, str, str, str]  # source, sheet, cell, rule


def converted(study: str, *paths: Path) -> Conversion:
    """The forms with our own engine's findings."""
    spec = load_study(study)
    key = ProjectKey(spec.name, bytes(32))
    return convert(spec, read_sources(list(paths), study=spec), key=key, terms=open_terms(), today=TODAY)


def by_ours(made: Conversion) -> set[Failure]:
    """What our own engine finds, of what fields and rules ask; a cell that can't be read is that, whatever it holds."""
    rules = {rule.id for rule in rules_of(made.study)}
    types = {(sheet.key, name): one.type for sheet in made.study.sheets for name, one in sheet.fields.items()}
    found = set()
    for one in made.findings:
        rule = "not-readable" if one.rule in UNREADABLE else one.rule
        if one.rule == "cell-error" and types.get((one.sheet, one.field)) in ("number", "integer", "date"):
            rule = "not-readable"
        if rule in rules or rule in OF_FIELDS or rule == "not-readable":
            found.add((one.source, one.sheet, one.cell, rule))
    return found


def ran(made: Conversion, *, criteria: bool = False) -> list[Ran]:
    """Every check and rule, run by Great Expectations; or the criteria, which find no fault in the data."""
    rules = [rule for rule in rules_of(made.study) if (KINDS[rule.kind].rows == "patient") is criteria]
    planned = plan_study(made.study, rules, presence())
    planned = tuple(one for one in planned if not criteria or one.custom)
    sites = made.applied.subjects.sites
    return validate(planned, made.study, made.applied.sheets, today=TODAY, rules=rules, sites=sites)


def by_expectations(results: Sequence[Ran]) -> set[Failure]:
    """What Great Expectations finds; a rule that fails in no single cell names the sheet."""
    found = set()
    for one in results:
        found |= {(*cell, one.rule) for cell in one.cells}
        if one.fails and not one.cells:
            found.add(("", one.sheet, "", one.rule))
    return found
