"""A form that nobody filled: every value of every field, together and alone, to prove a study with."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from caseweave.plan.lint.domain import literals, of_field
from caseweave.run.examples import source_of
from caseweave.spec.expression import Expression, names
from caseweave.spec.models import Example, Expr, Field, Sheet, Statement, Study, fields_of
from caseweave.values.grid import Source
from caseweave.values.types import Boolean, Code, Integer, Missing, PartialDate, Quantity, Text, Value

MIXED = 150  # patients with a bit of everything
BLANK = 0.3  # of their cells
ALONE = 12  # values of each field that stand alone with what their statement needs
Cells = Mapping[str, Sequence[Any]]
Row = dict[str, Any]


def synthetic_form(study: Study) -> tuple[Study, Source]:
    """Fill a form of a study; the study comes back with every patient id and number allowed.

    >>> from caseweave.spec.loader import load_study
    >>> study, source = synthetic_form(load_study("hcc-tace"))
    >>> source.grids[0].height > 100
    True

    Each patient has one row in each sheet: first all fields filled, until every value was there once; then for each
    statement only the fields it can't do without; then mixtures, the same ones every time.
    """
    open_study = replace(study, site=None, sheets=tuple(_open(sheet) for sheet in study.sheets))
    cells = {sheet.key: {name: _cells(study, one) for name, one in _asked(sheet)} for sheet in study.sheets}
    patients = [*_full(cells), *_alone(study, cells), *_mixed(study, cells)]
    rows: dict[str, list[Row]] = {sheet.key: [] for sheet in study.sheets}
    for number, patient in enumerate(patients):
        for sheet in study.sheets:
            row = {name: cell for name, cell in patient.get(sheet.key, {}).items() if cell is not None}
            keys = {name: cells[sheet.key][name][0] for name in sheet.row_key if cells[sheet.key].get(name)}
            rows[sheet.key].append({**row, **keys, sheet.subject_field: f"synthetic-{number}"})
    example = Example(study.file, study.line, {key: tuple(found) for key, found in rows.items()})
    return open_study, source_of(open_study, example)


def _open(sheet: Sheet) -> Sheet:
    """A sheet whose texts may be anything: ids have a form of their own in each study."""
    return replace(sheet, fields={name: replace(one, matches="") for name, one in sheet.fields.items()})


def _asked(sheet: Sheet) -> Iterator[tuple[str, Field]]:
    for name, field in sheet.fields.items():
        if not field.ignore and name != sheet.subject_field:
            yield name, field


def _cells(study: Study, field: Field) -> list[Any]:
    """What can be typed into a field, every value once."""
    numbers, texts = literals(_expressions(study))
    found = [_typed(field, value) for value in of_field(study, field, numbers, texts) if value is not None]
    plain = [one for one in found if one is not None]
    # declared missing codes last: the first value of a field is one that means something
    missing = {*study.missing.codes, *field.missing}
    return sorted(dict.fromkeys(plain), key=lambda one: str(one) in missing)


def _expressions(study: Study) -> list[Expression]:
    found = [one.when for one in study.statements if one.when is not None]
    return [*found, *(f.expression for one in study.statements for f in one.slots.values() if isinstance(f, Expr))]


def _typed(field: Field, value: Value) -> Any:
    match value:
        case Code() | Missing():
            return value.local or None
        case Quantity():
            return float(value.number)
        case Integer():
            return value.number
        case PartialDate():
            return datetime.date.fromisoformat(value.iso) if len(value.iso) == 10 else value.iso
        case Boolean():
            return "yes" if value.truth else "no"
        case Text():
            # a text field that is asked for a unit holds one, else it holds words
            return value.text if value.text.isprintable() else "some words"


def _full(cells: Mapping[str, Cells]) -> Iterator[dict[str, Row]]:
    """All fields filled, as often as the longest list of values is long."""
    most = max((len(values) for fields in cells.values() for values in fields.values()), default=1)
    for turn in range(most):
        yield {
            sheet: {name: values[turn % len(values)] for name, values in fields.items() if values}
            for sheet, fields in cells.items()
        }


def _alone(study: Study, cells: Mapping[str, Cells]) -> Iterator[dict[str, Row]]:
    """For each statement the fields that its required slots and its condition need, and nothing else."""
    patient = next((one for one in study.statements if one.pattern.name == "patient"), None)
    for statement in study.statements:
        wanted = [_needed(study, one) for one in (patient, statement) if one is not None]
        most = max((len(cells[key][name]) for here in wanted for key, name in here if name in cells[key]), default=1)
        for turn in range(min(most, ALONE)):
            row: dict[str, Row] = {}
            for key, name in (spot for here in wanted for spot in here):
                values = cells[key].get(name)
                if values:
                    row.setdefault(key, {})[name] = values[turn % len(values)]
            yield row


def _needed(study: Study, statement: Statement) -> list[tuple[str, str]]:
    required = [statement.slots[name] for name in statement.pattern.required if name in statement.slots]
    found = [name for filler in required for name in fields_of(filler)]
    if statement.when is not None:
        found.extend(names(statement.when))
    sheet = study.sheet(statement.sheet)
    units = [sheet.fields[name].unit_field for name in found if name in sheet.fields]
    return [(statement.sheet, name) for name in dict.fromkeys([*found, *units]) if name]


def _mixed(study: Study, cells: Mapping[str, Cells]) -> Iterator[dict[str, Row]]:
    """Some fields filled with some values; the seed is the study's name, so that a fault is found every time."""
    dice = random.Random(study.name)
    for _ in range(MIXED):
        yield {
            sheet: {
                name: None if dice.random() < BLANK else dice.choice(values)
                for name, values in fields.items()
                if values
            }
            for sheet, fields in cells.items()
        }
