"""What Caseweave made of a workbook, to be held against what it makes of the same form typed with care.

The careful twin of a spoilt workbook is the undisturbed example with some of its cells changed in memory, after the
reading: nothing that could misread the spoilt one has touched it. Where both give the same FHIR resources and OMOP
rows, no value was taken for another, none was lost, and none that was refused came through.
"""

from __future__ import annotations

import datetime
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import orjson
from tests.robustness.operators.book import FIRST_ROW, columns, example
from tests.robustness.operators.table import Operator, Said

from caseweave.identity.keyfile import temporary_key
from caseweave.issues import Finding
from caseweave.plan.rows import canonical
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.sources.child import Reader
from caseweave.sources.files import digest, kind_of
from caseweave.sources.sheetscan import column_number
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import open_terms
from caseweave.values.grid import Grid, GridColumn, Source
from caseweave.values.types import Missing, Value

TODAY = datetime.date(2026, 6, 1)
# what the example itself leaves to say
USUAL = {("partial-date", "treatment", "systemic_3_start")}
_KEY = temporary_key("breast")
_ABOUT_THE_RUN = ("cdm_source", "metadata")


def read(reader: Reader, path: Path, password: str | None = None) -> Source:
    """Read a file as `read_sources` does, in a child that serves every test."""
    reading = reader.read(path, kind_of(path), password)
    return Source("source-1", str(path), digest(path), reading.modified, reading.kind, reading.grids, reading.notes)


@cache
def breast() -> Study:
    return load_study("breast")


def converted(source: Source) -> Conversion:
    """The facts and findings of a source."""
    return convert(breast(), [source], key=_KEY, terms=open_terms(), today=TODAY)


@dataclass(frozen=True)
class Told:
    """All that goes out: FHIR resources by type and id, OMOP rows by table."""

    fhir: Mapping[str, bytes]
    omop: Mapping[str, Counter[tuple[object, ...]]]

    def differences(self, other: Told) -> list[str]:
        """What this one says that the other doesn't, and the other way round."""
        found = [
            f"{name}: {self.fhir.get(name, b'-')!r} is not {other.fhir.get(name, b'-')!r}"
            for name in sorted(self.fhir.keys() | other.fhir.keys())
            if self.fhir.get(name) != other.fhir.get(name)
        ]
        for table in sorted(self.omop.keys() | other.omop.keys()):
            mine, theirs = self.omop.get(table, Counter()), other.omop.get(table, Counter())
            found += [f"{table}: more {row}" for row in (mine - theirs)] + [
                f"{table}: less {row}" for row in (theirs - mine)
            ]
        return found

    def __contains__(self, text: str) -> bool:
        return any(text.encode() in one for one in self.fhir.values()) or any(
            isinstance(value, str) and text in value for rows in self.omop.values() for row in rows for value in row
        )


def told(conversion: Conversion) -> Told:
    """Render a conversion in both models."""
    fhir = {}
    for number in range(len(conversion.applied.facts.batches)):
        for kind, _, found in conversion.fhir.resources(number):
            for line in found:
                name = orjson.loads(line)["id"]
                fhir[f"{kind}/{name}"] = line
    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        omop = {
            table: Counter(database.select(f"SELECT * FROM {table}"))
            for table in database.count()
            if table not in _ABOUT_THE_RUN
        }
    return Told(fhir, omop)


