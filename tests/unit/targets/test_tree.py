"""A pattern's FHIR tree: compiled against R4, assembled per variant, refused where R4 has no such place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from caseweave.errors import MappingError
from caseweave.shapes.fhir import fhir_shapes
from caseweave.spec.yamlfile import parse_yaml
from caseweave.targets.fhir.assemble import Assembler
from caseweave.targets.fhir.fragments import Coder
from caseweave.targets.fhir.nodes import Hole, Nested, Reversed, Tree, Unwritable, slots_of
from caseweave.targets.fhir.tree import compile_tree
from caseweave.terms.systems import System

SYSTEMS = {name: System(name, url) for name, url in (("SCT", "urn:sct"), ("OBSCAT", "urn:cat"), ("CM", ""))}
CODER = Coder(SYSTEMS, {("SCT", "1"): "one"})
EXTENSIONS = {"side": "http://example.org/side"}


def tree(text: str, kind: str = "Observation") -> Tree:
    found: Any = parse_yaml(f"resourceType: {kind}\n{text}", "p.yaml")
    return compile_tree(found, fhir_shapes(), CODER, EXTENSIONS, "p.yaml", 1)


def assembled(made: Tree, kinds: Mapping[str, str], *flags: bool, emit: bool = False) -> Any:
    """A variant as JSON; a hole shows its slot and type."""
    conditions = [*flags, *([False] * (len(made.conditions) - len(flags)))]
    pieces = Assembler(kinds, conditions, emit, "p.yaml", 1).whole(made.root, context_has_reason=True)
    if pieces is None:
        return None
    text = b"".join(f'"{one.slot}:{one.fhir_type}"'.encode() if isinstance(one, Hole) else one for one in pieces)
    return json.loads(text)


def test_elements_come_in_the_order_of_the_standard() -> None:
    made = tree("value[x]: $value\ncode: SCT|1\nstatus: final")
    assert list(assembled(made, {"value": "code"})) == ["status", "code", "valueCodeableConcept"]


def test_a_repeating_element_is_a_list_a_single_one_is_not() -> None:
    made = tree("category: OBSCAT|survey\ncode: SCT|1\nfocus: [$a, $b]")
    assert assembled(made, {"a": "link"}) == {
        "category": [{"coding": [{"system": "urn:cat", "code": "survey"}]}],
        "code": {"coding": [{"system": "urn:sct", "code": "1", "display": "one"}]},
        "focus": ["a:Reference"],
    }


@pytest.mark.parametrize(
    ("kind", "key", "fhir_type"),
    [
        ("code", "valueCodeableConcept", "CodeableConcept"),
        ("label", "valueCodeableConcept", "CodeableConcept"),
        ("quantity", "valueQuantity", "Quantity"),
        ("integer", "valueInteger", "integer"),
        ("text", "valueString", "string"),
        ("boolean", "valueBoolean", "boolean"),
        ("month", "valueDateTime", "dateTime"),
    ],
)
def test_a_choice_follows_the_kind(kind: str, key: str, fhir_type: str) -> None:
    assert assembled(tree("value[x]: $value"), {"value": kind}) == {key: f"value:{fhir_type}"}


def test_an_absent_slot_takes_its_object_along() -> None:
    made = tree("code: SCT|1\nmethod: {text: $method}\neffectivePeriod: {start: $at, end: $end}\nfocus: $of")
    assert list(assembled(made, {"of": "link"})) == ["code", "focus"]
    assert assembled(made, {"at": "day"})["effectivePeriod"] == {"start": "at:dateTime"}
    assert assembled(made, {}) is None  # of an object that has slots nothing is left when all are absent


def test_a_missing_value_is_a_reason_where_the_study_asks_for_it() -> None:
    made = tree("value[x]: $value")
    assert assembled(made, {"value": "missing"}, emit=True) == {"dataAbsentReason": "value:CodeableConcept"}
    assert assembled(made, {"value": "missing"}) is None


def test_extensions_nest() -> None:
    made = tree('extension[side]: {"extension[depth]": $depth}\nextension[http://example.org/x]: SCT|1')
    assert assembled(made, {"depth": "quantity"})["extension"] == [
        {
            "url": "http://example.org/side",
            "extension": [{"url": "depth", "valueQuantity": "depth:Quantity"}],
        },
        {
            "url": "http://example.org/x",
            "valueCodeableConcept": {"coding": [{"system": "urn:sct", "code": "1", "display": "one"}]},
        },
    ]


def test_first_takes_the_first_that_is_whole() -> None:
    made = tree("first code:\n  - code: $a\n  - code: $b")
    assert assembled(made, {"a": "code", "b": "code"}) == {"code": "a:CodeableConcept"}
    assert assembled(made, {"b": "text"}) == {"code": "b:CodeableConcept"}
    assert assembled(made, {"a": "missing"}) is None


def test_if_takes_a_branch() -> None:
    made = tree('if x: {when: "a > 1", then: {status: final}, else: {status: preliminary}}')
    assert assembled(made, {}, True) == {"status": "final"}
    assert assembled(made, {}, False) == {"status": "preliminary"}


def test_a_period_guards_its_end() -> None:
    made = tree("effectivePeriod: {start: $at, end: $end}")
    assert made.conditions == (Reversed("at", "end"), Nested("at", "end"))
    kinds = {"at": "day", "end": "day"}
    assert assembled(made, kinds, False) == {"effectivePeriod": {"start": "at:dateTime", "end": "end:dateTime"}}
    assert assembled(made, kinds, True) == {"effectivePeriod": {"start": "at:dateTime"}}
    coarse = assembled(made, {"at": "month", "end": "day"}, False, True)
    assert coarse == {"effectivePeriod": {"start": "at:dateTime", "end": "end:dateTime@month"}}


def test_what_an_element_may_not_hold_is_guarded() -> None:
    made = tree("onsetAge: $age\nrecordedDate: $at", "Condition")
    (condition,) = made.conditions
    assert isinstance(condition, Unwritable)
    assert assembled(made, {"age": "quantity", "at": "day"}, True) == {"recordedDate": "at:dateTime"}


def test_a_slot_that_never_fits_is_refused_where_nothing_else_is_possible() -> None:
    with pytest.raises(MappingError, match="slot 'at' holds a boolean, which 'recordedDate' can't"):
        assembled(tree("recordedDate: $at", "Condition"), {"at": "boolean"})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("value[x]: SCT|1", "valueCodeableConcept"),
        ("value[x]: 3", "valueInteger"),
        ("value[x]: true", "valueBoolean"),
        ("value[x]: words", "valueString"),
    ],
)
def test_a_literal_in_a_choice_says_its_type(text: str, key: str) -> None:
    assert list(assembled(tree(text), {})) == [key]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stat: final", "Observation has no element 'stat'"),
        ("status: [final, amended]", "holds one value, not a list"),
        ("status: SCT|1\nissued: SCT|1", "Observation.issued takes no code"),
        ("extension[si de]: $x", "unknown extension"),
        ("category: CM|x", "CM.x never reaches FHIR"),
        ("value[x]: 1.5", "can't be 1.5"),
        ("code: {coding: {sistem: x}}", "Coding has no element 'sistem'"),
    ],
)
def test_what_r4_does_not_have(text: str, told: str) -> None:
    with pytest.raises(MappingError, match=told) as caught:
        tree(text)
    assert caught.value.data["file"] == "p.yaml"


def test_slots_at_any_depth() -> None:
    made = tree('code: $a\nfirst x: [{"value[x]": $b}]\nif y: {when: "z", then: {method: {text: $c}}}\nfocus: $of.main')
    assert slots_of(made.root) == {"a", "b", "c", "of.main"}
