"""A pattern's FHIR tree, compiled once per statement to nodes that know their element, type and order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from caseweave.errors import MappingError
from caseweave.shapes.fhir import Element, FhirShapes
from caseweave.spec.expression import Expression, parse
from caseweave.targets.fhir.fragments import BLURRED, CHOICES, FUSSY, MANY_CODINGS, Coder, chosen_type, fragment
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


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a template that each fact fills: a slot written as `fhir_type`."""

    slot: str
    fhir_type: str


@dataclass(frozen=True, slots=True)
class Constant:
    """JSON that is the same in every fact."""

    json: bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot; `types` are what the element allows, `choice` says that the key depends on the kind.

    `drop` are numbers of conditions: where one holds, the value can't stand here and the element is left out. `blur` is
    the number of a condition and another slot: where it holds, a date is told as coarsely as that one.
    """

    slot: str
    types: tuple[str, ...]
    choice: bool
    drop: tuple[int, ...] = ()
    blur: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of an object: `order` as the standard has it, `many` where it repeats."""

    order: int
    key: str
    many: bool
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class First:
    """The first of several partial objects whose slots are all there."""

    options: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class If:
    """One of two partial objects; `condition` is its number in the tree's list of conditions."""

    condition: int
    then: Object
    otherwise: Object


@dataclass(frozen=True, slots=True)
class Object:
    """An object, or a part of one that is merged into its parent."""

    entries: tuple[Entry | First | If, ...]


Node = Constant | Slot | Object


@dataclass(frozen=True, slots=True)
class Unwritable:
    """Where a slot's value is none of what an element takes: 0 where it wants a positive number, half a session."""

    slot: str
    types: tuple[str, ...]
    choice: bool


@dataclass(frozen=True, slots=True)
class Reversed:
    """Where a period would end before it starts (R4, per-1: no server takes it); the rules of the form tell of it."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Nested:
    """Where one date of a period is so coarse that it holds the other: nobody can tell that 2021-06 is before
    2021-06-15, and no server takes what can't be told."""

    start: str
    end: str


Condition = Expression | Unwritable | Reversed | Nested


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole resource: its type, its object, and the conditions that its parts hang on."""

    resource_type: str
    root: Object
    conditions: tuple[Condition, ...]


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


Piece = bytes | Hole
Kinds = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Assembler:
    """Builds the pieces of one variant: which kinds the slots have, and which conditions hold."""

    kinds: Kinds
    conditions: Sequence[bool]
    emit_missing: bool
    file: str
    line: int

    def whole(self, node: Object, context_has_reason: bool = False) -> list[Piece] | None:
        """The pieces of an object; None where it has slots and all of them are absent."""
        found: dict[str, tuple[int, bool, list[list[Piece]]]] = {}
        dynamic, filled = self.gather(node, found, context_has_reason)
        if dynamic and not filled:
            return None
        pieces: list[Piece] = [b"{"]
        for place, (key, (_, many, items)) in enumerate(sorted(found.items(), key=lambda kv: (kv[1][0], kv[0]))):
            pieces.append((b"," if place else b"") + orjson.dumps(key) + (b":[" if many else b":"))
            for number, item in enumerate(items):
                if number:
                    pieces.append(b",")
                pieces.extend(item)
            if many:
                pieces.append(b"]")
        pieces.append(b"}")
        return pieces

    def gather(
        self, node: Object, found: dict[str, tuple[int, bool, list[list[Piece]]]], reason: bool
    ) -> tuple[bool, bool]:
        """Collect the entries of an object; says whether it has slots, and whether one is filled."""
        dynamic = filled = False
        for entry in node.entries:
            if isinstance(entry, First):
                chosen = next((option for option in entry.options if self.complete(option)), None)
                dynamic = True
                if chosen is not None:
                    filled |= self.gather(chosen, found, reason)[1]
                continue
            if isinstance(entry, If):
                part = entry.then if self.conditions[entry.condition] else entry.otherwise
                inner_dynamic, inner_filled = self.gather(part, found, reason)
                dynamic, filled = dynamic or inner_dynamic, filled or inner_filled
                continue
            for child in entry.nodes:
                key, pieces, is_dynamic = self.entry(entry, child, reason)
                dynamic |= is_dynamic
                if pieces is None:
                    continue
                filled |= is_dynamic
                kept = found.setdefault(key, (entry.order, entry.many, []))
                kept[2].append(pieces)
        return dynamic, filled

    def entry(self, entry: Entry, child: Node, reason: bool) -> tuple[str, list[Piece] | None, bool]:
        if isinstance(child, Constant):
            return entry.key, [child.json], False
        if isinstance(child, Object):
            return entry.key, self.whole(child), _has_slots(child)
        kind = self.kinds.get(child.slot)
        if kind is None or any(self.conditions[number] for number in child.drop):
            return entry.key, None, True
        if kind == "missing":
            if entry.key == "value[x]" and reason and self.emit_missing:
                return "dataAbsentReason", [Hole(child.slot, "CodeableConcept")], True
            return entry.key, None, True
        wanted = chosen_type(kind, child.types, child.choice)
        if wanted is None and not child.choice and kind != "label":
            raise MappingError(
                self.file,
                self.line,
                f"slot '{child.slot}' holds a {kind}, which '{entry.key}' can't",
                way_out=f"It takes {' or '.join(child.types)}.",
            )
        if wanted is None:  # an interval where FHIR wants a date, say: FHIR keeps what is true and invents nothing
            return entry.key, None, True
        if wanted == "Coding" and entry.many:
            return entry.key, [Hole(child.slot, MANY_CODINGS)], True
        if child.blur is not None and self.conditions[child.blur[0]]:
            other = self.kinds.get(child.blur[1], "")
            wanted = BLURRED.get((kind, other), wanted)
        key = entry.key[:-3] + wanted[0].upper() + wanted[1:] if child.choice else entry.key
        return key, [Hole(child.slot, wanted)], True

    def complete(self, node: Object) -> bool:
        """Whether every slot of a partial object is there."""
        return all(self.kinds.get(slot) not in (None, "missing") for slot in slots_of(node))


def slots_of(node: Object) -> set[str]:
    """All slots that an object names, at any depth."""
    found: set[str] = set()
    for entry in node.entries:
        if isinstance(entry, First):
            found.update(*(slots_of(option) for option in entry.options))
        elif isinstance(entry, If):
            found.update(slots_of(entry.then), slots_of(entry.otherwise))
        else:
            for child in entry.nodes:
                if isinstance(child, Slot):
                    found.add(child.slot)
                elif isinstance(child, Object):
                    found.update(slots_of(child))
    return found


def _has_slots(node: Object) -> bool:
    return bool(slots_of(node))
