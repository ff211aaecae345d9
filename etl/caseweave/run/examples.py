"""The examples of a mapping, run: rows as they would be typed, through the plan into both targets, in memory."""

from __future__ import annotations

import datetime
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from caseweave.identity.keyfile import temporary_key
from caseweave.plan.facts import FactBatch
from caseweave.plan.layout import names_of, normal
from caseweave.plan.lint import Outcome, RunExample
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.spec.models import Example, Sheet, Study
from caseweave.spec.yamlfile import Real
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import Terms
from caseweave.values.grid import Grid, GridColumn, RawCell, Source
from caseweave.values.types import Value


def example_runner(terms: Terms, today: datetime.date | None = None) -> RunExample:
    """The way to run an example, for `caseweave.plan.lint.lint`.

    Arguments: `terms`, the vocabularies; `today`, after which dates lie in the future.
    """

    def run(study: Study, example: Example) -> Outcome:
        source = source_of(study, example)
        conversion = convert(study, [source], key=temporary_key(study.project or study.name), terms=terms, today=today)
        return outcome_of(conversion, next(iter(example.rows)))

    return run


def source_of(study: Study, example: Example) -> Source:
    """The file in which the rows of an example would stand, with every column of its sheets."""
    grids = tuple(_grid(study.sheet(key), rows) for key, rows in example.rows.items())
    # a csv need not hold every sheet of its study
    return Source(alias="example", path=example.file, sha256="", modified=None, kind="csv", grids=grids)


def _grid(sheet: Sheet, rows: Sequence[Mapping[str, Any]]) -> Grid:
    """A sheet that holds every field in use, and whatever else a row of the example names."""
    known = {normal(name): one.name for one in reversed(list(sheet.fields.values())) for name in names_of(one)}
    typed = [{known.get(normal(name), name): value for name, value in row.items()} for row in rows]
    used = [*dict.fromkeys(name for row in typed for name in row)]
    names = [one.name for one in sheet.fields.values() if not one.ignore or one.name in used]
    heads = {one.name: one.column or one.name for one in sheet.fields.values()}
    below: list[RawCell] = [None] * (sheet.header_rows - 1)
    columns = [
        [heads.get(name, name), *below, *(_typed(row.get(name)) for row in typed)]
        for name in dict.fromkeys((*names, *used))
    ]
    height = sheet.header_rows + len(rows)
    return Grid(sheet.name, False, height, len(columns), tuple(_column(cells) for cells in columns))


def _typed(value: Any) -> RawCell:
    # the digits of 4.30 are the form's: text keeps them, and every number field reads text
    return value.text if isinstance(value, Real) else value


def _column(cells: Sequence[RawCell]) -> GridColumn:
    numbers: dict[tuple[type, RawCell], int] = {(type(None), None): 0}
    codes = array("I", (numbers.setdefault((type(cell), cell), len(numbers)) for cell in cells))
    return GridColumn(codes, [cell for _, cell in numbers])


def outcome_of(conversion: Conversion, sheet: str) -> Outcome:
    """What came out of an example; statements of its own `sheet` also go by their bare names.

    A fact's value is its slot `value`, else the first slot of its pattern that is filled: a size, a drug, a code.
    """
    facts: dict[str, Value | None] = {}
    fhir: Counter[str] = Counter()
    for number, batch in enumerate(conversion.applied.facts):
        if len(batch):
            value = _value(batch)
            facts.setdefault(batch.statement, value)
            if batch.sheet == sheet:
                facts.setdefault(batch.statement.partition(".")[2], value)
        for resource_type, _, lines in conversion.fhir.resources(number):
            fhir[resource_type] += len(lines)
    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        omop = database.count()
    return Outcome(facts, fhir, omop, tuple(finding.rule for finding in conversion.findings))


def _value(batch: FactBatch) -> Value | None:
    filled = (batch.slots[name] for name in ("value", *batch.pattern.slots) if name in batch.slots)
    return next((value for slot in filled if (value := slot.values[slot.codes[0]]) is not None), None)
