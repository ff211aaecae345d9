"""Values as FHIR JSON: what is written of each kind in each type, and what can't be."""

from __future__ import annotations

import json

import pytest

from caseweave.shapes.fhir import fhir_shapes
from caseweave.targets.fhir.fragments import (
    CHOICES,
    FUSSY,
    MANY_CODINGS,
    WRITERS,
    Coder,
    chosen_type,
    fragment,
    fragments,
)
from caseweave.targets.fhir.primitives import is_primitive_value
from caseweave.terms.systems import System
from caseweave.values.types import Boolean, Code, Coding, Integer, Missing, PartialDate, Quantity, Text, Value

SCT = "http://snomed.info/sct"
CODER = Coder(
    {"SCT": System("SCT", SCT), "CM": System("CM", ""), "DAR": System("DAR", "urn:dar")},
    {("SCT", "10828004"): "Positive"},
)
POSITIVE = Code((Coding("CM", "pos"), Coding("SCT", "10828004")), "pos", "ER positive")
BARE = Code((Coding("CM", "pos"),), "pos", "ER positive")
CODING = {"system": SCT, "code": "10828004", "display": "Positive"}
CASES: list[tuple[Value, str, object]] = [
    (POSITIVE, "CodeableConcept", {"coding": [CODING], "text": "ER positive"}),
    (POSITIVE, "Coding", CODING),
    (POSITIVE, "string", "ER positive"),
    (BARE, "CodeableConcept", {"text": "ER positive"}),
    (BARE, "Coding", None),
    (Code((), "", ""), "CodeableConcept", None),
    (Code((Coding("SCT", "1"),)), "CodeableConcept", {"coding": [{"system": SCT, "code": "1"}]}),
    (Quantity("3", "mm"), "Quantity", {"value": 3, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"}),
    (Quantity("61", "a"), "Age", {"value": 61, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}),
    (Quantity("0", "a"), "Age", None),
    (Quantity("2.5", "1"), "positiveInt", None),
    (Quantity("2.0", "1"), "positiveInt", 2),
    (Quantity("2", "1", "<"), "integer", None),
    (Quantity("2", "1", "<"), "decimal", None),
    (Quantity("-2", "1"), "integer", -2),
    (Integer(0), "positiveInt", None),
    (Integer(0), "unsignedInt", 0),
    (Integer(-1), "unsignedInt", None),
    (Integer(3), "Quantity", {"value": 3, "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}),
    (Text("words"), "CodeableConcept", {"text": "words"}),
    (Text("a\x07b"), "string", "a\ufffdb"),
    (Text("two words"), "uri", None),
    (Text(" lead"), "code", None),
    (Text("a_b"), "id", None),
    (Boolean(False), "boolean", False),
    (PartialDate("2021-03"), "dateTime", "2021-03"),
    (PartialDate("2021-03"), "instant", None),
    (PartialDate("2021-03-04"), "instant", "2021-03-04T00:00:00Z"),
    (Missing("not-asked"), "CodeableConcept", {"coding": [{"system": "urn:dar", "code": "not-asked"}]}),
    (Missing("not-asked"), "string", None),
    (Boolean(True), "Quantity", None),
]


@pytest.mark.parametrize(("value", "fhir_type", "expected"), CASES, ids=[f"{v} as {t}" for v, t, _ in CASES])
def test_written(value: Value, fhir_type: str, expected: object) -> None:
    found = fragment(value, fhir_type, CODER)
    assert (None if found is None else json.loads(found)) == expected


@pytest.mark.parametrize("number", ["4.30", "0.10", "566530", "1E3", "-0.5"])
def test_digits_are_kept(number: str) -> None:
    found = fragment(Quantity(number, "mm"), "Quantity", CODER)
    assert found is not None
    assert f'"value":{number},'.encode() in found


def test_a_comparator_stands_beside_its_number() -> None:
    assert json.loads(fragment(Quantity("0.1", "mm", "<"), "Quantity", CODER) or b"")["comparator"] == "<"


def test_many_codings_stand_between_brackets() -> None:
    both = Code((Coding("SCT", "10828004"), Coding("SCT", "1")))
    assert json.loads(b"[%b]" % (fragment(both, MANY_CODINGS, CODER) or b"")) == [CODING, {"system": SCT, "code": "1"}]


def test_all_values_of_a_slot_in_their_order() -> None:
    assert fragments([None, Integer(0), Integer(2)], "positiveInt", CODER) == [None, None, b"2"]


def test_what_can_fail_is_known_to_fail() -> None:
    """FUSSY names every pair of which some value can't be written; the tree guards no others."""
    failing = {(value.kind, fhir_type) for value, fhir_type, expected in CASES if expected is None}
    kinds = {pair for pair in failing & WRITERS.keys() if pair != ("code", "CodeableConcept")}
    assert kinds <= FUSSY


def test_primitives_are_what_they_say() -> None:
    """Whatever is written of a value for a primitive type is one."""
    samples: list[Value] = [value for value, _, _ in CASES]
    for (kind, fhir_type), _ in WRITERS.items():
        if not fhir_shapes().is_primitive(fhir_type):
            continue
        for value in (one for one in samples if one.kind == kind):
            found = fragment(value, fhir_type, CODER)
            assert found is None or is_primitive_value(fhir_type, json.loads(found)), (value, fhir_type)


def test_choices() -> None:
    value = fhir_shapes().resolve("Observation", "value[x]").types
    onset = fhir_shapes().resolve("Condition", "onset[x]").types
    assert chosen_type("integer", value, True) == "integer"
    assert chosen_type("day", value, True) == "dateTime"
    assert chosen_type("quantity", onset, True) == "Age"
    assert chosen_type("code", onset, True) == "string"
    assert chosen_type("boolean", onset, True) is None
    assert chosen_type("link", ("Reference",), False) == "Reference"
    assert chosen_type("link", ("string",), False) is None
    assert {kind for kind, _ in WRITERS} <= {*CHOICES, "missing"}


@pytest.mark.parametrize(
    ("fhir_type", "good", "bad"),
    [
        ("date", ["2021", "2021-03", "2024-02-29"], ["2021-02-29", "2021-13", "21", "2021-03-04T00:00:00Z", 2021]),
        ("dateTime", ["2021-03", "2021-03-04T10:00:00+02:00"], ["2021-03-04T10:00", "2021-02-30T10:00:00Z"]),
        ("instant", ["2021-03-04T10:00:00.5Z"], ["2021-03-04"]),
        ("time", ["10:00:00"], ["10:00", "25:00:00"]),
        ("id", ["a-1.B"], ["", "a b", "a_b", "x" * 65]),
        ("code", ["a b"], ["", " a", "a  b"]),
        ("boolean", [True], ["true", 1]),
        ("integer", [-1], [True, 1.5, 2**31]),
        ("positiveInt", [1], [0]),
        ("decimal", [1, 1.5], ["1.5", True]),
        ("string", ["a\nb"], ["", "  ", "a\x07", 1]),
        ("uri", ["urn:x"], ["a b", ""]),
        ("oid", ["urn:oid:2.16.840"], ["2.16.840"]),
        ("uuid", ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], ["c757873d"]),
        ("base64Binary", ["aGk="], ["?"]),
        ("nothing", [], ["x"]),
    ],
)
def test_primitive_values(fhir_type: str, good: list[object], bad: list[object]) -> None:
    assert [one for one in good if not is_primitive_value(fhir_type, one)] == []
    assert [one for one in bad if is_primitive_value(fhir_type, one)] == []
