"""The columns of one rendering in one table: concept, dates, value, links, and whatever else its tree names."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from caseweave.errors import MappingError
from caseweave.plan.conditions import computed
from caseweave.plan.facts import FactBatch, Facts, Indices, Mask, SlotColumn
from caseweave.plan.variants import OncePerValues, once_per_combination
from caseweave.shapes.omop import OmopShapes, Table
from caseweave.spec.evaluate import Presence
from caseweave.spec.expression import parse
from caseweave.spec.pattern import Rendering
from caseweave.targets.omop.columns import (
    OPERATORS,
    Column,
    Constant,
    Lookup,
    Person,
    Reference,
    Scalar,
    after_anchor,
    first_day,
    last_day,
    lookup,
    not_before,
    number_of,
    said,
    text_of,
)
from caseweave.targets.omop.concepts import Concepts, Resolved
from caseweave.values.types import Boolean, Code, Coding, Integer, Missing, Quantity, Text, Value


@dataclass(frozen=True)
class OmopSettings:
    """What the study and the house give to every row.

    Arguments: `anchor` is the date that stands for day 0 in a study without a calendar, else None.
    """

    shapes: OmopShapes
    concepts: Concepts
    presence: Presence
    anchor: datetime.date | None = None


@dataclass(frozen=True)
class Built:
    """The rows of one rendering of one batch in one table: `mask` says which facts have one."""

    rendering: int
    table: Table
    mask: Mask
    columns: Mapping[str, Column]


class Linked(Protocol):
    """What a rendering has to know of the other facts' rows."""

    facts: Facts
    settings: OmopSettings
    built: dict[int, list[Built]]
    dates: OncePerValues[Sequence[Scalar]]

    def batch(self, number: int) -> list[Built]: ...
    def main(self, number: int) -> Indices: ...
    def people(self) -> Mask: ...
    @property
    def pseudonyms(self) -> Sequence[Value | None]: ...


