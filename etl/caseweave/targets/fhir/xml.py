"""FHIR JSON as FHIR XML (R4, 2.6.1): elements in the order of the standard, primitives as attributes, digits kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lxml import etree

from caseweave.shapes.fhir import FhirShapes

NAMESPACE = "http://hl7.org/fhir"
_NSMAP = {None: NAMESPACE}


def to_xml(line: bytes | str, shapes: FhirShapes) -> bytes:
    """One resource, given as JSON, as XML.

    >>> from caseweave.shapes.fhir import fhir_shapes
    >>> to_xml('{"resourceType": "Patient", "gender": "female"}', fhir_shapes()).decode()
    '<Patient xmlns="http://hl7.org/fhir"><gender value="female"/></Patient>'

    Raises KeyError for an element that R4 doesn't have.
    """
    # numbers stay text: 4.30 has three digits that mean something
    resource = json.loads(line, parse_float=str, parse_int=str)
    name = resource["resourceType"]
    root = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap=_NSMAP)
    _fill(root, resource, name, shapes, is_resource=True)
    return etree.tostring(root, encoding="utf-8")


def _fill(parent: Any, node: Mapping[str, Any], context: str, shapes: FhirShapes, *, is_resource: bool = False) -> None:
    if not is_resource:
        for attribute in ("id", "url") if context == "Extension" else ("id",):
            if attribute in node:
                parent.set(attribute, node[attribute])
    skipped = {"resourceType"} if is_resource else {"id", "url"} if context == "Extension" else {"id"}
    names = {key.lstrip("_") for key in node if key not in skipped}
    for element in sorted((shapes.resolve(context, name) for name in names), key=lambda one: (one.order, one.name)):
        values = node.get(element.name)
        shadows = node.get(f"_{element.name}")
        many = isinstance(values if values is not None else shadows, list)
        inner = element.types[0] if element.types else ""
        home = f"{context}.{element.name}" if inner in ("", "BackboneElement", "Element") else inner
        pairs = _pairs(values, shadows) if many else [(values, shadows)]
        for value, shadow in pairs:
            _element(parent, element.name, value, shadow, home, shapes)


def _pairs(values: Any, shadows: Any) -> list[tuple[Any, Any]]:
    """Values with their `_name` siblings, which hold extensions of primitives."""
    length = max(len(values or ()), len(shadows or ()))
    padded = [list(one or ()) + [None] * (length - len(one or ())) for one in (values, shadows)]
    return list(zip(*padded, strict=True))


def _element(parent: Any, name: str, value: Any, shadow: Any, home: str, shapes: FhirShapes) -> None:
    if home == "xhtml":
        parent.append(etree.fromstring(value, etree.XMLParser(resolve_entities=False, no_network=True)))
        return
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if isinstance(value, Mapping):
        if "resourceType" in value:
            inside = etree.SubElement(child, f"{{{NAMESPACE}}}{value['resourceType']}")
            _fill(inside, value, value["resourceType"], shapes, is_resource=True)
        else:
            _fill(child, value, home, shapes)
        return
    if isinstance(shadow, Mapping):
        _fill(child, shadow, "Element", shapes)
    if value is not None:
        child.set("value", ("true" if value else "false") if isinstance(value, bool) else str(value))