@cache
def undisturbed() -> Source:
    """The example as read."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Reader() as reader:
        path = Path(folder) / "form.xlsx"
        path.write_bytes(example())
        return read(reader, path)


@dataclass(frozen=True)
class Made:
    """A conversion, with its facts spelled out; what goes out is rendered when somebody asks."""

    conversion: Conversion
    facts: Mapping[str, tuple[object, ...]]

    @cached_property
    def told(self) -> Told:
        return told(self.conversion)

    def differences(self, other: Made, *, render: bool = False) -> list[str]:
        """Where they don't say the same.

        FHIR and OMOP are rendered from nothing but facts, so that equal facts need no rendering to be compared; with
        `render` it is done nevertheless.
        """
        if self.facts == other.facts and not render:
            return []
        return self.told.differences(other.told) + (["the facts differ"] if self.facts != other.facts else [])


def made(source: Source) -> Made:
    """Convert a source, and spell out its facts: by id what each slot holds, and the facts that it points to."""
    conversion = converted(source)
    facts = conversion.applied.facts
    names = [[row.tobytes().hex() for row in batch.ids] for batch in facts]
    found: dict[str, tuple[object, ...]] = {}
    for batch, ids in zip(facts, names, strict=True):
        slots = [(name, one.codes.tolist(), one.values) for name, one in sorted(batch.slots.items())]
        links = [(name, one.index.tolist(), names[one.batch]) for name, one in sorted(batch.links.items())]
        for n, fact in enumerate(ids):
            found[fact] = (
                batch.statement,
                facts.subjects[batch.subjects[n]],
                tuple((name, _there(values[codes[n]])) for name, codes, values in slots),
                tuple((name, targets[index[n]] if index[n] >= 0 else "") for name, index, targets in links),
            )
    assert len(found) == len(facts)
    return Made(conversion, found)


def _there(value: Value | None) -> Value | None:
    """A value that was declared missing is as good as none: this study tells neither model of it."""
    return None if isinstance(value, Missing) else value


def twin_of(operator: Operator) -> Made:
    """What comes of the example with the cells that an operator names typed as they were meant."""
    return _twin(tuple(sorted(operator.means.items(), key=str)), operator.gone)


@cache
def _twin(means: tuple[tuple[str, Any], ...], gone: tuple[str, ...]) -> Made:
    source = undisturbed()
    grids = {grid.name.casefold(): grid for grid in source.grids}
    for at, value in means:
        name, _, row = at.partition("@")
        sheet = name.partition(".")[0]
        grids[sheet] = _with(grids[sheet], int(row or FIRST_ROW) - 1, column_number(columns()[name]), value)
    for one in gone:
        sheet, _, row = one.partition("@")
        if not row:
            del grids[sheet]
            continue
        for column in range(grids[sheet].width):
            grids[sheet] = _with(grids[sheet], int(row) - 1, column, None)
    return made(replace(source, grids=tuple(grids.values())))


def _with(grid: Grid, row: int, column: int, value: Any) -> Grid:
    """A grid with another value in one cell; columns that it hasn't got grow."""
    columns = list(grid.columns)
    while len(columns) <= column:
        columns.append(GridColumn(array("I", bytes(4 * grid.height)), [None]))
    codes, distinct = array("I", columns[column].codes), list(columns[column].distinct)
    codes[row] = 0 if value is None else len(distinct)
    columns[column] = GridColumn(codes, distinct if value is None else [*distinct, value])
    return replace(grid, columns=tuple(columns), width=len(columns))


def spoken(findings: list[Finding]) -> tuple[Counter[tuple[str, str, str]], list[Finding]]:
    """Findings as (rule, severity, place), without those that the example has; and all those."""
    mine = [one for one in findings if (one.rule, one.sheet, one.field) not in USUAL]
    return Counter((one.rule, one.severity, one.place) for one in mine), mine


def expected(operator: Operator) -> Counter[tuple[str, str, str]]:
    """The findings that an operator must cause."""
    return Counter((one.rule, one.severity, one.at or "") for one in operator.says)


def finding_of(said: Said, findings: list[Finding]) -> Finding:
    """The finding that was asked for."""
    return next(one for one in findings if (one.rule, one.severity, one.place) == (said.rule, said.severity, said.at))


def value_at(conversion: Conversion, at: str) -> str:
    """What was read in a cell of the example's row, as text."""
    name, _, row = at.partition("@")
    sheet, _, field = name.partition(".")
    facts = conversion.applied.sheets[sheet]
    for n in range(facts.table.size):
        part = facts.table.parts[facts.table.part_of[n]]
        if int(part.rows[facts.table.row_in_part[n]]) == int(row or FIRST_ROW) - 1:
            column = facts.columns[field].column
            return canonical(column.values[column.codes[n]])
    raise AssertionError(f"row {row} of {sheet} was not read")
