"""XML in a form in which two texts of the same resource are equal."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from lxml import etree


def canonical_xml(text: bytes | str) -> bytes:
    """C14N, with numbers as numbers: fhir.resources turns 4.30 into 4.3 and 78 into 78.0."""
    root = etree.fromstring(text)
    for element in root.iter(etree.Element):
        value = element.get("value")
        if value is not None:
            try:
                number = Decimal(value)
            except InvalidOperation:
                continue
            element.set("value", f"{number.normalize():f}" if number.is_finite() else value)
    return etree.tostring(root, method="c14n")
