"""FHIR JSON as FHIR XML (R4, 2.6.1): elements in the order of the standard, primitives as attributes, digits kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lxml import etree

from caseweave.shapes.fhir import FhirShapes

NAMESPACE = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
NSMAP: Any = {None: NAMESPACE}
# a narrative is somebody's text: nothing in it is resolved or fetched
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
# what stands as an attribute of an element; everything else is a child
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {"Extension": ("id", "url")}


def to_xml(line: bytes | str, shapes: FhirShapes) -> bytes:
    """One resource, given as JSON, as XML.

    >>> from caseweave.shapes.fhir import fhir_shapes
    >>> to_xml('{"resourceType": "Patient", "gender": "female"}', fhir_shapes()).decode()
    '<Patient xmlns="http://hl7.org/fhir"><gender value="female"/></Patient>'

    Raises KeyError for an element that R4 doesn't have, ValueError for letters that XML can't hold or a narrative that
    isn't well-formed.
    """
    # numbers stay text: 4.30 has three digits that mean something
    resource = json.loads(line, parse_float=str, parse_int=str)
    name = resource.pop("resourceType")
    root = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap=NSMAP)
    _children(root, resource, name, shapes)
    return etree.tostring(root, encoding="utf-8")


def _children(parent: Any, node: Mapping[str, Any], context: str, shapes: FhirShapes) -> None:
    """Add the elements of an object; `context` is its type, or the path of a backbone element."""
    names = dict.fromkeys(key.removeprefix("_") for key in node)
    for element in sorted((shapes.resolve(context, name) for name in names), key=lambda one: one.order):
        values, shadows = node.get(element.name), node.get(f"_{element.name}")
        inner = element.types[0] if element.types else ""
        home = f"{context}.{element.name}" if inner in ("", "BackboneElement", "Element") else inner
        many = isinstance(values if values is not None else shadows, list)
        for value, shadow in _pairs(values, shadows) if many else [(values, shadows)]:
            _element(parent, element.name, value, shadow, home, shapes)


def _pairs(values: Any, shadows: Any) -> list[tuple[Any, Any]]:
    """Values with what stands under `_name`, which holds the ids and extensions of primitives."""
    length = max(len(values or ()), len(shadows or ()))
    padded = [list(one or ()) + [None] * (length - len(one or ())) for one in (values, shadows)]
    return list(zip(*padded, strict=True))


def _element(parent: Any, name: str, value: Any, shadow: Any, home: str, shapes: FhirShapes) -> None:
    if home == "xhtml":
        parent.append(_narrative(value))
        return
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if isinstance(value, Mapping):
        if "resourceType" in value:
            rest = {key: one for key, one in value.items() if key != "resourceType"}
            inside = etree.SubElement(child, f"{{{NAMESPACE}}}{value['resourceType']}")
            _children(inside, rest, value["resourceType"], shapes)
        else:
            _object(child, value, home, shapes)
        return
    if isinstance(shadow, Mapping):
        _object(child, shadow, "Element", shapes)
    if value is not None:
        child.set("value", ("true" if value else "false") if isinstance(value, bool) else str(value))


def _object(child: Any, node: Mapping[str, Any], context: str, shapes: FhirShapes) -> None:
    """Fill an element that is no resource: some of its parts are attributes."""
    attributes = ATTRIBUTES.get(context, ("id",))
    for name in attributes:
        if name in node:
            child.set(name, node[name])
    _children(child, {key: value for key, value in node.items() if key not in attributes}, context, shapes)


def _narrative(text: str) -> Any:
    """The div of a narrative, in the namespace of XHTML whether it says so or not (R4, 2.4)."""
    try:
        div = etree.fromstring(text, PARSER)
    except etree.XMLSyntaxError as problem:
        raise ValueError(f"the narrative isn't well-formed: {problem}") from None
    for one in div.iter(etree.Element):
        if not str(one.tag).startswith("{"):
            one.tag = f"{{{XHTML}}}{one.tag}"
    return div
