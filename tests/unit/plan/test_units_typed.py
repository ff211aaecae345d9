"""A unit that goes out is one that the form knows: a column of units is no way out for what people type."""

from __future__ import annotations

import datetime

import pytest

from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import convert
from caseweave.run.examples import source_of
from caseweave.spec.loader import load_study
from caseweave.spec.models import Example
from caseweave.terms import open_terms

TODAY = datetime.date(2026, 6, 1)


@pytest.mark.parametrize(
    ("dose", "unit", "rule"),
    [
        ("30", "0", None),
        ("30", "mg/kg", None),
        ("30", "Garcia Lopez", "unknown-unit"),
        ("30", "tel. 600123456", "unknown-unit"),
        ("30 Garcia", None, "unknown-unit"),
        ("30 mg", None, None),
        ("30", None, "no-unit"),
    ],
)
def test_the_unit_of_a_dose(dose: str, unit: str | None, rule: str | None) -> None:
    study = load_study("eucanimage-uc7")
    row = {"record_id": "UC7_3", "onsetage": "42", "acc_dose": dose, "acc_dose_units": unit}
    source = source_of(study, Example("", 0, {study.sheets[0].key: (row,)}))
    found = convert(study, [source], key=temporary_key("x"), terms=open_terms(), today=TODAY)
    told = [one for one in found.findings if one.field == "acc_dose_1"]
    assert [one.rule for one in told] == ([rule] if rule else [])
    lines = [
        line for n in range(len(found.applied.facts.batches)) for *_, made in found.fhir.resources(n) for line in made
    ]
    doses = [line for line in lines if b'"acc_dose_1"' in line]
    assert len(doses) == (0 if rule else 1)
    assert all(one not in line for line in lines for one in (b"Garcia", b"600123456"))