@dataclass
class ColumnFiller:
    """Fills the columns of one rendering of a batch; `place` is the rendering's number in its pattern."""

    builder: Linked
    number: int
    batch: FactBatch
    place: int
    rendering: Rendering

    def __post_init__(self) -> None:
        links = {
            name: SlotColumn((link.index >= 0).astype(np.int32), [None, Boolean(True)])
            for name, link in self.batch.links.items()
        }
        size = len(self.batch)
        self.slots: dict[str, SlotColumn] = {**self.batch.slots, **links}
        self.slots["pseudonym"] = SlotColumn(self.batch.subjects + 1, self.builder.pseudonyms)
        anchor = self.builder.settings.anchor
        if anchor is not None:
            year = Integer(anchor.year)  # no unit: years less an age in years
            self.slots["anchor_year"] = SlotColumn(np.ones(size, dtype=np.int32), [None, year])

    def error(self, problem: str, way_out: str) -> MappingError:
        return MappingError(self.rendering.file, self.rendering.line, problem, way_out=way_out)

    def columns(self, table: Table) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        if table.field("person_id") and table.id_column != "person_id":
            columns["person_id"] = Person(self.batch.subjects)
        if table.type_concept:
            columns[table.type_concept] = Constant(self.builder.settings.concepts.conventions["case-report-form"])
        tree = self.rendering.tree
        extra = self.batch.settings["omop.set"] if self.place == 0 else {}
        assert isinstance(extra, Mapping)
        for key, value in {**tree, **extra}.items():
            if key == "table":
                continue
            role = ROLES.get(str(key))
            columns.update(role(self, table, value) if role else {str(key): self.column(table, str(key), value)})
        if table.date and table.date not in columns and self.builder.settings.anchor is not None:
            columns[table.date] = Constant(self.builder.settings.anchor.isoformat())
        if table.end_date and table.end_date not in columns and self.required(table, table.end_date) and table.date:
            columns[table.end_date] = columns.get(table.date, Constant(None))
        start, end = columns.get(table.date or ""), columns.get(table.end_date or "")
        if table.end_date and isinstance(start, Lookup) and isinstance(end, Lookup):
            columns[table.end_date] = not_before(start, end, needed=self.required(table, table.end_date))
        for column in table.fields:
            # a concept that nobody gave is 0, "No matching concept", where the CDM wants one; without the row's own
            # concept there is no row
            if column.required and column.name.endswith("_concept_id") and column.name != table.concept:
                columns[column.name] = _or_zero(columns.get(column.name, Constant(0)))
        return columns

    def required(self, table: Table, name: str) -> bool:
        return any(column.name == name and column.required for column in table.fields)

    def filled(self, column: Column | None) -> Mask:
        size = len(self.batch)
        match column:
            case None:
                return np.zeros(size, dtype=bool)
            case Constant(value):
                return np.full(size, value is not None, dtype=bool)
            case Lookup():
                return column.filled()
            case Person():
                return self.builder.people()[column.subjects]
            case Reference():
                return (column.index >= 0) & (column.renderings >= 0)

    def slot(self, value: object) -> SlotColumn:
        """What a tree's value stands for, as a slot column: `$slot`, SYSTEM|code, {expr: ...} or a literal."""
        size = len(self.batch)
        if isinstance(value, Mapping) and "expr" in value:
            expression = parse(str(value["expr"]), self.rendering.file, self.rendering.line)
            return computed(expression, self.slots, size, self.builder.settings.presence)
        if isinstance(value, str) and value.startswith("$"):
            return self.slots.get(value[1:], SlotColumn(np.zeros(size, dtype=np.int32), [None]))
        system, bar, code = str(value).partition("|")
        constant: Value = Code((Coding(system, code),)) if bar else Text(str(value))
        return SlotColumn(np.ones(size, dtype=np.int32), [None, constant])

    def resolved(self, value: object) -> tuple[Indices, list[Resolved | None]]:
        """The concept of each fact, once per distinct value; None where the fact has no value."""
        concepts = self.builder.settings.concepts
        if isinstance(value, Mapping) and "icdo3" in value:
            morphology, site = (self.slot(one) for one in value["icdo3"])
            other = self.slot(value["else"])

            def answer(morph: int, topo: int, rest: int) -> Resolved | None:
                pair = concepts.histology(_code(morphology.values[morph]), _code(site.values[topo]))
                code = _code(other.values[rest])
                return pair or (concepts.resolve(code) if code else None)

            columns = [morphology.codes, site.codes, other.codes]
            answers, which = once_per_combination(columns, len(self.batch), answer)
            return which, answers
        column = self.slot(value)
        return column.codes, [_resolve(one, concepts) for one in column.values]

    def concept(self, table: Table, value: object) -> dict[str, Column]:
        codes, resolved = self.resolved(value)
        columns: dict[str, Column] = {}
        if table.concept:
            columns[table.concept] = Lookup(codes, [one.concept_id if one else None for one in resolved])
        if table.source_value:
            columns[table.source_value] = Lookup(codes, [one.source_value if one else None for one in resolved])
        if table.source_concept:
            columns[table.source_concept] = Lookup(codes, [one.source_concept_id if one else None for one in resolved])
        implied = [one.value_concept_id if one else None for one in resolved]
        if table.value_as_concept and any(implied):
            columns[table.value_as_concept] = Lookup(codes, implied)
        return columns

    def date(self, table: Table, value: object) -> dict[str, Column]:
        return {table.date: self.dates(table, value)} if table.date else {}

    def end(self, table: Table, value: object) -> dict[str, Column]:
        return {table.end_date: self.dates(table, value)} if table.end_date else {}

    def dates(self, table: Table, value: object) -> Column:
        anchor = self.builder.settings.anchor
        death = table.name == "death"
        write: Callable[[Value], Scalar] = last_day if death else first_day
        if anchor is not None:
            write = after_anchor(anchor)

        def days(one: object) -> Lookup:
            slot = self.slot(one)
            return Lookup(slot.codes, self.builder.dates.get(slot.values, death, lambda: lookup(slot, write).values))

        column, *others = map(days, value if isinstance(value, list) else [value])
        for other in others:
            codes = np.where(column.filled(), column.codes, other.codes + len(column.values)).astype(np.int32)
            column = Lookup(codes, [*column.values, *other.values])
        if anchor is not None and not death:
            column = Lookup(column.codes, [one or anchor.isoformat() for one in column.values])
        return column

    def value(self, table: Table, value: object) -> dict[str, Column]:
        slot, concepts = self.slot(value), self.builder.settings.concepts
        conventions = concepts.conventions
        columns: dict[str, Column] = {}
        coded, worded = (any(isinstance(one, kind) for one in slot.values) for kind in (Code, Text | Code))
        quantities = [one for one in slot.values if isinstance(one, Quantity)]
        units = {unit: concepts.coding(Coding("UCUM", unit)).concept_id for unit in {one.unit for one in quantities}}
        compared = any(one.comparator for one in quantities)

        def put(name: str | None, there: bool, write: Callable[[Value], Scalar]) -> None:
            if name and there:
                column = lookup(slot, write)
                if any(one is not None for one in column.values):
                    columns[name] = column

        def comparator(one: Value) -> Scalar:
            return (
                conventions.get(OPERATORS[one.comparator], 0) if isinstance(one, Quantity) and one.comparator else None
            )

        put(table.value_as_number, True, number_of)
        put(
            table.value_as_concept,
            coded,
            lambda one: concepts.resolve(one).concept_id if isinstance(one, Code) else None,
        )
        put(table.value_as_string, worded, lambda one: said(one, 60) if isinstance(one, Text | Code) else None)
        put(table.unit, bool(units), lambda one: units[one.unit] if isinstance(one, Quantity) else None)
        put(table.unit_source_value, bool(units), lambda one: one.unit if isinstance(one, Quantity) else None)
        put(table.operator, compared, comparator)
        put(table.value_source_value, True, lambda one: text_of(one, 50))
        return columns

    def modifies(self, table: Table, value: object) -> dict[str, Column]:
        if not table.event_id or not table.event_field:
            return {}
        link = self.reference(str(value))
        if link is None:
            return {}
        return {table.event_id: link, table.event_field: Reference(link.batch, link.index, link.renderings, True)}

    def column(self, table: Table, name: str, value: object) -> Column:
        known = {column.name for column in table.fields}
        if name not in known:
            raise self.error(f"table {table.name} has no column '{name}'", f"It has {', '.join(sorted(known))}.")
        if isinstance(value, str) and (value.startswith("$self.") or value[1:].partition(".")[0] in self.batch.links):
            return self.reference(value) or Constant(None)
        if isinstance(value, bool | int | float):
            return Constant(value)
        if name.endswith("_concept_id"):
            codes, resolved = self.resolved(value)
            return Lookup(codes, [one.concept_id if one else None for one in resolved])
        slot = self.slot(value)
        datatype = next(column.datatype for column in table.fields if column.name == name)
        if datatype == "date":
            return self.dates(table, value)
        if datatype in ("integer", "float", "bigint", "int"):
            return lookup(slot, _as_number if datatype == "float" else _as_whole)
        width = int(datatype[8:-1]) if datatype.startswith("varchar(") and datatype[8:-1].isdigit() else None
        return lookup(slot, lambda one: _worded(one, name, width))

    def reference(self, text: str) -> Reference | None:
        """`$of`, `$of.rendering` or `$self.rendering` as the integer of a row; None where the link isn't filled."""
        name, _, rendering = text[1:].partition(".")
        if name == "self":
            target, index = self.number, np.arange(len(self.batch), dtype=np.int32)
            built = self.builder.built[self.number]
        elif name in self.batch.links:
            link = self.batch.links[name]
            target, index = link.batch, link.index
            built = self.builder.batch(target)
        else:
            return None
        if not len(self.builder.facts.batches[target]):
            return None
        if not rendering:
            main = self.builder.main(target)
        else:
            place = next(
                n for n, one in enumerate(self.builder.facts.batches[target].pattern.omop) if one.name == rendering
            )
            main = np.full(len(self.builder.facts.batches[target]), -1, dtype=np.int32)
            for one in built:
                if one.rendering == place:
                    main[one.mask] = place
        return Reference(target, index, np.where(index >= 0, main[index], -1).astype(np.int32))


