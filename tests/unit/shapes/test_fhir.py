"""The shapes of FHIR R4, checked by hand-picked facts and against fhir.resources."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from caseweave.assets import data_path
from caseweave.shapes.build_fhir import RESOURCES, ValueSets
from caseweave.shapes.fhir import Element, FhirShapes, fhir_shapes

# fhir.resources has R4B: what that has beside R4, or no longer
R4B_NAMES = {"Extension": {"valueMeta", "valueCodeableReference", "valueRatioRange"}}
R4B_TARGETS = {"Observation.subject", "DiagnosticReport.subject", "Group.member.entity"}
# value sets of required bindings that no list can hold: ISO 4217, BCP 13, an answer list that LOINC keeps
UNLISTED = {
    "http://hl7.org/fhir/ValueSet/currencies",
    "http://hl7.org/fhir/ValueSet/mimetypes",
    "http://loinc.org/vs/LL379-9",
}


@pytest.fixture(scope="module")
def shapes() -> FhirShapes:
    return fhir_shapes()


@pytest.mark.parametrize(
    ("path", "types", "least", "most"),
    [
        ("Observation.status", ("code",), 1, "1"),
        ("Observation.component.code", ("CodeableConcept",), 1, "1"),
        ("Observation.component.referenceRange.low", ("Quantity",), 0, "1"),
        ("Observation.component.valueQuantity.unit", ("string",), 0, "1"),
        ("Quantity.unit", ("string",), 0, "1"),
        ("ImagingStudy.series.modality", ("Coding",), 1, "1"),
        ("ImagingStudy.series.instance.sopClass", ("Coding",), 1, "1"),
        ("Patient.deceased[x]", ("boolean", "dateTime"), 0, "1"),
        ("Condition.onsetAge", ("Age",), 0, "1"),
        ("Condition.clinicalStatus.coding.system", ("uri",), 0, "1"),
        ("MedicationAdministration.effective[x]", ("dateTime", "Period"), 1, "1"),
        ("Endpoint.payloadType", ("CodeableConcept",), 1, "*"),
        ("Patient.id", ("id",), 0, "1"),
        ("Extension.url", ("uri",), 1, "1"),
        ("Narrative.div", ("xhtml",), 1, "1"),
    ],
)
def test_elements(shapes: FhirShapes, path: str, types: tuple[str, ...], least: int, most: str) -> None:
    element = shapes.element(path)
    assert (element.types, element.min, element.max) == (types, least, most)


def test_choices(shapes: FhirShapes) -> None:
    whole = shapes.resolve("Observation", "value[x]")
    assert whole.choice and "Quantity" in whole.types and len(whole.types) == 11
    one = shapes.resolve("Observation", "valueCodeableConcept")
    assert (one.types, one.order, one.choice) == (("CodeableConcept",), whole.order, False)
    with pytest.raises(KeyError):
        shapes.resolve("Observation", "valueAddress")


def test_content_references_are_followed(shapes: FhirShapes) -> None:
    assert shapes.element("Observation.component.referenceRange").content == "Observation.referenceRange"
    assert shapes.children("Observation.component.referenceRange") == shapes.children("Observation.referenceRange")
    assert shapes.element("Bundle.entry.link.url").types == ("uri",)


@pytest.mark.parametrize(
    "path", ["Observation", "Observation.colour", "Colour", "Observation.code.colour", "a.b.c", ""]
)
def test_what_isnt_there_is_a_key_error(shapes: FhirShapes, path: str) -> None:
    with pytest.raises(KeyError):
        shapes.element(path)


def test_a_choice_has_no_children_until_it_is_made(shapes: FhirShapes) -> None:
    with pytest.raises(KeyError):
        shapes.children("Observation.value[x]")


def test_primitives(shapes: FhirShapes) -> None:
    assert shapes.is_primitive("dateTime") and not shapes.is_primitive("Quantity")
    assert shapes.children("code") == ()


def test_reference_targets_and_bindings(shapes: FhirShapes) -> None:
    assert shapes.element("Observation.subject").reference_targets == ("Device", "Group", "Location", "Patient")
    assert shapes.element("Observation.status").binding == (
        "required",
        "http://hl7.org/fhir/ValueSet/observation-status",
    )


def test_required_codes(shapes: FhirShapes) -> None:
    status = shapes.required_codes("http://hl7.org/fhir/ValueSet/observation-status|4.0.1")
    assert status is not None
    assert {"registered", "preliminary", "final", "amended", "entered-in-error", "unknown"} <= status
    assert shapes.required_codes("http://hl7.org/fhir/ValueSet/condition-ver-status") == frozenset(
        {"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"}
    )
    assert shapes.required_codes("http://example.org/none") is None


def test_every_required_binding_has_its_codes(shapes: FhirShapes) -> None:
    bindings = {
        element.binding[1]
        for path in paths()
        for element in shapes.children(path)
        if element.binding and element.binding[0] == "required"
    }
    assert {url for url in bindings if shapes.required_codes(url) is None} == UNLISTED


def test_all_types_that_elements_have_are_there(shapes: FhirShapes) -> None:
    for resource in RESOURCES:
        for element in shapes.children(resource):
            for name in element.types:
                if name not in ("Resource", "BackboneElement", "Element"):
                    assert shapes.is_primitive(name) or shapes.children(name), f"{resource}.{element.name}: {name}"


def paths() -> list[str]:
    return list(json.loads((data_path("vocabularies") / "shapes/fhir_r4.json").read_text("utf-8"))["types"])


@pytest.mark.parametrize("path", paths())
def test_equal_to_fhir_resources(shapes: FhirShapes, path: str) -> None:
    """Names, order, cardinalities, reference targets, required codes: of every type and every backbone element."""
    pytest.importorskip("fhir.resources")
    module = importlib.import_module(f"fhir.resources.R4B.{path.partition('.')[0].lower()}")
    model = getattr(module, "".join(step[0].upper() + step[1:] for step in path.split(".")))
    ours: dict[str, Element] = {}
    for element in shapes.children(path):
        names = [element.name[:-3] + one[0].upper() + one[1:] for one in element.types] or [element.name]
        ours.update(dict.fromkeys(names if element.choice else [element.name], element))
    theirs = model.elements_sequence()
    assert set(ours) ^ set(theirs) == R4B_NAMES.get(path, set())
    # the order of the types within a choice means nothing: only one of them is ever there
    places = [ours[name].order for name in theirs if name in ours]
    assert places == sorted(places)
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, element in ours.items():
        if name not in fields:
            continue
        extra = fields[name].json_schema_extra or {}
        assert ("List[" in str(fields[name].annotation)) == (element.max == "*"), name
        wanted = fields[name].is_required() or extra.get("element_required") or extra.get("one_of_many_required")
        assert bool(wanted) == (element.min > 0), name
        targets = extra.get("enum_reference_types", ["Resource"])
        if targets != ["Resource"] and f"{path}.{name}" not in R4B_TARGETS:
            assert set(targets) == set(element.reference_targets), name
        codes = shapes.required_codes(element.binding[1]) if element.binding else None
        if codes is not None and element.types == ("code",):
            listed = set(extra.get("enum_values", ()))
            assert listed - {"+"} <= codes, name
            assert not listed or "+" in listed or listed == codes, name


def test_value_sets_expand() -> None:
    system = {
        "resourceType": "CodeSystem",
        "url": "s",
        "content": "complete",
        "concept": [
            {"code": "a", "concept": [{"code": "b"}]},
            {"code": "c", "property": [{"code": "subsumedBy", "valueCode": "b"}]},
            {"code": "d"},
        ],
    }
    below = {"property": "concept", "op": "is-a", "value": "a"}
    sets = [
        {"resourceType": "ValueSet", "url": "all", "compose": {"include": [{"system": "s"}]}},
        {"resourceType": "ValueSet", "url": "below", "compose": {"include": [{"system": "s", "filter": [below]}]}},
        {
            "resourceType": "ValueSet",
            "url": "less",
            "compose": {"include": [{"valueSet": ["all"]}], "exclude": [{"system": "s", "concept": [{"code": "d"}]}]},
        },
        {"resourceType": "ValueSet", "url": "far", "compose": {"include": [{"system": "elsewhere"}]}},
    ]
    expand = ValueSets([system, *sets]).codes
    assert (expand("all"), expand("below"), expand("less|1")) == (set("abcd"), set("abc"), set("abc"))
    assert expand("far") is None and expand("none") is None


def test_the_data_stays_small() -> None:
    folder: Path = data_path("vocabularies") / "shapes"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
