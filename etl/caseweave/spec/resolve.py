"""Names in statements: each bare word becomes a field or another statement, as the pattern's slot tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from caseweave.spec.expression import Expression, codes, names
from caseweave.spec.faults import Faults
from caseweave.spec.models import CodeLit, Expr, Field, FieldRef, Filler, LinkRef, Mapped, Statement
from caseweave.spec.pattern import Pattern, Slot
from caseweave.spec.sheetfile import Draft, MapRef, Ref
from caseweave.spec.words import At
from caseweave.values.types import Code

# what a field of a type can put into a slot
KINDS_OF_TYPES: dict[str, frozenset[str]] = {
    "id": frozenset({"text"}),
    "text": frozenset({"text"}),
    "code": frozenset({"code", "missing"}),
    "number": frozenset({"quantity"}),
    "integer": frozenset({"integer", "quantity"}),
    "date": frozenset({"day", "month", "year"}),
}
DATES = frozenset({"day", "month", "year"})
# names that an expression may use beside fields
IMPLICIT = frozenset({"anchor_year"})


@dataclass(frozen=True, slots=True)
class Named:
    """A statement that others can link to, before it is resolved."""

    sheet: str
    name: str
    index: str
    pattern: str


@dataclass
class Names:
    """All that a sheet's statements can name.

    Arguments: `fields` by sheet; `joined` the sheets whose rows are merged with a sheet's; `statements` by
    sheet and by each way to write their name; `systems` the known aliases of code systems.
    """

    fields: Mapping[str, Mapping[str, Field]]
    joined: Mapping[str, tuple[str, ...]]
    systems: frozenset[str]
    anchored: bool
    statements: dict[str, dict[str, list[Named]]] = field(default_factory=dict)

    def add(self, sheet: str, name: str, expanded: str, index: str, pattern: str) -> None:
        """Register a statement under its name, its expanded name, and `name#index`."""
        named = Named(sheet, name, index, pattern)
        table = self.statements.setdefault(sheet, {})
        for spelling in dict.fromkeys((name, expanded, f"{name}#{index}" if index else name)):
            table.setdefault(spelling, []).append(named)

    def field(self, sheet: str, name: str, at: At) -> FieldRef:
        """The field that a name means in a sheet, or in one that is joined to it; raises MappingError."""
        if name in self.fields[sheet]:
            return self._usable(sheet, name, FieldRef(name), at)
        other, dot, rest = name.rpartition(".")
        for joined in self.joined.get(sheet, ()):
            if (dot and other == joined and rest in self.fields[joined]) or (not dot and name in self.fields[joined]):
                return self._usable(joined, rest, FieldRef(rest, joined), at)
        if dot and other == sheet and rest in self.fields[sheet]:
            return self._usable(sheet, rest, FieldRef(rest), at)
        if dot and other in self.fields and rest in self.fields[other]:
            at.fail(
                f"field '{name}' stands in another sheet, whose rows aren't those of '{sheet}'",
                f"Say join: {{with: {other}, on: FIELD}} in sheet '{sheet}', or link to a statement.",
            )
        raise at.unknown("field", name, self.visible(sheet))

    def _usable(self, sheet: str, name: str, ref: FieldRef, at: At) -> FieldRef:
        if self.fields[sheet][name].ignore:
            at.fail(f"field '{name}' is ignored and can't be used", "Give it a type instead of 'ignore'.")
        return ref

    def visible(self, sheet: str) -> list[str]:
        """The fields that a sheet's statements can name."""
        return [name for one in (sheet, *self.joined.get(sheet, ())) for name in self.fields[one]]

    def expression(self, sheet: str, expression: Expression | None, at: At) -> None:
        """Check the names and codes of an expression; raises MappingError."""
        if expression is None:
            return
        faults = Faults()
        for name in sorted(names(expression) - IMPLICIT):
            with faults:
                self.field(sheet, name, at)
        for one in codes(expression):
            with faults:
                self.system(one.system, at)
        faults.tell()

    def system(self, alias: str, at: At) -> None:
        """Check the alias of a code system; raises MappingError."""
        if alias not in self.systems:
            raise at.unknown("code system", alias, sorted(self.systems))

    def link(self, sheet: str, ref: Ref, index: str, slot: Slot, at: At) -> LinkRef:
        """The statement that a name means; raises MappingError."""
        other, dot, rest = ref.name.partition(".")
        home, name = (other, rest) if dot and other in self.fields else (sheet, ref.name)
        found = self.statements.get(home, {}).get(name, [])
        if not found:
            elsewhere = [f"{one}.{name}" for one, table in self.statements.items() if name in table]
            valid = [
                *elsewhere,
                *(
                    spelling
                    for spelling, many in self.statements.get(home, {}).items()
                    if not slot.facts or many[0].pattern in slot.facts
                ),
            ]
            raise at.unknown("statement", ref.name, valid)
        if len(found) > 1:
            same = [one for one in found if index and one.index == index and home == sheet]
            if not same:
                at.fail(f"'{ref.name}' stands {len(found)} times", f"Say which: {name}#{found[0].index}.")
            found = same
        target = found[0]
        if target.pattern not in slot.facts:
            at.fail(
                f"slot '{slot.name}' can't link to '{ref.name}', which is of pattern '{target.pattern}'",
                f"It links to facts of pattern {' or '.join(slot.facts)}.",
            )
        return LinkRef(target.sheet, target.name, target.index)