ROLES: dict[str, Callable[[ColumnFiller, Table, object], dict[str, Column]]] = {
    "concept": ColumnFiller.concept,
    "date": ColumnFiller.date,
    "end": ColumnFiller.end,
    "value": ColumnFiller.value,
    "modifies": ColumnFiller.modifies,
}


def _code(value: Value | None) -> Code | None:
    return value if isinstance(value, Code) else None


def _resolve(value: Value | None, concepts: Concepts) -> Resolved | None:
    if value is None or isinstance(value, Missing):
        return None
    if isinstance(value, Code):
        return concepts.resolve(value)
    return Resolved(0, 0, text_of(value, 50) or "")


def _or_zero(column: Column) -> Column:
    if isinstance(column, Lookup):
        return Lookup(column.codes, [0 if value is None else value for value in column.values])
    return column


def _worded(value: Value, column: str, width: int | None) -> Scalar:
    """A value in a column of text; a quantity is its unit in a column of units, else the number with its unit."""
    if not isinstance(value, Quantity) or (column.endswith("_source_value") and "unit" not in column):
        return text_of(value, width)
    return value.unit if "unit" in column else f"{text_of(value)} {value.unit}"[:width]


def _as_number(value: Value) -> Scalar:
    found = number_of(value)
    return int(value.text) if found is None and isinstance(value, Text) and value.text.isdigit() else found


def _as_whole(value: Value) -> Scalar:
    # completed units: who is 50.15 years old on 2000-01-01 was born in 1949
    found = _as_number(value)
    return math.floor(found) if isinstance(found, float) else found
