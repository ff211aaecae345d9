"""What a pattern's FHIR tree is compiled to: nodes that know their element, type and order."""

from __future__ import annotations

from dataclasses import dataclass

from caseweave.spec.expression import Expression


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


Piece = bytes | Hole


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
