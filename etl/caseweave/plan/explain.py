"""What each field of a study holds, what it means, and where it goes: the rows behind `caseweave explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from caseweave.plan.lint.finding import Knowledge, knowledge
from caseweave.plan.lint.place import BACKBONE, KEY, SLOT
from caseweave.shapes import Table
from caseweave.spec.expression import names, parse
from caseweave.spec.models import CodeLit, Field, Filler, Mapped, Sheet, Statement, Study
from caseweave.spec.pattern import Rendering
from caseweave.spec.resolve import fields_of
from caseweave.values.types import Code, Coding

# what a field of a type writes into an element that has several types, the best first
CHOICES: dict[str, tuple[str, ...]] = {
    "code": ("CodeableConcept", "code"),
    "number": ("Quantity", "Age", "decimal"),
    "integer": ("integer", "Quantity", "Age"),
    "date": ("dateTime", "date"),
    "text": ("string", "Annotation"),
    "id": ("string",),
}
# columns that the key `value` fills, by the type of the field
VALUE_COLUMNS: dict[str, tuple[str, ...]] = {
    "code": ("value_as_concept", "value_source_value"),
    "number": ("value_as_number", "unit", "operator"),
    "integer": ("value_as_number",),
    "text": ("value_as_string",),
    "id": ("value_as_string",),
    "date": ("value_as_string",),
}
ROLES: dict[str, tuple[str, ...]] = {"concept": ("concept", "source_value"), "date": ("date",), "end": ("end_date",)}


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code that a field or its statement uses: `local` is what the form holds, "" for the statement's own code."""

    local: str
    label: str
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """One statement that a field fills: which slot, of which pattern, and where that goes."""

    statement: str
    slot: str
    pattern: str
    about: str
    fhir: tuple[str, ...]
    omop: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Explained:
    """One field: what it holds in words, what it means, its codes, its part in the sheet; `ignored` says why it is."""

    sheet: str
    field: str
    label: str
    holds: str
    means: tuple[Meaning, ...]
    codes: tuple[CodeRow, ...]
    file: str
    line: int
    part: str = ""
    ignored: str = ""

    @property
    def fhir(self) -> tuple[str, ...]:
        """Every FHIR path that the field fills."""
        return tuple(dict.fromkeys(path for meaning in self.means for path in meaning.fhir))

    @property
    def omop(self) -> tuple[str, ...]:
        """Every OMOP column that the field fills."""
        return tuple(dict.fromkeys(column for meaning in self.means for column in meaning.omop))


def explain(study: Study, field: str = "", known: Knowledge | None = None) -> list[Explained]:
    """Explain a study, field by field in the order of its sheets.

    >>> from caseweave.spec.loader import load_study
    >>> [row] = explain(load_study("hcc-tace"), "afp")
    >>> row.fhir, row.omop[:1]
    (('Observation.valueQuantity',), ('measurement.value_as_number',))

    Arguments: `field`, the name of one field, in whichever sheet, else all; `known`, shapes and vocabularies.
    """
    measure = known or knowledge(study)
    return [
        _explained(measure, sheet, one)
        for sheet in study.sheets
        for one in sheet.fields.values()
        if not field or field in (one.name, one.base, f"{sheet.key}.{one.name}")
    ]


def _explained(known: Knowledge, sheet: Sheet, field: Field) -> Explained:
    filled = [
        (statement, slot, filler)
        for statement in known.study.statements
        for slot, filler in statement.slots.items()
        if field.name in fields_of(filler) and sheet.key == (getattr(filler, "sheet", "") or statement.sheet)
    ]
    means = tuple(_meaning(known, statement, slot, field) for statement, slot, _ in filled)
    codes = list(_own_codes(known, field))
    for statement, _, filler in filled:
        codes += [*_statement_codes(known, statement), *_mapped_codes(known, filler)]
    return Explained(
        sheet.key, field.name, next(iter(field.label.values()), ""), holds(field), means, tuple(dict.fromkeys(codes)),
        field.file, field.line, part(known.study, sheet, field), field.ignore,
    )  # fmt: skip


def holds(field: Field) -> str:
    """What a field may hold, in words.

    >>> holds(Field("size", "size", "x.yaml", 1, type="number", unit="mm", accept={"cm": 10}, required=True))
    'number in mm (or cm), required'
    """
    if field.ignore:
        return "ignored"
    words: list[str] = [field.type]
    if field.valueset is not None:
        words.append(f"of {field.valueset.name}")
    if field.unit:
        words.append(f"in {field.unit}" + (f" (or {', '.join(field.accept)})" if field.accept else ""))
    if field.precision:
        words.append(f"known at least to the {field.precision}")
    if field.range_error is not None:
        low, high = field.range_error
        words.append(
            f"from {low} to {high}" if None not in (low, high) else f"from {low}" if high is None else f"to {high}"
        )
    if field.matches:
        words.append(f"matching {field.matches}")
    required = (
        ", required" if field.required is True else f", required where {field.required}" if field.required else ""
    )
    return " ".join(words) + required


def part(study: Study, sheet: Sheet, field: Field) -> str:
    """What a field does in its sheet beside filling slots: whose row it is, what tells rows apart, conditions."""
    parts = [field.role] if field.role else []
    parts += [f"unit of {one.name}" for one in sheet.fields.values() if one.unit_field == field.name]
    if field.name in sheet.row_key or any(field.name in one.key for one in sheet.statements):
        parts.append("tells rows apart")
    if sheet.join is not None and sheet.join.on == field.name:
        parts.append(f"joins {sheet.join.sheet}")
    if study.anchor is not None and study.anchor.age == field.name:
        parts.append("age at the anchor")
    asked = [one.name for one in sheet.statements if one.when is not None and field.name in names(one.when)]
    parts += [f"condition of {name}" for name in dict.fromkeys(asked)]
    return ", ".join(parts)


