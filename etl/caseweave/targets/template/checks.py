"""Conditional formats: what must be filled, what stands twice, and the rules of coherence that Excel can express."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from caseweave.spec.expression import Expression
from caseweave.spec.models import Sheet, Study
from caseweave.targets.template.formulas import Cell, Formulas, Inexpressible, fields_named


class Check(Protocol):
    """A rule: in every row in which `when` holds, `expr` must; `mark` names the field that is marked.

    Arguments: `undecided`, whether a row of which it can't be told is marked.
    """

    @property
    def id(self) -> str: ...
    @property
    def sheet(self) -> str: ...
    @property
    def when(self) -> Expression | None: ...
    @property
    def expr(self) -> Expression | None: ...
    @property
    def by_row(self) -> bool: ...
    @property
    def undecided(self) -> bool: ...
    @property
    def severity(self) -> str: ...
    @property
    def mark(self) -> str: ...
    @property
    def messages(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sheet's columns and rows are.

    Arguments: `tab` its name as formulas write it; `letters` of the columns by field; `first` and `last` data row.
    """

    sheet: Sheet
    tab: str
    letters: Mapping[str, str]
    first: int
    last: int

    def here(self, field: str) -> str:
        """A field's cell in the first data row; the column is fixed, the row moves."""
        return f"${self.letters[field]}{self.first}"

    def range(self, field: str) -> str:
        """All data cells of a field, from any sheet."""
        letter = self.letters[field]
        return f"{self.tab}!${letter}${self.first}:${letter}${self.last}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A conditional format: the cells of `field` get the look of `severity` where the formula is TRUE."""

    field: str
    severity: str
    formula: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Makes the marks of one sheet.

    Arguments: `places` of all sheets; `lists` by value set; `missing` the range of the study's missing codes.
    """

    study: Study
    sheet: Sheet
    places: Mapping[str, Place]
    lists: Mapping[str, str]
    missing: str

    def all(self, rules: Iterable[Check]) -> tuple[list[Mark], dict[str, str]]:
        """All marks of the sheet, most important first, and the rules that Excel can't express, with the reason."""
        marks, left_out = [*self.identity()], {}
        for rule in rules:
            if rule.sheet != self.sheet.key:
                continue
            try:
                if rule.expr is None or not rule.by_row:
                    raise Inexpressible("its rows are judged together")
                used = fields_named(rule.when, rule.expr)
                made = self.formulas(used).flag(rule.when, rule.expr, undecided=rule.undecided)
            except Inexpressible as error:
                left_out[rule.id] = str(error)
                continue
            marks.append(Mark(rule.mark, "error" if rule.severity == "error" else "warning", made))
        return [*marks, *self.required()], left_out

    def formulas(self, used: Iterable[str]) -> Formulas:
        return Formulas({name: self.cell(name) for name in used if self.known(name)}, self.missing)

    def known(self, name: str) -> bool:
        key, dot, rest = name.partition(".")
        return name in self.sheet.fields or bool(dot and key in self.places and rest in self.places[key].letters)

    def cell(self, name: str) -> Cell:
        """Where a name stands; a field of another sheet is looked up by the patient and the keys that both have."""
        if name in self.sheet.fields:
            field = self.sheet.fields[name]
            return Cell(field, self.place.here(name), self.lists.get(field.values, ""))
        key, _, rest = name.partition(".")
        other = self.places[key]
        field = other.sheet.fields[rest]
        keys = [other.sheet.subject_field, *(one for one in other.sheet.row_key if one in self.sheet.fields)]
        mine = [self.sheet.subject_field, *keys[1:]]
        pairs = [(other.range(theirs), self.place.here(own)) for theirs, own in zip(keys, mine, strict=True)]
        found = f"COUNTIFS({','.join(f'{area},{ref}' for area, ref in pairs)})=1"
        if len(pairs) == 1:
            row = f"MATCH({pairs[0][1]},{pairs[0][0]},0)"
        else:
            tests = "*".join(f"({area}={ref})" for area, ref in pairs)
            row = f"SUMPRODUCT({tests}*(ROW({pairs[0][0]})-{other.first - 1}))"
        return Cell(field, f"INDEX({other.range(rest)},{row})", self.lists.get(field.values, ""), found)

    @property
    def place(self) -> Place:
        return self.places[self.sheet.key]

    def identity(self) -> list[Mark]:
        """A patient, or a patient's tumour or visit, that stands twice; a patient whom the first sheet doesn't know."""
        subject, place = self.sheet.subject_field, self.place
        keys = [subject, *(key for key in self.sheet.row_key if key in place.letters)]
        given = ",".join(f'{place.here(key)}<>""' for key in keys)
        counted = ",".join(f"{place.range(key)},{place.here(key)}" for key in keys)
        marks = [Mark(keys[-1], "error", f"AND({given},COUNTIFS({counted})>1)")]
        homes = [one.sheet for one in self.study.statements if one.pattern.name == "patient"]
        home = homes[0] if homes else ""
        if home in self.places and self.sheet.key not in homes and len(homes) == 1:
            known = self.places[home].range(self.study.sheet(home).subject_field)
            here = place.here(subject)
            marks.append(Mark(subject, "error", f'AND({here}<>"",COUNTIF({known},{here})=0)'))
        return marks

    def required(self) -> list[Mark]:
        """Blank cells that must be filled, in rows that have a patient."""
        subject = self.place.here(self.sheet.subject_field)
        marks = []
        for name, field in self.sheet.fields.items():
            if not field.required or field.ignore or name == self.sheet.subject_field:
                continue
            blank = f'{subject}<>"",{self.place.here(name)}=""'
            if field.required is True:
                marks.append(Mark(name, "required", f"AND({blank})"))
                continue
            try:
                needed = self.formulas(fields_named(field.required)).holds(field.required)
            except Inexpressible:
                continue
            marks.append(Mark(name, "required", f"AND({blank},{needed})"))
        return marks


def sheet_name(tab: str) -> str:
    """A tab's name as a formula writes it.

    >>> sheet_name("Follow-up"), sheet_name("O'Neill")
    ("'Follow-up'", "'O''Neill'")
    """
    return "'" + tab.replace("'", "''") + "'"