def resolve(
    draft: Draft,
    pattern: Pattern,
    sheet: str,
    name: str,
    index: str,
    own: str,
    file: str,
    known: Names,
    row_key: tuple[str, ...],
) -> Statement:
    """Make a statement out of a draft; raises MappingError for what it names wrongly.

    Arguments: `own` is the field that `means` it, "" for a statement that stands alone; `index` of its
    repeat.
    """
    at = At(file, draft.line)
    fillers = dict(draft.fillers)
    if own and "value" in pattern.slots and "value" not in fillers:
        fillers["value"] = Ref(own, draft.line)
    slots: dict[str, Filler] = {}
    faults = Faults()
    for slot_name, filler in fillers.items():
        here = At(file, draft.lines.get(slot_name, draft.line))
        slot = pattern.slots.get(slot_name)
        with faults:
            if slot is None:
                raise here.unknown(
                    f"slot of pattern '{pattern.name}'",
                    slot_name,
                    pattern.slots,
                    " Or a key of statements: when, for, key, id, fhir.set, omop.set, without, because.",
                )
            slots[slot_name] = _filler(filler, slot, sheet, index, here, known)
            for code in _codes(slots[slot_name]):
                known.system(code, here)
    with faults:
        known.expression(sheet, draft.when, at)
    for one in draft.key:
        with faults:
            known.field(sheet, one, at)
    faults.tell()
    if own and not any(own in fields_of(filler) for filler in slots.values()):
        at.fail(
            f"field '{own}' fills no slot of pattern '{pattern.name}', which has no slot 'value'",
            f"Say which one it fills: {', '.join(pattern.slots)}.",
        )
    missing = [one for one in pattern.required if one not in slots]
    if missing:
        at.fail(
            f"pattern '{pattern.name}' needs {', '.join(repr(one) for one in missing)}",
            f"Fill it; the pattern's slots are {', '.join(pattern.slots)}.",
        )
    return Statement(
        name=name,
        sheet=sheet,
        pattern=pattern,
        slots=slots,
        file=file,
        line=draft.line,
        repeat_index=index,
        when=draft.when,
        id=draft.id,
        key=draft.key or row_key,
        fhir_set=draft.fhir_set,
        omop_set=draft.omop_set,
        without=frozenset(draft.without),
        because=draft.because,
        meant_by=own,
        lines=draft.lines,
    )


def _codes(filler: Filler) -> Iterable[str]:
    if isinstance(filler, CodeLit):
        return [one.system for one in filler.codings]
    if isinstance(filler, Mapped):
        values = [*filler.map.values(), filler.default]
        return [one.system for value in values if isinstance(value, Code) for one in value.codings]
    return []


def fields_of(filler: Filler) -> frozenset[str]:
    """The fields that a filler reads."""
    if isinstance(filler, FieldRef | Mapped):
        return frozenset({filler.field})
    return names(filler.expression) - IMPLICIT if isinstance(filler, Expr) else frozenset()


def _filler(filler: Filler | Ref | MapRef, slot: Slot, sheet: str, index: str, at: At, known: Names) -> Filler:
    if slot.facts:
        if isinstance(filler, Ref):
            return known.link(sheet, filler, index, slot, at)
        at.fail(
            f"slot '{slot.name}' links to a fact and takes nothing else",
            f"Name a statement of pattern {' or '.join(slot.facts)}.",
        )
    if isinstance(filler, Ref):
        ref = known.field(sheet, filler.name, at)
        one = known.fields[ref.sheet or sheet][ref.field]
        _check_kinds(slot, KINDS_OF_TYPES[one.type], f"field '{one.name}' of type {one.type}", at, known)
        return ref
    if isinstance(filler, MapRef):
        return _mapped(filler, slot, sheet, at, known)
    if isinstance(filler, Expr):
        known.expression(sheet, filler.expression, at)
        return filler
    assert not isinstance(filler, FieldRef | LinkRef | Mapped)
    _check_kinds(slot, frozenset({filler.value.kind}), f"a literal {filler.value.kind}", at, known)
    return filler


def _mapped(filler: MapRef, slot: Slot, sheet: str, at: At, known: Names) -> Mapped:
    ref = known.field(sheet, filler.name, at)
    one = known.fields[ref.sheet or sheet][ref.field]
    if one.valueset is not None:
        for key in filler.map:
            if key not in one.valueset.values:
                raise At(at.file, filler.map_lines.get(key, at.line)).unknown(
                    f"value of value set '{one.valueset.name}'", key, one.valueset.values
                )
    for value in (*filler.map.values(), filler.default):
        if value is not None:
            _check_kinds(slot, frozenset({value.kind}), f"a literal {value.kind}", at, known)
    return Mapped(ref.field, filler.map, filler.default, ref.sheet)


def _check_kinds(slot: Slot, kinds: frozenset[str], what: str, at: At, known: Names) -> None:
    """A slot gets only what it says it takes; a study without a calendar gives intervals for dates."""
    if not slot.kinds or kinds & slot.kinds or (known.anchored and slot.kinds & DATES and "quantity" in kinds):
        return
    at.fail(f"slot '{slot.name}' can't be filled from {what}", f"It takes {', '.join(sorted(slot.kinds))}.")
