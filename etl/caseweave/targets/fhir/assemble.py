"""One variant of a compiled tree as pieces of JSON: the slots that are there, their kinds, the conditions that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from caseweave.errors import MappingError
from caseweave.targets.fhir.fragments import BLURRED, MANY_CODINGS, chosen_type
from caseweave.targets.fhir.nodes import Constant, Entry, First, Hole, If, Node, Object, Piece, slots_of

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
            return entry.key, self.whole(child), bool(slots_of(child))
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
