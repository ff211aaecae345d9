"""Every template of a study, filled from a form that nobody filled, held against FHIR R4, mCODE and the CDM."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator

from caseweave.errors import MappingError
from caseweave.identity.keyfile import temporary_key
from caseweave.plan.lint import LintFinding, as_finding
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.run.synthetic import synthetic_form
from caseweave.run.validate import validate
from caseweave.spec.models import Study
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import Terms, open_terms

ID = re.compile(r"/[a-z2-7]{32}")


def compile_check(study: Study, terms: Terms | None = None) -> list[LintFinding]:
    """Compile a study and validate what its statements make of every value, with all and with no optional parts.

    >>> from caseweave.spec.loader import load_study
    >>> compile_check(load_study("hcc-tace"))
    []

    FHIR resources are validated by fhir.resources (R4B) and by our own check of bindings, references and claims; OMOP
    rows by a database with every key and NOT NULL of the CDM. Arguments: `terms`, the vocabularies, else the shipped
    subset. Raises nothing for a faulty mapping: what stopped it is a finding too.
    """
    try:
        return sorted(_compile(study, terms or open_terms()))
    except MappingError as error:
        return sorted(as_finding(one, "not-compiled") for one in error.each)


def _compile(study: Study, terms: Terms) -> Iterator[LintFinding]:
    open_study, source = synthetic_form(study)
    key = temporary_key(study.project or study.name)
    conversion = convert(open_study, [source], key=key, terms=terms)
    yield from _fhir(conversion)
    yield from _omop(study, conversion)


def _fhir(conversion: Conversion) -> Iterator[LintFinding]:
    """One finding for each kind of fault of each statement."""
    found: Counter[tuple[str, int, str, str]] = Counter()
    for one in validate(conversion, "templates"):
        # whose resource it is doesn't matter: nobody's
        said = ID.sub("", f"'{one.statement}' makes invalid FHIR: {one.fault.path}: {one.fault.message}")
        found[one.file, one.line, one.fault.rule, said] += 1
    for file, line, rule, said in found:
        yield LintFinding(file, line, f"fhir-{rule}", "error", said, "Correct the pattern or what fills its slots.")


def _omop(study: Study, conversion: Conversion) -> Iterator[LintFinding]:
    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        try:
            write_to(database, conversion)
        except sqlite3.IntegrityError as error:
            yield LintFinding(
                study.file, study.line, "omop-constraint", "error", f"a row breaks the CDM: {error}",
                "Fill the column in the pattern, or give its rendering a `when`.",
            )  # fmt: skip
            return
        for table, _, other, _ in sorted(set(database.select("PRAGMA foreign_key_check"))):
            yield LintFinding(
                study.file, study.line, "omop-key", "error", f"a row of {table} points to none of {other}",
                "Correct what the pattern writes into the column.",
            )  # fmt: skip
