"""Facts into FHIR R4 resources: one template per variant of a statement, filled once per fact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray

from caseweave.identity.factids import letters
from caseweave.plan.conditions import holds
from caseweave.plan.facts import FactBatch, Facts, Indices, Mask, SlotColumn
from caseweave.plan.variants import OncePerValues, combine
from caseweave.shapes.fhir import FhirShapes
from caseweave.spec.evaluate import Presence
from caseweave.spec.pattern import Claim, Rendering
from caseweave.targets.fhir.assemble import Assembler
from caseweave.targets.fhir.bound import keeps
from caseweave.targets.fhir.conditions import where
from caseweave.targets.fhir.fragments import Coder, fragments
from caseweave.targets.fhir.nodes import Condition, Hole, Nested, Piece, Reversed, Tree, Unwritable, slots_of
from caseweave.targets.fhir.tree import compile_tree
from caseweave.values.types import Boolean, Code, Value

STUDY_TAG = "urn:caseweave:study"
PRESENT: tuple[Value | None, ...] = (None, Boolean(True))
BLOCK = 4096  # resources rendered at a time: their text stays in the cache
Column = Callable[[Indices], list[bytes]]


@dataclass(frozen=True)
class FhirSettings:
    """What the study and the house give to every resource.

    Arguments: `identifier_system` of the pseudonyms; `tags` as (system, code); `profiles` and `extensions` from alias
    to url; `emit_missing`, whether a declared missing value becomes a dataAbsentReason.
    """

    shapes: FhirShapes
    coder: Coder
    presence: Presence
    profiles: Mapping[str, str]
    extensions: Mapping[str, str]
    identifier_system: str
    tags: tuple[tuple[str, str], ...] = ()
    emit_missing: bool = False


@dataclass(frozen=True)
class Compiled:
    """One rendering of one statement: its tree, and behind the fact id the suffix of its resources."""

    rendering: Rendering
    tree: Tree
    suffix: bytes
    slots: frozenset[str]


@dataclass
class FhirRenderer:
    """Renders a batch of facts; knows which renderings each fact has, so that no reference dangles."""

    facts: Facts
    settings: FhirSettings
    compiled: list[list[Compiled]] = field(init=False)
    emitted: list[list[Mask]] = field(init=False)
    main: list[Indices] = field(init=False)
    _kinds: OncePerValues[tuple[list[str], Indices]] = field(init=False, default_factory=OncePerValues)
    _written: OncePerValues[NDArray[np.object_]] = field(init=False, default_factory=OncePerValues)

    def __post_init__(self) -> None:
        self.compiled = [self._compile(batch) for batch in self.facts]
        self.emitted = [
            [holds(one.rendering.when, self.columns(batch), len(batch), self.settings.presence) for one in compiled]
            for batch, compiled in zip(self.facts, self.compiled, strict=True)
        ]
        self.main = [_first_true(masks, len(batch)) for batch, masks in zip(self.facts, self.emitted, strict=True)]

    def _compile(self, batch: FactBatch) -> list[Compiled]:
        settings = self.settings
        found: list[Compiled] = []
        changes, without = batch.settings["fhir.set"], batch.settings["without"]
        assert isinstance(changes, Mapping) and isinstance(without, frozenset)
        for place, rendering in enumerate(() if "fhir" in without else batch.pattern.fhir):
            tree = compile_tree(
                {**rendering.tree, **(changes if place == 0 else {})},
                settings.shapes,
                settings.coder,
                settings.extensions,
                rendering.file,
                rendering.line,
            )
            suffix = f"-{rendering.name}".encode() if place and rendering.name else b""
            found.append(Compiled(rendering, tree, suffix, frozenset(slots_of(tree.root))))
        return found

    def untold(self, number: int) -> dict[str, Mask]:
        """The facts of a batch without any resource, under the reason by name."""
        batch = self.facts.batches[number]
        rest = self.main[number] < 0
        if not rest.any():
            return {}
        because = batch.settings["because"] if "fhir" in (batch.settings["without"] or ()) else ""  # type: ignore[operator]
        return {str(because or batch.pattern.fhir_because or f"rule of pattern {batch.pattern.name}"): rest}

    def columns(self, batch: FactBatch) -> dict[str, SlotColumn]:
        """The slots of a batch, links among them as present or absent."""
        links = {name: SlotColumn((link.index >= 0).astype(np.int32), PRESENT) for name, link in batch.links.items()}
        return {**batch.slots, **links}

    def written(self, values: Sequence[Value | None], fhir_type: str) -> NDArray[np.object_]:
        """The distinct values of a slot as JSON."""

        def write() -> NDArray[np.object_]:
            found = fragments(values, fhir_type, self.settings.coder)
            return np.array([one or b"null" for one in found], dtype=object)

        return self._written.get(values, fhir_type, write)

    def kinds(self, values: Sequence[Value | None]) -> tuple[list[str], Indices]:
        """The kinds that occur among distinct values, and for each value the number of its kind (0 is absent)."""

        def number() -> tuple[list[str], Indices]:
            numbers: dict[str, int] = {"": 0}
            found = [numbers.setdefault(_kind(value, self.settings.coder), len(numbers)) for value in values]
            return list(numbers), np.array(found, dtype=np.int32)

        return self._kinds.get(values, "", number)

    def resources(
        self, number: int, chosen: Indices | None = None, place: int | None = None, sample: bool = False
    ) -> Iterator[tuple[str, Indices, list[bytes]]]:
        """Yield (resource type, facts, JSON lines) of one batch, variant by variant.

        Arguments: `number` of the batch; `chosen` facts of it, all where None; `place` of the only rendering wanted;
        `sample` asks for one resource of each variant instead of all.
        """
        batch = self.facts.batches[number]
        for here, (compiled, mask) in enumerate(zip(self.compiled[number], self.emitted[number], strict=True)):
            if place is not None and here != place:
                continue
            which = np.flatnonzero(mask).astype(np.int32) if chosen is None else chosen[mask[chosen]]
            if len(which):
                yield from self._variants(number, batch, compiled, which, sample)

    def _variants(
        self, number: int, batch: FactBatch, compiled: Compiled, which: Indices, sample: bool
    ) -> Iterator[tuple[str, Indices, list[bytes]]]:
        shape = _Shape(self, number, batch, compiled, which)
        combos, variant_of = combine(shape.columns, len(which))
        order = np.argsort(variant_of, kind="stable")
        bounds = np.searchsorted(variant_of[order], np.arange(len(combos) + 1))
        for place, combo in enumerate(combos.tolist()):
            inside = order[bounds[place] : bounds[place + 1]]
            written, columns = shape.template(combo)
            for begin in range(0, 1 if sample else len(inside), BLOCK):
                facts = which[inside[begin : 1 if sample else begin + BLOCK]]
                values = zip(*(column(facts) for column in columns), strict=True)
                yield compiled.tree.resource_type, facts, [written % line for line in values]


@dataclass
class _Shape:
    """The columns that decide a fact's variant, and the way from one combination of them to its lines."""

    renderer: FhirRenderer
    number: int
    batch: FactBatch
    compiled: Compiled
    which: Indices

    def __post_init__(self) -> None:
        batch = self.batch
        needed = self.compiled.slots | {need.slot for claim in self.compiled.rendering.profiles for need in claim.needs}
        self.slots = sorted(slot for slot in needed if slot in batch.slots)
        self.links = sorted(slot for slot in needed if slot.partition(".")[0] in batch.links)
        self.siblings = sorted(slot for slot in needed if slot.startswith("self."))
        self.kinds = {slot: self.renderer.kinds(batch.slots[slot].values) for slot in self.slots}
        columns = self.renderer.columns(batch)
        self.columns: list[Indices] = [
            *(self.kinds[slot][1][batch.slots[slot].codes[self.which]] for slot in self.slots),
            *(self.linked(slot)[self.which] for slot in self.links),
            *(self.sibling(slot)[self.which].astype(np.int32) for slot in self.siblings),
            *(self.condition(one, columns)[self.which].astype(np.int32) for one in self.compiled.tree.conditions),
            *(self.keeps(one)[self.which].astype(np.int32) for one in self.compiled.rendering.profiles),
        ]

    def condition(self, one: Condition, columns: Mapping[str, SlotColumn]) -> Mask:
        if isinstance(one, Unwritable | Reversed | Nested):
            return where(one, self.batch.slots, len(self.batch), self.renderer.settings.coder)
        return holds(one, columns, len(self.batch), self.renderer.settings.presence)

    def keeps(self, claim: Claim) -> Mask:
        settings = self.renderer.settings
        url = settings.profiles[claim.profile]
        return keeps(url, self.compiled.tree, self.batch.slots, len(self.batch), settings.coder)

    def linked(self, slot: str) -> Indices:
        """For each fact, which rendering of the linked fact it can refer to, plus one; 0 where none."""
        name, _, rendering = slot.partition(".")
        link = self.batch.links[name]
        if rendering:
            place = _place(self.renderer.compiled[link.batch], rendering)
            found = np.where(self.renderer.emitted[link.batch][place], place, -1).astype(np.int32)
        else:
            found = self.renderer.main[link.batch]
        if not len(found):
            return np.zeros(len(self.batch), dtype=np.int32)
        return np.where(link.index >= 0, found[link.index] + 1, 0).astype(np.int32)

    def sibling(self, slot: str) -> Mask:
        place = _place(self.renderer.compiled[self.number], slot.partition(".")[2])
        return self.renderer.emitted[self.number][place]

    def template(self, combo: Sequence[int]) -> tuple[bytes, list[Column]]:
        """The text of one variant, with %b where its facts differ, and what stands there."""
        kinds: dict[str, str] = {"subject": "link", "pseudonym": "text", "identifier_system": "text", "id": "text"}
        places: dict[str, int] = {}
        rest = list(combo)
        for slot in self.slots:
            kind = self.kinds[slot][0][rest.pop(0)]
            if kind:
                kinds[slot] = kind
        for slot in [*self.links, *self.siblings]:
            place = rest.pop(0)
            if place:
                kinds[slot], places[slot] = "link", place - 1
        settings, rendering = self.renderer.settings, self.compiled.rendering
        flags = [bool(flag) for flag in rest]
        number = len(self.compiled.tree.conditions)
        assembler = Assembler(kinds, flags[:number], settings.emit_missing, rendering.file, rendering.line)
        pieces = assembler.whole(self.compiled.tree.root, context_has_reason=self.has_reason())
        claimed = {slot: "code" if kind == "label" else kind for slot, kind in kinds.items()}
        claims = zip(rendering.profiles, flags[number:], strict=True)
        head = self.head([claim.profile for claim, kept in claims if kept and claim.holds(claimed)])
        body = [b"{}"] if pieces is None else pieces
        first: list[Piece] = [head, b"," if len(body) > 2 else b"", *body[1:]]
        return self.fill(
            [
                b'{"resourceType":"%s","id":"' % self.compiled.tree.resource_type.encode(),
                Hole("id", "id"),
                self.compiled.suffix + b'"',
                *first,
            ],
            places,
        )

    def has_reason(self) -> bool:
        children = self.renderer.settings.shapes.children(self.compiled.tree.resource_type)
        return any(child.name == "dataAbsentReason" for child in children)

    def head(self, claimed: Sequence[str]) -> bytes:
        settings = self.renderer.settings
        meta: dict[str, object] = {}
        if claimed:
            meta["profile"] = [settings.profiles[alias] for alias in claimed]
        if settings.tags:
            meta["tag"] = [{"system": system, "code": code} for system, code in settings.tags]
        return b',"meta":' + orjson.dumps(meta) if meta else b""

    def fill(self, pieces: Sequence[Piece], places: Mapping[str, int]) -> tuple[bytes, list[Column]]:
        template: list[bytes] = []
        columns: list[Column] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                template.append(piece.replace(b"%", b"%%"))
                continue
            text, column = self.column(piece, places)
            template.append(text)
            if column is not None:
                columns.append(column)
        return b"".join(template), columns

    def column(self, hole: Hole, places: Mapping[str, int]) -> tuple[bytes, Column | None]:
        """What stands in a hole: text, and a column if the text has a %b for it."""
        batch, renderer, facts = self.batch, self.renderer, self.renderer.facts
        name, _, rendering = hole.slot.partition(".")
        if hole.slot == "id":
            return b"%b" if hole.fhir_type == "id" else b'"%b"', lambda n: letters(batch.ids[n]).tolist()
        if hole.slot == "identifier_system":
            return orjson.dumps(renderer.settings.identifier_system).replace(b"%", b"%%"), None
        if hole.slot == "pseudonym":
            return b"%b", lambda n: [orjson.dumps(facts.subjects[one]) for one in batch.subjects[n].tolist()]
        if hole.slot == "subject":
            return _reference("Patient"), lambda n: letters(facts.patient_ids[batch.subjects[n]]).tolist()
        if name in batch.links:
            link = batch.links[name]
            target, ids = renderer.compiled[link.batch][places[hole.slot]], facts.batches[link.batch].ids
            return _reference(target.tree.resource_type, target.suffix), lambda n: letters(ids[link.index[n]]).tolist()
        if name == "self":
            target = renderer.compiled[self.number][_place(renderer.compiled[self.number], rendering)]
            return _reference(target.tree.resource_type, target.suffix), lambda n: letters(batch.ids[n]).tolist()
        slot = batch.slots[hole.slot]
        written = renderer.written(slot.values, hole.fhir_type)
        # a constant slot has one value for every fact and stands in the template itself
        if len(written) == 2:
            return written[1].replace(b"%", b"%%"), None
        return b"%b", lambda n: written[slot.codes[n]].tolist()


def _reference(resource_type: str, suffix: bytes = b"") -> bytes:
    return b'{"reference":"' + resource_type.encode() + b"/%b" + suffix + b'"}'


def _place(compiled: Sequence[Compiled], name: str) -> int:
    return next(place for place, one in enumerate(compiled) if one.rendering.name == name)


def _kind(value: Value | None, coder: Coder) -> str:
    if isinstance(value, Code) and not coder.codings(value):
        return "label"
    return "" if value is None else value.kind


def _first_true(masks: Sequence[Mask], size: int) -> Indices:
    found = np.full(size, -1, dtype=np.int32)
    for place in range(len(masks) - 1, -1, -1):
        found[masks[place]] = place
    return found
