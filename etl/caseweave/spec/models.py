"""A study as read: sheets, fields, statements and their slots. Frozen; every part knows its line."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from caseweave.spec.expression import Expression, names
from caseweave.spec.pattern import Pattern
from caseweave.spec.valueset import ValueSet
from caseweave.values.dates import DateRules
from caseweave.values.numbers import NumberRules
from caseweave.values.types import Boolean, Code, Coding, Integer, Quantity, Text, Value
from caseweave.values.units import Accepted

FieldType = Literal["id", "code", "number", "integer", "date", "text"]
Limits = tuple[Decimal | None, Decimal | None]


@dataclass(frozen=True, slots=True)
class MissingRules:
    """Which codes say that a value is missing, and why; `emit` asks for them in FHIR."""

    codes: Mapping[str, str] = field(default_factory=dict)
    emit: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The date that stands for day 0 in a study without calendar dates; `age` holds the age on that day."""

    date: datetime.date
    age: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the site comes from: the first group of `matches` in a field, or the field as a whole."""

    field: str
    matches: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A field or statement that stands several times, `$variable` in its name."""

    variable: str
    indices: tuple[str, ...]
    suffix: Mapping[str, str] = field(default_factory=dict)
    gaps: str = "allow"


@dataclass(frozen=True, slots=True)
class Field:
    """What a cell may hold.

    Arguments: `name` as expanded (`lesion_2_size`), `base` as declared (`lesion_$i_size`), `repeat_index` ""
    or "2".
    """

    name: str
    base: str
    file: str
    line: int
    type: FieldType = "text"
    column: str = ""
    aliases: tuple[str, ...] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    help: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    required: bool | Expression = False
    values: str = ""
    valueset: ValueSet | None = None
    unit: str = ""
    accept: Accepted = field(default_factory=dict)
    unit_field: str = ""
    range_warn: Limits | None = None
    range_error: Limits | None = None
    precision: str = ""
    matches: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    ignore: str = ""
    free_text: bool = False
    dates: DateRules | None = None
    numbers: NumberRules | None = None
    means: bool = False
    repeat: Repeat | None = None
    repeat_index: str = ""


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A slot filled from a field; `sheet` is "" for the statement's own, else the sheet that is joined."""

    field: str
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class LinkRef:
    """A slot filled with another statement's fact."""

    sheet: str
    statement: str
    repeat_index: str = ""


@dataclass(frozen=True, slots=True)
class CodeLit:
    """A slot filled with a code, the same in every fact; the first coding is the main one."""

    codings: tuple[Coding, ...]

    @property
    def value(self) -> Value:
        return Code(self.codings)


@dataclass(frozen=True, slots=True)
class TextLit:
    """A slot filled with a literal text."""

    text: str

    @property
    def value(self) -> Value:
        return Text(self.text)


@dataclass(frozen=True, slots=True)
class NumberLit:
    """A slot filled with a literal number, digits as written."""

    number: str

    @property
    def value(self) -> Value:
        return Integer(int(self.number)) if "." not in self.number else Quantity(self.number, "1")


@dataclass(frozen=True, slots=True)
class TruthLit:
    """A slot filled with true or false."""

    truth: bool

    @property
    def value(self) -> Value:
        return Boolean(self.truth)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A slot filled by a table over a field's local values; what isn't in it gives `default` or nothing."""

    field: str
    map: Mapping[str, Value]
    default: Value | None = None
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class Expr:
    """A slot filled with the value of an expression over the row's fields."""

    expression: Expression


Filler = FieldRef | LinkRef | CodeLit | TextLit | NumberLit | TruthLit | Mapped | Expr


def fields_of(filler: Filler) -> frozenset[str]:
    """The fields that a filler reads."""
    match filler:
        case FieldRef() | Mapped():
            return frozenset({filler.field})
        case Expr():
            return names(filler.expression)
    return frozenset()


