"""Patterns: one kind of clinical statement, its slots, and its renderings side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caseweave.spec.expression import Expression
from caseweave.values.types import Value

KINDS = (
    "code",
    "quantity",
    "integer",
    "text",
    "boolean",
    "day",
    "month",
    "year",
    "missing",
    "link",
    "absent",
)
# short for several kinds
KIND_GROUPS: dict[str, tuple[str, ...]] = {
    "date": ("day", "month", "year"),
    "number": ("quantity", "integer"),
}
PRESENCE_KEYS = ("yes", "no", "unknown", "present", "absent", "missing")
# slots that every fact has, whatever its pattern says
IMPLICIT_SLOTS = ("subject", "pseudonym", "identifier_system", "self", "local", "anchor_year", "id")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of a pattern: `facts` are patterns it links to, `kinds` what it may hold (empty: anything)."""

    name: str
    line: int
    required: bool = False
    facts: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Let:
    """A slot that is derived: from one slot by a table, or by an expression over the slots.

    The table is asked for the codes first, then the local value, then what the code means (yes, no, unknown),
    then present, absent or missing; what isn't in it gives `default`.
    """

    name: str
    line: int
    source: str = ""
    map: Mapping[str, Value] = field(default_factory=dict)
    default: Value | None = None
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """What a profile needs of a slot: one of `kinds`."""

    slot: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A profile and all that must hold before it is claimed."""

    profile: str
    needs: tuple[Need, ...] = ()
    line: int = 0

    def holds(self, kinds: Mapping[str, str]) -> bool:
        """Whether slots of these kinds satisfy every need.

        >>> Claim("p", (Need("at", frozenset({"day"})),)).holds({"at": "month"})
        False
        """
        return all(kinds.get(need.slot, "absent") in need.kinds for need in self.needs)


@dataclass(frozen=True, slots=True)
class Rendering:
    """One resource or row of a fact; `tree` holds everything but `name`, `when` and `profile`."""

    name: str
    tree: Mapping[str, Any]
    file: str
    line: int
    when: Expression | None = None
    profiles: tuple[Claim, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of clinical statement; `*_because` says why it has no rendering in a target."""

    name: str
    about: str
    file: str
    line: int
    slots: Mapping[str, Slot]
    lets: Mapping[str, Let] = field(default_factory=dict)
    fhir: tuple[Rendering, ...] = ()
    omop: tuple[Rendering, ...] = ()
    fhir_because: str = ""
    omop_because: str = ""
    notes: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """The slots that must be present for a fact to exist."""
        return tuple(slot.name for slot in self.slots.values() if slot.required)
