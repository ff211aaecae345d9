"""Facts into resources: variants, references, claims, and what a value or a link takes along when it is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from caseweave.errors import MappingError
from caseweave.plan.facts import FactBatch, Facts, Link, SlotColumn
from caseweave.shapes.fhir import fhir_shapes
from caseweave.spec.patternfile import build_pattern
from caseweave.spec.yamlfile import Map, parse_yaml
from caseweave.targets.fhir.fragments import Coder
from caseweave.targets.fhir.render import FhirRenderer, FhirSettings
from caseweave.terms.presence import presence
from caseweave.terms.systems import System
from caseweave.values.types import Code, Coding, Missing, PartialDate, Quantity, Text, Value

MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
SYSTEMS = {"SCT": System("SCT", "http://snomed.info/sct"), "CM": System("CM", ""), "DAR": System("DAR", "urn:dar")}
SETTINGS: Mapping[str, object] = {"fhir.set": {}, "omop.set": {}, "without": frozenset(), "because": ""}
SLOTS = "slots: {code: optional, value: optional, at: optional, end: optional, of: {fact: [cancer]}}"
CANCER = "fhir: {resourceType: Condition, when: 'value is present', code: {text: $value}, subject: $subject}"
DATES = "fhir: {resourceType: Observation, effectivePeriod: {start: $at, end: $end}, subject: $subject}"


def code(text: str) -> Code:
    return Code(tuple(Coding(*one.split("|")) for one in text.split()), label=text)


def column(values: Sequence[Value | None]) -> SlotColumn:
    distinct = [None, *dict.fromkeys(one for one in values if one is not None)]
    return SlotColumn(np.array([distinct.index(one) for one in values], dtype=np.int32), distinct)


def batch(
    name: str,
    text: str,
    slots: Mapping[str, Sequence[Value | None]],
    links: Mapping[str, Link] | None = None,
    **settings: Any,
) -> FactBatch:
    """A batch of facts of a pattern given as YAML; the first of its ids ends in 0, the second in 1."""
    head = f"pattern: {name}\nabout: x\n{SLOTS}\nomop: none\nbecause: a test\n"
    tree = parse_yaml(head + text, f"{name}.yaml")
    assert isinstance(tree, Map)
    size = len(next(iter(slots.values())))
    ids = np.zeros((size, 20), dtype=np.uint8)
    ids[:, 0], ids[:, -1] = sum(name.encode()) % 256, np.arange(size)
    numbers = np.zeros(size, dtype=np.int32)
    filled = {slot: column(values) for slot, values in slots.items()}
    pattern = build_pattern(name, tree, f"{name}.yaml")
    return FactBatch(name, "sheet", pattern, ids, numbers, numbers, filled, links or {}, {**SETTINGS, **settings})


def renderer(*batches: FactBatch, **settings: Any) -> FhirRenderer:
    given = {"profiles": {"stage": f"{MCODE}mcode-tnm-stage-group"}, "extensions": {}, "identifier_system": "urn:ids"}
    whole = FhirSettings(fhir_shapes(), Coder(SYSTEMS, {}), presence(), **{**given, **settings})
    return FhirRenderer(Facts(["p"], np.zeros((1, 20), dtype=np.uint8), list(batches)), whole)


def resources(made: FhirRenderer, number: int = 0) -> list[dict[str, Any]]:
    """The resources of a batch, in the order of its facts."""
    found = [
        (n, json.loads(line))
        for _, facts, lines in made.resources(number)
        for n, line in zip(facts, lines, strict=True)
    ]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


VALUE = "fhir: {resourceType: Observation, status: final, subject: $subject, 'value[x]': $value}"


def test_each_kind_has_its_variant() -> None:
    made = renderer(batch("a", VALUE, {"value": [Text("x"), Quantity("4.30", "mm"), None, Text("y")]}))
    one, two, three, four = resources(made)
    assert (one["valueString"], four["valueString"]) == ("x", "y")
    assert two["valueQuantity"]["value"] == 4.3
    assert b'"value":4.30,' in b"".join(line for _, _, lines in made.resources(0) for line in lines)
    assert {"valueString", "valueQuantity"}.isdisjoint(three)
    assert one["subject"] == {"reference": "Patient/" + "a" * 32}


def test_a_sample_has_one_of_each_variant() -> None:
    made = renderer(batch("a", VALUE, {"value": [Text("x"), Text("y"), None, None, Quantity("1", "mm")]}))
    assert sum(len(lines) for _, _, lines in made.resources(0, sample=True)) == 3
    assert sum(len(lines) for _, _, lines in made.resources(0)) == 5


def test_texts_can_hold_what_templates_are_made_of() -> None:
    texts: list[Value | None] = [Text('100 % "sure" {x} %s %b'), Text("\\n\n€")]
    assert [one["valueString"] for one in resources(renderer(batch("a", VALUE, {"value": texts})))] == [
        '100 % "sure" {x} %s %b', "\\n\n€",
    ]  # fmt: skip
    constant = renderer(batch("a", VALUE, {"value": texts[:1]}))
    assert resources(constant)[0]["valueString"] == '100 % "sure" {x} %s %b'


@pytest.mark.parametrize(("emit", "expected"), [(True, "not-asked"), (False, None)])
def test_a_missing_value(emit: bool, expected: str | None) -> None:
    (one,) = resources(renderer(batch("a", VALUE, {"value": [Missing("not-asked")]}), emit_missing=emit))
    assert one.get("dataAbsentReason", {}).get("coding", [{}])[0].get("code") == expected


def test_a_reference_leads_to_what_is_there() -> None:
    """The second cancer isn't rendered: who is about it has no reference, and no empty one."""
    cancer = batch("cancer", CANCER, {"value": [Text("c"), None]})
    link = Link(0, np.array([0, 1, -1], dtype=np.int32))
    about = batch("a", VALUE[:-1] + ", focus: $of}", {"value": [Text("x")] * 3}, {"of": link})
    made = renderer(cancer, about)
    one, two, three = resources(made, 1)
    assert one["focus"] == [{"reference": f"Condition/{resources(made)[0]['id']}"}]
    assert "focus" not in two
    assert "focus" not in three