def _meaning(known: Knowledge, statement: Statement, slot: str, field: Field) -> Meaning:
    pattern = statement.pattern
    # a slot reaches the renderings also through the slots that are derived from it
    reached = {slot}
    for name, let in pattern.lets.items():
        source = {let.source} if let.expression is None else names(let.expression)
        if reached & source:
            reached.add(name)
    fhir = [path for one in pattern.fhir if "fhir" not in statement.without
            for path in _fhir(known, one.tree, str(one.tree.get("resourceType")), reached, field.type)]  # fmt: skip
    omop = [
        path for one in pattern.omop if "omop" not in statement.without for path in _omop(known, one, reached, field)
    ]
    return Meaning(
        f"{statement.sheet}.{statement.name}", slot, pattern.name, pattern.about, tuple(dict.fromkeys(fhir)),
        tuple(dict.fromkeys(omop)), statement.line,
    )  # fmt: skip


def _fhir(
    known: Knowledge, tree: Mapping[str, Any], context: str, slots: set[str], kind: str, path: str = ""
) -> Iterator[str]:
    """The paths at which slots stand in a FHIR tree."""
    for key, value in tree.items():
        items = value if isinstance(value, list) else [value]
        word, _, label = key.partition(" ")
        if word in ("first", "if") and label:
            for item in items:
                branches = [item] if word == "first" else [item.get("then"), item.get("else")]
                for one in branches:
                    if isinstance(one, Mapping):
                        yield from _fhir(known, one, context, slots, kind, path)
            continue
        found = KEY.fullmatch(key)
        name, alias = (found[1], found[2]) if found and found[2] not in (None, "x") else (key, "")
        here = f"{path or context}.{name}" + (f"({alias})" if alias else "")
        for item in items:
            if isinstance(item, Mapping):
                yield from _fhir(known, item, _inner(known, context, name), slots, kind, here)
            elif isinstance(item, str) and (slot := SLOT.fullmatch(item)) and slot[1] in slots:
                yield _chosen(known, context, name, here, kind)


def _inner(known: Knowledge, context: str, name: str) -> str:
    try:
        element = known.fhir.resolve(context, name)
    except KeyError:
        return context
    if element.content or not element.types or element.types[0] in BACKBONE:
        return f"{context}.{name}"
    return element.types[0]


def _chosen(known: Knowledge, context: str, name: str, path: str, kind: str) -> str:
    """A path whose name says the type, where the field's type decides it: valueQuantity for value[x]."""
    if not name.endswith("[x]"):
        return path
    try:
        types = known.fhir.resolve(context, name).types
    except KeyError:
        return path
    chosen = next((one for one in CHOICES[kind] if one in types), None)
    return path if chosen is None else path.removesuffix("[x]") + chosen[0].upper() + chosen[1:]


def _omop(known: Knowledge, rendering: Rendering, slots: set[str], field: Field) -> Iterator[str]:
    """The columns that slots fill in a rendering's table."""
    wanted = rendering.tree.get("table")
    name = str(wanted.get("default")) if isinstance(wanted, Mapping) else str(wanted)
    table = known.omop.tables.get(name)
    if table is None:
        return
    for key, value in rendering.tree.items():
        if key != "table" and _names_slot(value, slots):
            yield from (f"{name}.{column}" for column in _columns(table, key, field))


def _names_slot(value: Any, slots: set[str]) -> bool:
    if isinstance(value, Mapping):
        if "expr" in value:
            return not slots.isdisjoint(names(parse(str(value["expr"]), "", 0)))
        return any(_names_slot(one, slots) for one in value.values())
    if isinstance(value, list):
        return any(_names_slot(one, slots) for one in value)
    slot = SLOT.fullmatch(value) if isinstance(value, str) else None
    return slot is not None and slot[1] in slots


def _columns(table: Table, key: str, field: Field) -> Iterator[str]:
    roles = VALUE_COLUMNS[field.type] if key == "value" else ROLES.get(key)
    if roles is None:
        if key != "modifies":
            yield key
        return
    for role in roles:
        column = getattr(table, role)
        if column and (role != "operator" or field.type == "number"):
            yield str(column)


def _own_codes(known: Knowledge, field: Field) -> Iterator[CodeRow]:
    for entry in field.valueset.values.values() if field.valueset is not None else ():
        label = next(iter(entry.label.values()), "")
        if entry.missing:
            yield CodeRow(entry.key, label, f"missing: {entry.missing}", "")
        for coding in entry.codings:
            yield _row(known, entry.key, label, coding)
        if not entry.codings and not entry.missing:
            yield CodeRow(entry.key, label, "", "")


def _statement_codes(known: Knowledge, statement: Statement) -> Iterator[CodeRow]:
    for slot, filler in statement.slots.items():
        if isinstance(filler, CodeLit):
            for coding in filler.codings:
                yield _row(known, "", slot, coding)


def _mapped_codes(known: Knowledge, filler: Filler) -> Iterator[CodeRow]:
    if isinstance(filler, Mapped):
        for local, value in filler.map.items():
            for coding in value.codings if isinstance(value, Code) else ():
                yield _row(known, local, "", coding)


def _row(known: Knowledge, local: str, label: str, coding: Coding) -> CodeRow:
    return CodeRow(local, label, str(coding), known.display(coding.system, coding.code))
