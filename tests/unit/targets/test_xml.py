"""FHIR as XML: what fhir.resources writes of the same resource, with the digits that the form has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree
from tests.targets.canonical import canonical_xml

from caseweave.shapes.fhir import fhir_shapes
from caseweave.targets.fhir.xml import NAMESPACE, XHTML, to_xml

EXTENSION = {"url": "http://example.org/e", "valueCode": "masked"}
RESOURCES: dict[str, dict[str, Any]] = {
    "a name masked, a primitive with an id": {
        "resourceType": "Patient", "id": "a", "name": [{"extension": [EXTENSION]}],
        "birthDate": "1970-03", "_birthDate": {"extension": [EXTENSION]},
    },
    "extensions of some items of a list": {
        "resourceType": "Patient", "name": [{"given": ["A", "B", None], "_given": [None, {"extension": [EXTENSION]},
                                                                                  {"extension": [EXTENSION]}]}],
    },
    "a primitive with an extension and nothing else": {
        "resourceType": "Patient", "_gender": {"extension": [EXTENSION]},
    },
    "a nested extension": {
        "resourceType": "Patient",
        "extension": [{"url": "http://example.org/a", "extension": [{"url": "b", "valueBoolean": False}]}],
    },
    "elements given in another order": {
        "resourceType": "Observation", "valueInteger": 0,
        "code": {"text": "x", "coding": [{"code": "c", "system": "urn:s"}]},
        "status": "final", "id": "o", "meta": {"profile": ["http://example.org/p"]},
    },
    "components, and a range by content reference": {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "component": [{"code": {"text": "y"}, "valueQuantity": {"value": 1, "comparator": "<", "unit": "mm"},
                       "referenceRange": [{"low": {"value": 2}}]}],
    },
    "contained resources": {
        "resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "p", "active": True}],
        "status": "final", "code": {"text": "x"}, "subject": {"reference": "#p"},
    },
    "a bundle": {
        "resourceType": "Bundle", "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p"}}],
    },
    "a narrative": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}"><p>a &lt; b</p><br/>c</div>'},
    },
    "letters that XML has to escape": {
        "resourceType": "Observation", "status": "final", "code": {"text": 'a "b" & <c> é 癌 line\nbreak\ttab'},
    },
}  # fmt: skip


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
def test_as_fhir_resources_writes_it(resource: dict[str, Any]) -> None:
    line = json.dumps(resource)
    model = get_fhir_model_class(resource["resourceType"]).model_validate_json(line)
    assert canonical_xml(to_xml(line, fhir_shapes())) == canonical_xml(model.model_dump_xml())


def test_ids_of_elements_are_attributes_that_of_a_resource_is_an_element() -> None:
    # R4, 2.6.1; fhir.resources 8 writes <id value="k"/> inside a CodeableConcept and loses the id of a primitive
    line = """{"resourceType": "Observation", "id": "o", "status": "final", "_status": {"id": "s"},
        "code": {"id": "k", "text": "x"},
        "extension": [{"id": "e", "url": "http://example.org/e", "valueCode": "c"}]}"""
    assert to_xml(line, fhir_shapes()).decode() == (
        f'<Observation xmlns="{NAMESPACE}"><id value="o"/>'
        '<extension id="e" url="http://example.org/e"><valueCode value="c"/></extension>'
        '<status id="s" value="final"/><code id="k"><text value="x"/></code></Observation>'
    )


@pytest.mark.parametrize("number", ["4.30", "78", "0.10", "1E3", "-0.0", "123456789012345678.90"])
def test_numbers_keep_their_digits(number: str) -> None:
    line = '{"resourceType": "Observation", "status": "final", "valueQuantity": {"value": ' + number + "}}"
    root = etree.fromstring(to_xml(line, fhir_shapes()))
    value = root.find(f"{{{NAMESPACE}}}valueQuantity/{{{NAMESPACE}}}value")
    assert value is not None
    assert value.get("value") == number


def test_a_narrative_without_namespace_gets_it() -> None:
    line = json.dumps({"resourceType": "Patient", "text": {"status": "empty", "div": "<div><b>x</b></div>"}})
    root = etree.fromstring(to_xml(line, fhir_shapes()))
    assert [one.tag for one in root.iter(f"{{{XHTML}}}*")] == [f"{{{XHTML}}}div", f"{{{XHTML}}}b"]


def test_nothing_is_fetched_or_expanded(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    div = f'<!DOCTYPE d [<!ENTITY e SYSTEM "{secret.as_uri()}">]><div xmlns="{XHTML}">&e;</div>'
    line = json.dumps({"resourceType": "Patient", "text": {"status": "empty", "div": div}})
    assert b"secret<" not in to_xml(line, fhir_shapes())


def test_what_xml_cannot_hold_is_refused() -> None:
    for text in ("a\x07b", "\ud800"):
        with pytest.raises(ValueError):
            to_xml(json.dumps({"resourceType": "Patient", "name": [{"text": text}]}), fhir_shapes())
    with pytest.raises(ValueError, match="well-formed"):
        to_xml('{"resourceType": "Patient", "text": {"div": "<div>"}}', fhir_shapes())


def test_an_element_that_isnt_there() -> None:
    with pytest.raises(KeyError):
        to_xml('{"resourceType": "Patient", "sex": "f"}', fhir_shapes())
