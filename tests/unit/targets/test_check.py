"""The check of FHIR output, rule by rule: each is kept by one example and broken by another."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from caseweave.shapes.fhir import fhir_shapes
from caseweave.shapes.profiles import profiles
from caseweave.targets.fhir.check import Fault, check_resources
from caseweave.targets.fhir.claims import Judge, holds_pattern, values_of
from caseweave.targets.fhir.invariants import INVARIANTS, broken_rules

UCUM = "http://unitsofmeasure.org"
CODE = {"coding": [{"system": "urn:s", "code": "c"}]}
# (context, rule, kept, broken)
RULES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("Extension", "ext-1", {"url": "u", "valueCode": "a"}, {"url": "u"}),
    ("Extension", "ext-1", {"url": "u", "extension": [{}]}, {"url": "u", "extension": [{}], "valueCode": "a"}),
    ("Period", "per-1", {"start": "2021-03", "end": "2021-04-01"}, {"start": "2021-03-02", "end": "2021-03-01"}),
    ("Period", "per-1", {"start": "2021", "end": "2021"}, {"start": "2021-03", "end": "2021-03-01"}),
    ("Quantity", "qty-3", {"code": "mm", "system": UCUM}, {"code": "mm"}),
    ("SimpleQuantity", "qty-3", {}, {"code": "mm"}),
    ("SimpleQuantity", "sqty-1", {"value": 1}, {"value": 1, "comparator": "<"}),
    ("Age", "qty-3", {"value": 1, "code": "a", "system": UCUM}, {"value": 1, "code": "a"}),
    ("Age", "age-1", {"value": 1, "code": "a", "system": UCUM}, {"value": 0, "code": "a", "system": UCUM}),
    ("Duration", "qty-3", {}, {"code": "d"}),
    ("Duration", "drt-1", {"code": "d", "system": UCUM}, {"code": "d", "system": "urn:x"}),
    ("Observation", "obs-6", {"dataAbsentReason": {}}, {"dataAbsentReason": {}, "valueString": "x"}),
    ("Observation", "obs-7", {"code": CODE, "component": [{"code": CODE}]},
     {"code": CODE, "valueString": "x", "component": [{"code": CODE}]}),
    ("Observation.component", "obs-6", {"valueString": "x"}, {"dataAbsentReason": {}, "valueString": "x"}),
    ("Observation.referenceRange", "obs-3", {"text": "x"}, {"appliesTo": []}),
    ("Condition", "con-4", {"abatementAge": {}, "clinicalStatus": {"coding": [{"code": "resolved"}]}},
     {"abatementAge": {}, "clinicalStatus": {"coding": [{"code": "active"}]}}),
    ("Condition", "con-5", {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}},
     {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}, "clinicalStatus": {}}),
    ("Condition.stage", "con-1", {"summary": {}}, {"type": {}}),
    ("Condition.evidence", "con-2", {"detail": []}, {"id": "x"}),
    ("MedicationAdministration.dosage", "mad-1", {"rateQuantity": {}}, {"text": "x"}),
    ("Patient.contact", "pat-1", {"name": {}}, {"gender": "male"}),
    ("ContactPoint", "cpt-2", {"value": "x", "system": "phone"}, {"value": "x"}),
    ("FamilyMemberHistory", "fhs-1", {"ageString": "x"}, {"ageString": "x", "bornString": "x"}),
    ("FamilyMemberHistory", "fhs-2", {"ageString": "x", "estimatedAge": True}, {"estimatedAge": True}),
    ("Consent", "ppc-1", {"policyRule": {}}, {}),
    ("Attachment", "att-1", {"data": "x", "contentType": "y"}, {"data": "x"}),
    ("Timing.repeat", "tim-1", {"duration": 1, "durationUnit": "d"}, {"duration": 1}),
    ("Timing.repeat", "tim-2", {"period": 1, "periodUnit": "d"}, {"period": 1}),
    ("Range", "rng-2", {"low": {"value": 1}, "high": {"value": 1}}, {"low": {"value": 2}, "high": {"value": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("context", "key", "kept", "broken"), RULES, ids=[f"{c}: {k}" for c, k, _, _ in RULES])
def test_each_rule(context: str, key: str, kept: dict[str, Any], broken: dict[str, Any]) -> None:
    assert key not in {one.key for one in broken_rules(context, kept)}
    assert key in {one.key for one in broken_rules(context, broken)}


def test_no_rule_is_untested() -> None:
    every = {(context, one.key) for context, rules in INVARIANTS.items() for one in rules}
    assert every == {(context, key) for context, key, _, _ in RULES}


def faults(*resources: dict[str, Any], whole: bool = False) -> list[Fault]:
    by_type: dict[str, list[bytes]] = {}
    for one in resources:
        by_type.setdefault(one["resourceType"], []).append(orjson.dumps(one))
    return check_resources(by_type, fhir_shapes(), whole=whole)


OBSERVATION = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
# what is changed in a good Observation, the rule that says it, and where
CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"status": "zzz"}, "required-binding", "Observation.status"),
    ({"status": None}, "empty", "Observation.status"),
    ({"stat": "final"}, "unknown-element", "Observation.stat"),
    ({"valueString": "a", "valueInteger": 1}, "choice", "Observation.valueInteger"),
    ({"valueString": ""}, "primitive", "Observation.valueString"),
    ({"valueQuantity": {}}, "empty", "Observation.valueQuantity"),
    ({"valueQuantity": "3"}, "type", "Observation.valueQuantity"),
    ({"category": {"text": "x"}}, "cardinality", "Observation.category"),
    ({"category": []}, "empty", "Observation.category"),
    ({"code": [{"text": "x"}]}, "cardinality", "Observation.code"),
    ({"component": [{"valueString": "x"}]}, "required-element", "Observation.component[0].code"),
    ({"component": [{"code": {"text": "x"}, "valueQuantity": {"comparator": "=<"}}]}, "required-binding",
     "Observation.component[0].valueQuantity.comparator"),
    ({"referenceRange": [{"age": {"low": {"value": "1"}}, "text": "x"}]}, "primitive",
     "Observation.referenceRange[0].age.low.value"),
    ({"effectiveDateTime": "2021-02-30"}, "primitive", "Observation.effectiveDateTime"),
    ({"subject": {"reference": "Observation/o"}}, "reference-target", "Observation.subject"),
    ({"subject": {"reference": "Patient/p", "type": "Group"}}, "reference-type", "Observation.subject"),
    ({"subject": {"reference": "#p"}}, "reference", "Observation.subject"),
    ({"contained": [{"resourceType": "Patient", "gender": "F"}]}, "required-binding",
     "Observation.contained[0].gender"),
    ({"contained": [{"resourceType": "Nonsense"}]}, "resource-type", "Observation.contained[0]"),
    ({"_status": {"extension": [{"url": "u"}]}}, "ext-1", "Observation.status.extension[0]"),
    ({"_status": "x"}, "type", "Observation.status"),
    ({"meta": {"profile": ["a b"]}}, "primitive", "Observation.meta.profile[0]"),
    ({"id": "a b"}, "id", "Observation.id"),
    ({"meta": {"profile": [profiles()["mcode-tumor"].url]}}, "profile", "meta.profile"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rule", "path"), CHANGES, ids=[f"{r} at {p}" for _, r, p in CHANGES])
def test_what_is_wrong_is_told_with_its_place(change: dict[str, Any], rule: str, path: str) -> None:
    assert faults(OBSERVATION) == []
    assert (rule, path) in {(one.rule, one.path) for one in faults({**OBSERVATION, **change})}


def test_what_is_right_stays_right() -> None:
    good: list[dict[str, Any]] = [
        {"subject": {"reference": "Patient/p"}},
        {"subject": {"reference": "http://example.org/fhir/Patient/p"}},
        {"subject": {"reference": "urn:uuid:1"}},
        {"subject": {"identifier": {"value": "x"}}},
        {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]},
        {"valueString": "x", "_valueString": {"id": "i"}},
        {"_effectiveDateTime": {"extension": [{"url": "u", "valueCode": "masked"}]}},
        {"category": [{"text": "x"}, {"text": "y"}], "note": [{"text": "n"}]},
    ]
    for change in good:
        assert faults({**OBSERVATION, **change}) == [], change


def test_references_in_the_whole() -> None:
    about = {**OBSERVATION, "subject": {"reference": "Patient/p"}}
    assert [one.rule for one in faults(about, whole=True)] == ["reference"]
    assert faults(about, {"resourceType": "Patient", "id": "p"}, whole=True) == []


def test_patterns() -> None:
    assert holds_pattern({"coding": [{"code": "a", "system": "s", "display": "x"}]}, {"coding": [{"code": "a"}]})
    assert holds_pattern({"code": "a"}, {"code": "a", "display": "whatever it is called"})
    assert not holds_pattern({"coding": [{"code": "a"}]}, {"coding": [{"code": "b"}]})
    assert not holds_pattern("a", {"code": "a"})


def test_values_of_a_choice() -> None:
    assert values_of({"valueString": "x", "valueSet": 1, "value": 2}, "value[x]") == [
        ("valueString", "x"),
        ("valueSet", 1),
    ]
    assert values_of({"_status": {"id": "x"}}, "status") == [("status", {"id": "x"})]


def test_a_profile_judges_what_does_not_claim_it() -> None:
    """As targets of references are judged."""
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "x"}], "gender": "female"}
    named = {**patient, "name": [{"family": "x"}]}
    judge, profile = Judge(lambda _: None), profiles()["mcode-cancer-patient"]
    assert list(judge.breaches(named, profile)) == []
    assert {one.rule for one in judge.breaches(patient, profile)} == {"profile-required"}
    assert {one.rule for one in judge.breaches({**named, "name": [{}]}, profile)} == {"us-core-6"}
