"""One resource against the shapes of R4: its elements, how often they stand there, their types, and required codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from caseweave.shapes.fhir import Element, FhirShapes
from caseweave.targets.fhir.invariants import broken_rules
from caseweave.targets.fhir.primitives import is_primitive_value

BACKBONE = frozenset({"", "BackboneElement", "Element"})


class Problem(NamedTuple):
    """What is wrong at one place of a resource."""

    path: str
    rule: str
    message: str


class Pointer(NamedTuple):
    """A reference as it stands in a resource, with the targets that R4 allows there."""

    path: str
    reference: str
    targets: tuple[str, ...]
    type: str


@dataclass
class Walker:
    """Walks one resource; `pointers` are the references that it met."""

    shapes: FhirShapes
    pointers: list[Pointer] = field(default_factory=list)

    def resource(self, node: Mapping[str, Any], path: str = "") -> Iterator[Problem]:
        """All problems of one resource, and of those contained in it."""
        name = node.get("resourceType")
        path = path or str(name)
        if not isinstance(name, str) or name not in self.shapes.resources:
            yield Problem(path, "resource-type", f"'{name}' is no resource of R4 that can be checked")
            return
        yield from self.members({key: value for key, value in node.items() if key != "resourceType"}, name, path)

    def members(self, node: Mapping[str, Any], context: str, path: str) -> Iterator[Problem]:
        """All problems of an object; `context` is its type, or the path of a backbone element."""
        if not node:
            yield Problem(path, "empty", "an object without content")
        present: dict[int, str] = {}
        for key in node:
            name = key.removeprefix("_")
            try:
                element = self.shapes.resolve(context, name)
            except KeyError:
                yield Problem(f"{path}.{name}", "unknown-element", f"{context} has no such element")
                continue
            if present.setdefault(element.order, name) != name:
                yield Problem(f"{path}.{name}", "choice", f"'{present[element.order]}' stands there too; only one can")
                continue
            if key == name or name not in node:
                yield from self.element(element, node.get(name), node.get(f"_{name}"), context, f"{path}.{name}")
        for element in self.shapes.children(context):
            if element.min and element.order not in present:
                yield Problem(f"{path}.{element.name}", "required-element", "R4 requires it")
        for rule in broken_rules(context, node):
            yield Problem(path, rule.key, rule.human)

    def element(self, element: Element, value: Any, shadow: Any, context: str, path: str) -> Iterator[Problem]:
        """All problems of one element: its cardinality, then each of its values with what stands under `_name`."""
        given = value if value is not None else shadow
        if element.max == "0":
            yield Problem(path, "cardinality", "it is not allowed here")
        elif (element.max == "*") != isinstance(given, list):
            yield Problem(path, "cardinality", "a list" if element.max == "*" else "a single value, not a list")
        elif isinstance(given, list):
            values, shadows = list(value or ()), list(shadow or ())
            length = max(len(values), len(shadows))
            if not length:
                yield Problem(path, "empty", "an empty list")
            pad: list[Any] = [None] * length
            for number, (one, other) in enumerate(zip((values + pad)[:length], (shadows + pad)[:length], strict=True)):
                yield from self.value(element, one, other, context, f"{path}[{number}]")
        else:
            yield from self.value(element, value, shadow, context, path)

    def value(self, element: Element, value: Any, shadow: Any, context: str, path: str) -> Iterator[Problem]:
        inner = element.types[0] if element.types else ""
        if self.shapes.is_primitive(inner):
            yield from self.primitive(element, inner, value, shadow, path)
        elif not isinstance(value, Mapping):
            yield Problem(path, "type", f"{inner or 'an object'} is an object, not {value!r:.40}")
        elif "resourceType" in value or inner == "Resource":
            yield from self.resource(value, path)
        else:
            home = f"{context}.{element.name}" if inner in BACKBONE else inner
            yield from self.members(value, home, path)
            yield from self.bound(element, inner, value, path)
            if inner == "Reference" and isinstance(value.get("reference"), str):
                said = str(value.get("type", ""))
                self.pointers.append(Pointer(path, value["reference"], element.reference_targets, said))

    def primitive(self, element: Element, inner: str, value: Any, shadow: Any, path: str) -> Iterator[Problem]:
        if shadow is not None:
            if isinstance(shadow, Mapping):
                yield from self.members(shadow, "Element", path)
            else:
                yield Problem(path, "type", "what stands under _name is an object")
        if value is None:
            if shadow is None:
                yield Problem(path, "empty", "null")
            return
        if not is_primitive_value(inner, value):
            yield Problem(path, "primitive", f"{value!r:.60} is no {inner}")
        elif element.binding and element.binding[0] == "required" and inner in ("code", "uri", "string"):
            yield from self.among(element.binding[1], [value], path)

    def bound(self, element: Element, inner: str, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
        """A required binding: one of the codes is in the value set (R4, 4.1.5)."""
        if not element.binding or element.binding[0] != "required":
            return
        if inner == "CodeableConcept":
            yield from self.among(element.binding[1], [one.get("code") for one in value.get("coding", ())], path)
        elif inner in ("Coding", "Quantity"):
            yield from self.among(element.binding[1], [value.get("code")], path)

    def among(self, url: str, codes: list[Any], path: str) -> Iterator[Problem]:
        allowed = self.shapes.required_codes(url)
        if allowed is not None and not allowed & set(codes):
            said = ", ".join(str(one) for one in codes) or "no code"
            yield Problem(path, "required-binding", f"{said} is not in {url}")
