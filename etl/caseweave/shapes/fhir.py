"""FHIR R4 elements: types, cardinalities, order, bindings. Loaded once, built per type on use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import orjson

from caseweave.assets import data_path

SHAPES_FILE = "shapes/fhir_r4.json"
Strength = Literal["required", "extensible", "preferred", "example"]


@dataclass(frozen=True, slots=True)
class Element:
    """One element as R4 defines it.

    Arguments: `name` as in the definition (`value[x]`) or as resolved (`valueQuantity`); `types` are names of FHIR
    types, empty where the element's content is that of another (`content`, its path); `min`, and `max` "0", "1" or
    "*"; `binding`, strength and url of the value set; `order` among its siblings, from 1, the order of XML;
    `reference_targets`, names of resources, or urls of profiles.
    """

    name: str
    types: tuple[str, ...]
    min: int
    max: str
    binding: tuple[Strength, str] | None = None
    order: int = 0
    reference_targets: tuple[str, ...] = ()
    content: str = ""

    @property
    def choice(self) -> bool:
        """Whether its name in a resource depends on the type of its value."""
        return self.name.endswith("[x]")


@dataclass(frozen=True)
class FhirShapes:
    """What FHIR R4 allows where (http://hl7.org/fhir/R4)."""

    resources: frozenset[str]
    primitives: frozenset[str]
    _types: Mapping[str, list[list[Any]]]
    _codes: Mapping[str, list[str]]
    _built: dict[str, tuple[Element, ...]] = field(default_factory=dict)
    _resolved: dict[tuple[str, str], Element] = field(default_factory=dict)

    def children(self, type_or_path: str) -> tuple[Element, ...]:
        """The elements of a type, or of an element given by its path, in the order of the standard.

        >>> [child.name for child in fhir_shapes().children("Period")]
        ['id', 'extension', 'start', 'end']

        Arguments: `Quantity`, `Observation`, `Observation.component`, `Observation.code`. A primitive type has none.
        Raises KeyError for what R4 doesn't have.
        """
        found = self._built.get(type_or_path)
        if found is None:
            home = self._home(type_or_path)
            found = tuple(_element(row, order) for order, row in enumerate(self._types.get(home, ()), start=1))
            self._built[type_or_path] = found
        return found

    def resolve(self, type_or_path: str, name: str) -> Element:
        """One element of a type by its name; a concrete name of a choice (`valueQuantity`) gives that type alone.

        >>> fhir_shapes().resolve("Observation", "valueQuantity").types
        ('Quantity',)

        Raises KeyError for what R4 doesn't have.
        """
        key = (type_or_path, name)
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self._find(type_or_path, name)
        return found

    def element(self, path: str) -> Element:
        """One element by its whole path, through data types and content references.

        >>> fhir_shapes().element("Observation.component.valueQuantity.unit").types
        ('string',)

        Raises KeyError for what R4 doesn't have.
        """
        parent, dot, name = path.rpartition(".")
        if not dot:
            raise KeyError(path)
        return self.resolve(parent, name)

    def is_primitive(self, type_name: str) -> bool:
        """Whether a type is a primitive one, such as code or dateTime."""
        return type_name in self.primitives

    def required_codes(self, url: str) -> frozenset[str] | None:
        """All codes of a value set that a required binding names; None where they can't be listed.

        >>> sorted(fhir_shapes().required_codes("http://hl7.org/fhir/ValueSet/administrative-gender"))
        ['female', 'male', 'other', 'unknown']

        Arguments: `url`, with or without `|version`.
        """
        codes = self._codes.get(url.partition("|")[0])
        return None if codes is None else frozenset(codes)

    def _find(self, type_or_path: str, name: str) -> Element:
        children = self.children(type_or_path)
        for child in children:
            if child.name == name:
                return child
        for child in children:
            stem = child.name[:-3]
            if child.choice and name.startswith(stem):
                for one in child.types:
                    if name == stem + one[0].upper() + one[1:]:
                        return replace(child, name=name, types=(one,))
        raise KeyError(f"{type_or_path}.{name}")

    def _home(self, path: str) -> str:
        """The type or path under which the elements of something stand."""
        if path in self._types or path in self.primitives:
            return path
        parent, dot, name = path.rpartition(".")
        if not dot:
            raise KeyError(path)
        element = self._find(parent, name)
        if element.content:
            return element.content
        if element.types[0] in ("BackboneElement", "Element"):
            return f"{self._home(parent)}.{name}"
        if len(element.types) > 1:
            raise KeyError(path)
        return self._home(element.types[0])


def _element(row: list[Any], order: int) -> Element:
    filled = [*row, *["", "", [], ""][len(row) - 4 :]]
    name, types, least, most, strength, value_set, targets, content = filled
    binding = (strength, value_set) if strength else None
    return Element(name, tuple(types), least, most, binding, order, tuple(targets), content)


@lru_cache(maxsize=1)
def fhir_shapes() -> FhirShapes:
    """The shapes of R4, read on first use (a few milliseconds)."""
    data = orjson.loads((data_path("vocabularies") / SHAPES_FILE).read_bytes())
    return FhirShapes(frozenset(data["resources"]), frozenset(data["primitives"]), data["types"], data["codes"])