def test_named_renderings_have_ids_of_their_own() -> None:
    text = """fhir:
  - {name: main, resourceType: Observation, status: final, focus: $self.body, subject: $subject}
  - {name: body, resourceType: BodyStructure, when: "value is present", patient: $subject}"""
    one, body, two = resources(renderer(batch("a", text, {"value": [Text("x"), None]})))
    assert body["id"] == f"{one['id']}-body"
    assert one["focus"] == [{"reference": f"BodyStructure/{body['id']}"}]
    assert "focus" not in two


STAGE = """fhir:
  resourceType: Observation
  profile: {stage: {needs: ["value:code", "at:day"]}}
  status: final
  subject: $subject
  value[x]: $value
  effective[x]: $at"""


@pytest.mark.parametrize(
    ("value", "at", "claimed"),
    [
        (code("CM|x SCT|1222769001"), PartialDate("2021-03-01"), True),
        (code("CM|x SCT|1222769001"), PartialDate("2021-03"), False),
        (code("CM|x"), PartialDate("2021-03-01"), False),
        (code("DAR|unknown"), PartialDate("2021-03-01"), False),
        (Text("IIB"), PartialDate("2021-03-01"), False),
        (None, PartialDate("2021-03-01"), False),
    ],
)
def test_a_profile_is_claimed_where_all_its_rules_hold(value: Value | None, at: Value, claimed: bool) -> None:
    """Needs of kinds, and codes that the profile's value set can hold."""
    (one,) = resources(renderer(batch("a", STAGE, {"value": [value], "at": [at]})))
    assert ("profile" in one.get("meta", {})) is claimed


def test_a_period_never_ends_before_it_starts() -> None:
    starts: list[Value | None] = [PartialDate(one) for one in ("2021-03-02", "2021-03-02", "2021", "2021-03-02")]
    ends: list[Value | None] = [PartialDate("2021-03-01"), PartialDate("2021-03-02"), PartialDate("2021-01-01"), None]
    found = resources(renderer(batch("a", DATES, {"at": starts, "end": ends})))
    assert ["end" in one["effectivePeriod"] for one in found] == [False, True, True, False]


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("2021-06", "2021-06-15", ("2021-06", "2021-06")),
        ("2021-06-15", "2021-06", ("2021-06", "2021-06")),
        ("2021", "2021-06-15", ("2021", "2021")),
        ("2021-06", "2021", ("2021", "2021")),
        ("2021-05", "2021-06-15", ("2021-05", "2021-06-15")),
        ("2021", "2021", ("2021", "2021")),
        ("2021-06-15", "2021-06-15", ("2021-06-15", "2021-06-15")),
    ],
)
def test_dates_of_a_period_that_cannot_be_compared_are_told_alike(start: str, end: str, told: tuple[str, str]) -> None:
    (one,) = resources(renderer(batch("a", DATES, {"at": [PartialDate(start)], "end": [PartialDate(end)]})))
    assert (one["effectivePeriod"]["start"], one["effectivePeriod"]["end"]) == told


def test_what_an_element_cannot_hold_is_left_out() -> None:
    text = "fhir: {resourceType: Condition, subject: $subject, onsetAge: $value}"
    ages: list[Value | None] = [Quantity("61", "a"), Quantity("0", "a"), None]
    assert ["onsetAge" in one for one in resources(renderer(batch("a", text, {"value": ages})))] == [True, False, False]


def test_a_kind_that_never_fits_is_a_fault_of_the_mapping() -> None:
    text = "fhir: {resourceType: Condition, subject: $subject, recordedDate: $value}"
    with pytest.raises(MappingError, match=r"a\.yaml:6: slot 'value' holds a text"):
        resources(renderer(batch("a", text, {"value": [Text("x")]})))


def test_changes_of_a_statement_and_facts_that_stay_away() -> None:
    changes: dict[str, Any] = {"fhir.set": {"status": "amended"}}
    changed = batch("a", VALUE, {"value": [Text("x")]}, {}, **changes)
    assert resources(renderer(changed))[0]["status"] == "amended"
    away = batch("a", VALUE, {"value": [Text("x")]}, without=frozenset({"fhir"}), because="the form says so")
    made = renderer(away)
    assert resources(made) == []
    assert {reason: mask.tolist() for reason, mask in made.untold(0).items()} == {"the form says so": [True]}
    ruled = renderer(batch("cancer", CANCER, {"value": [Text("c"), None]}))
    assert {reason: mask.tolist() for reason, mask in ruled.untold(0).items()} == {
        "rule of pattern cancer": [False, True]
    }
