"""FHIR and OMOP tell the same facts: what one of them leaves out it leaves out by a reason with a name, and counts it.

Read back from a workspace: the ids in the NDJSON files, the ids in the ledger of omop.sqlite, the ids in the lineage.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
import pytest

from caseweave.identity.keyfile import temporary_key
from caseweave.plan.facts import FactBatch
from caseweave.run.convert import convert
from caseweave.run.held import fact_text
from caseweave.run.lineage import runs
from caseweave.run.pipeline import Options, Outcome, run
from caseweave.run.synthetic import synthetic_form
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.ledger import PACKED
from caseweave.terms import open_terms
from tests.targets.studies import Convert

# why a fact may stand in one model alone, beside what a pattern or a statement says with `because`
REASONS = re.compile(
    "rule of pattern [a-z-]+"  # presence decides: a condition that is refuted, a procedure that wasn't done
    "|no person|no year_of_birth"  # without a year of birth nobody can be represented
    "|declared missing"  # dataAbsentReason in FHIR, nothing in OMOP
    "|no [a-z_]+_(date|concept_id)"  # the CDM wants a date, and what was done, where FHIR does not
)


def named(study: Study, reason: str) -> bool:
    """Whether a reason is one that somebody wrote down."""
    patterns = study.patterns.values()
    given = {one.because for one in study.statements} | {one.fhir_because for one in patterns}
    return bool(REASONS.fullmatch(reason)) or reason in (given | {one.omop_because for one in patterns}) - {""}


@dataclasses.dataclass
class Told:
    """The facts of a run, of the resources and of the rows that it left behind."""

    workspace: Workspace
    outcome: Outcome

    @cached_property
    def fhir(self) -> set[str]:
        lines = [line for path in self.workspace.fhir.glob("*.ndjson") for line in path.read_bytes().splitlines()]
        return {str(orjson.loads(line)["id"]).partition("-")[0] for line in lines}

    @cached_property
    def omop(self) -> set[str]:
        connection = sqlite3.connect(self.workspace.omop)
        packed = [row[0] for row in connection.execute("SELECT records FROM caseweave_ledger")]
        connection.close()
        return {fact_text(one.tobytes()) for records in packed for one in np.frombuffer(records, dtype=PACKED)["id"]}

    @cached_property
    def all(self) -> set[str]:
        (made,) = runs(self.workspace.lineage)
        sheets = made.about["sheets"]
        return {fact_text(one.tobytes()) for sheet in sheets for trail in made.trails(sheet) for one in trail.ids}


@pytest.fixture
def told(converted: Convert, study: str, tmp_path: Path, shared: Path) -> Told:
    workspace = Workspace(tmp_path / "out")
    options = Options(key_file=tmp_path / "key", vocabulary=shared / "data" / "vocabulary")
    return Told(workspace, run(load_study(study), [converted(study).source], workspace, options))


def test_the_same_facts(told: Told, study: str) -> None:
    parity = told.outcome.manifest["parity"]
    assert len(told.all) == parity["facts"] == told.outcome.manifest["facts"]
    assert told.fhir | told.omop <= told.all
    assert (len(told.fhir), len(told.omop)) == (parity["fhir"], parity["omop"])
    for name, ids in (("fhir", told.fhir), ("omop", told.omop)):
        assert sum(parity["left_out"][name].values()) == len(told.all - ids)
        assert [reason for reason in parity["left_out"][name] if not named(load_study(study), reason)] == []


def test_each_fact_by_its_reason(converted: Convert, study: str) -> None:
    """In memory, fact by fact: whoever isn't told stands under exactly one reason, in both directions."""
    conversion = converted(study).conversion
    facts = conversion.applied.facts
    for number, batch in enumerate(facts):
        for untold, told_by in (
            (conversion.fhir.untold(number), conversion.fhir.main[number] >= 0),
            (conversion.omop.untold(number), conversion.omop.main(number) >= 0),
        ):
            times = np.zeros(len(batch), dtype=int)
            for mask in untold.values():
                times += mask
            assert (times == ~told_by).all(), batch.statement
            assert "unexplained" not in untold


def test_reasons_with_every_value(study: str) -> None:
    """The synthetic form: nothing that a form can say is lost without a reason."""
    form, source = synthetic_form(load_study(study))
    conversion = convert(form, [source], key=temporary_key("x"), terms=open_terms())
    parity = conversion.parity()
    for name in ("fhir", "omop"):
        assert parity["facts"] - parity[name] == sum(parity["left_out"][name].values())
        assert [reason for reason in parity["left_out"][name] if not named(form, reason)] == []


def test_nobody_is_told_by_neither(converted: Convert, study: str) -> None:
    """A fact that stands in no model is only a declared missing value, or an answer that says nothing."""
    conversion = converted(study).conversion
    lost: Counter[str] = Counter()
    for number, batch in enumerate(conversion.applied.facts):
        neither = (conversion.fhir.main[number] < 0) & (conversion.omop.main(number) < 0)
        lost[names(batch)] += int(neither.sum())
    assert not +lost


def names(batch: FactBatch) -> str:
    return f"{batch.statement} ({batch.pattern.name})"