@dataclass(frozen=True, slots=True)
class Statement:
    """What a row means: a pattern with its slots filled.

    Arguments: `name` as declared (a field's own name where the field `means` it), `repeat_index` "" or "2";
    `id` is the identity (`sheet.name`) that the statement keeps when it is renamed; `key` names the fields
    that tell occurrences apart; `without` names targets it isn't rendered to, `because` of a reason;
    `meant_by` is the field with `means`.
    """

    name: str
    sheet: str
    pattern: Pattern
    slots: Mapping[str, Filler]
    file: str
    line: int
    repeat_index: str = ""
    when: Expression | None = None
    id: str = ""
    key: tuple[str, ...] = ()
    fhir_set: Mapping[str, Any] = field(default_factory=dict)
    omop_set: Mapping[str, Any] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    because: str = ""
    meant_by: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of its sheet that a fact is made of: those of slots, of `when` and of the key."""
        found = {name for filler in self.slots.values() for name in fields_of(filler)}
        return frozenset(found | set(self.key) | (set(names(self.when)) if self.when is not None else set()))

    @property
    def identity(self) -> str:
        """What fact ids are made of: `sheet.name`, with `#2` behind it for the second repeat."""
        return (self.id or f"{self.sheet}.{self.name}") + (f"#{self.repeat_index}" if self.repeat_index else "")


@dataclass(frozen=True, slots=True)
class Join:
    """Another sheet that describes the same rows: its fields can be used as if they were here."""

    sheet: str
    on: str


@dataclass(frozen=True, slots=True)
class Example:
    """A test of the mapping: rows as they would be typed, and what must come out."""

    file: str
    line: int
    rows: Mapping[str, tuple[Mapping[str, Any], ...]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    fhir: Mapping[str, int] = field(default_factory=dict)
    omop: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One tab: `key` is its name in the mapping, `name` the tab's; `row_key` tells its rows apart; `json` says where
    they stand in a document."""

    key: str
    name: str
    file: str
    line: int
    aliases: tuple[str, ...] = ()
    title: Mapping[str, str] = field(default_factory=dict)
    header_rows: int = 1
    grain: str = "one row per patient"
    row_key: tuple[str, ...] = ()
    join: Join | None = None
    json: str = ""
    end: str = "default"
    fields: Mapping[str, Field] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()
    examples: tuple[Example, ...] = ()
    subject_field: str = ""

    @property
    def many_rows(self) -> bool:
        """Whether a patient may have several rows."""
        return self.grain != "one row per patient" or bool(self.row_key)

    def by_role(self, role: str) -> Field | None:
        """The field with a role, where there is one."""
        return next((one for one in self.fields.values() if one.role == role), None)


@dataclass(frozen=True, slots=True)
class Study:
    """A case report form and what it means.

    Arguments: `digest` covers the content of every file used (`files`: name and SHA-256 of each).
    """

    name: str
    version: str
    file: str
    line: int
    folder: str
    title: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    site: Site | None = None
    subject: str = "keyed"
    source: str = "snapshot"
    dates: DateRules = field(default_factory=DateRules)
    numbers: NumberRules = field(default_factory=NumberRules)
    missing: MissingRules = MissingRules()
    systems: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    timepoints: tuple[str, ...] = ()
    anchor: Anchor | None = None
    ignore_sheets: Mapping[str, str] = field(default_factory=dict)
    fhir: Mapping[str, Any] = field(default_factory=dict)
    omop: Mapping[str, Any] = field(default_factory=dict)
    sheets: tuple[Sheet, ...] = ()
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    valuesets: Mapping[str, ValueSet] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()
    digest: str = ""

    def sheet(self, key: str) -> Sheet:
        """A sheet by its key; raises KeyError."""
        return next(sheet for sheet in self.sheets if sheet.key == key) if key in self.sheet_keys else _no_sheet(key)

    @property
    def sheet_keys(self) -> tuple[str, ...]:
        """The keys of the sheets, in their order."""
        return tuple(sheet.key for sheet in self.sheets)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All statements of all sheets, in their order."""
        return tuple(statement for sheet in self.sheets for statement in sheet.statements)


def _no_sheet(key: str) -> Sheet:
    raise KeyError(key)
