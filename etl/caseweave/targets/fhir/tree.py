"""A pattern's FHIR tree, compiled once per statement against the shapes of R4."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from caseweave.errors import MappingError
from caseweave.shapes.fhir import Element, FhirShapes
from caseweave.spec.expression import parse
from caseweave.targets.fhir.fragments import CHOICES, FUSSY, Coder, chosen_type, fragment
from caseweave.targets.fhir.nodes import (
    Condition,
    Constant,
    Entry,
    First,
    If,
    Nested,
    Node,
    Object,
    Reversed,
    Slot,
    Tree,
    Unwritable,
)
from caseweave.values.types import Code, Coding

SLOT = re.compile(r"\$([a-z]\w*)(?:\.([a-z][\w-]*))?")
SLICE = re.compile(r"(\w+)\[([^\]]+)\]")
BACKBONE = frozenset({"BackboneElement", "Element"})
# what a literal is in a choice element, the best first; a bool is an int too and so comes before it
CODED = ("CodeableConcept", "Coding", "code")
LITERALS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (bool, ("boolean",)),
    (int, ("integer", "decimal")),
    (float, ("decimal",)),
    (str, ("string", "code", "uri")),
)


@dataclass
class _Compiler:
    shapes: FhirShapes
    coder: Coder
    extensions: Mapping[str, str]
    file: str
    line: int
    conditions: list[Condition]

    def error(self, problem: str, way_out: str) -> MappingError:
        return MappingError(self.file, self.line, problem, way_out=way_out)

    def whole(self, tree: Mapping[str, object], context: str) -> Object:
        entries: list[Entry | First | If] = []
        for key, value in tree.items():
            word, _, label = str(key).partition(" ")
            if word == "first" and label:
                entries.append(First(tuple(self.whole(_mapping(option), context) for option in _items(value))))
            elif word == "if" and label and isinstance(value, Mapping):
                self.conditions.append(parse(str(value["when"]), self.file, self.line))
                number = len(self.conditions) - 1
                entries.append(
                    If(
                        number,
                        self.whole(value.get("then") or {}, context),
                        self.whole(value.get("else") or {}, context),
                    )
                )
            else:
                entries.append(self.entry(str(key), value, context))
        return Object(tuple(_in_order(entries, self.conditions) if context == "Period" else entries))

    def entry(self, key: str, value: object, context: str) -> Entry:
        sliced = SLICE.fullmatch(key)
        label = sliced[2] if sliced and sliced[2] != "x" else ""
        name = sliced[1] if sliced and label else key
        try:
            element = self.shapes.resolve(context, name)
        except KeyError:
            valid = ", ".join(child.name for child in self.shapes.children(context))
            raise self.error(f"{context} has no element '{name}'", f"Valid here: {valid}.") from None
        if element.choice and not isinstance(value, Mapping) and not (isinstance(value, str) and SLOT.fullmatch(value)):
            return self.entry(name[:-3] + self.literal_type(value, element.types, key), value, context)
        many = element.max == "*"
        if name in ("extension", "modifierExtension") and label:
            return Entry(element.order, name, True, (self.extension(label, value),))
        if not many and isinstance(value, Sequence) and not isinstance(value, str):
            raise self.error(f"{context}.{name} holds one value, not a list", "Give one value.")
        nodes = tuple(self.node(item, element, name, context) for item in _items(value))
        return Entry(element.order, name, many, nodes)

    def extension(self, alias: str, value: object) -> Object:
        url = self.extensions.get(alias, alias if "://" in alias or alias.isidentifier() else "")
        if not url:
            raise self.error(f"unknown extension '{alias}'", "Name its url under extensions in systems.yaml.")
        head = Entry(0, "url", False, (Constant(orjson.dumps(url)),))
        if isinstance(value, Mapping):
            return Object((head, *self.whole(value, "Extension").entries))
        return Object((head, self.entry("value[x]", value, "Extension")))

    def node(self, value: object, element: Element, name: str, context: str) -> Node:
        types, choice = element.types, name.endswith("[x]")
        if isinstance(value, Mapping):
            return self.whole(value, f"{context}.{name}" if not types or types[0] in BACKBONE else types[0])
        slot = SLOT.fullmatch(value) if isinstance(value, str) else None
        if slot:
            name = slot[1] + (f".{slot[2]}" if slot[2] else "")
            pairs = {(kind, chosen_type(kind, types, choice)) for kind in CHOICES}
            if not pairs & FUSSY or (element.max == "*" and types == ("Coding",)):
                return Slot(name, types, choice)
            return Slot(name, types, choice, (_number(self.conditions, Unwritable(name, types, choice)),))
        return Constant(self.literal(value, types, f"{context}.{name}"))

    def literal_type(self, value: object, types: tuple[str, ...], key: str) -> str:
        """The type that a literal takes in a choice element, as its name has it: `value[x]: 3` is valueInteger."""
        coded = isinstance(value, str) and "|" in value and value.partition("|")[0] in self.coder.systems
        wanted = CODED if coded else next((those for kind, those in LITERALS if isinstance(value, kind)), ())
        found = next((one for one in wanted if one in types), None)
        if found is None:
            raise self.error(f"{key} can't be {value!r}", f"Say which it is: {', '.join(types)}.")
        return found[0].upper() + found[1:]

    def literal(self, value: object, types: tuple[str, ...], path: str) -> bytes:
        if isinstance(value, str):
            system, bar, code = value.partition("|")
            if bar and system in self.coder.systems:
                for fhir_type in ("CodeableConcept", "Coding", "code"):
                    if fhir_type in types:
                        written = fragment(Code((Coding(system, code),)), fhir_type, self.coder)
                        if written is None:
                            raise self.error(
                                f"{value} never reaches FHIR", f"System {system} has no url; take another."
                            )
                        return written
                raise self.error(f"{path} takes no code", f"It takes {' or '.join(types)}.")
            if types == ("CodeableConcept",):
                return orjson.dumps({"text": str(value)})
            return orjson.dumps(str(value))
        if isinstance(value, bool | int | float):
            return orjson.dumps(bool(value) if isinstance(value, bool) else value + 0)
        raise self.error(f"{path} can't be {value!r}", "Write a literal, SYSTEM|code or $slot.")


def _number(conditions: list[Condition], one: Condition) -> int:
    conditions.append(one)
    return len(conditions) - 1


def _in_order(entries: Sequence[Entry | First | If], conditions: list[Condition]) -> list[Entry | First | If]:
    """The entries of a period that servers take (R4, per-1): no end before the start, none that can't be compared."""
    slots = {one.key: one.nodes[0] for one in entries if isinstance(one, Entry)}
    start, end = slots.get("start"), slots.get("end")
    if not isinstance(start, Slot) or not isinstance(end, Slot):
        return list(entries)
    reverse = _number(conditions, Reversed(start.slot, end.slot))
    nested = _number(conditions, Nested(start.slot, end.slot))
    guarded = {
        "start": replace(start, blur=(nested, end.slot)),
        "end": replace(end, drop=(*end.drop, reverse), blur=(nested, start.slot)),
    }
    return [
        replace(one, nodes=(guarded[one.key],)) if isinstance(one, Entry) and one.key in guarded else one
        for one in entries
    ]


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError("a part of a FHIR tree is no mapping")
    return value


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def compile_tree(
    tree: Mapping[str, object], shapes: FhirShapes, coder: Coder, extensions: Mapping[str, str], file: str, line: int
) -> Tree:
    """Compile one rendering's tree (without its `name`, `when` and `profile`) against the shapes of R4.

    Raises MappingError where an element doesn't exist, can't repeat, or can't hold what is written.
    """
    compiler = _Compiler(shapes, coder, extensions, file, line, [])
    resource_type = str(tree["resourceType"])
    elements = {key: value for key, value in tree.items() if key != "resourceType"}
    root = compiler.whole(elements, resource_type)
    return Tree(resource_type, root, tuple(compiler.conditions))
