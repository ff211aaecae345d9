"""The way of a value: from a resource, a row or a cell to the cells, the mapping, and everything made of them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caseweave.errors import UsageError
from caseweave.plan.layout import normal
from caseweave.run.held import Held, Holdings, fact_bytes, fact_text, fhir_holdings, omop_holdings
from caseweave.run.lineage import RunLineage, Trail, address, runs, spots_of
from caseweave.run.workspace import Workspace
from caseweave.targets.omop.ddl import VOCABULARY_TABLES
from caseweave.values.grid import column_letters

LARGEST_INTEGER = 2**31 - 1
FHIR_REF = re.compile(r"(?P<type>[A-Za-z]+)/(?P<fact>[a-z2-7]{32})(?P<rendering>-[A-Za-z0-9.-]+)?")
OMOP_REF = re.compile(r"(?P<table>[A-Za-z_]+):(?P<integer>\d+)")
CELL_REF = re.compile(
    r"(?:(?P<source>source-\d+):)?(?P<sheet>[^!]+|.+)"
    r"!(?:\$?(?P<column>[A-Za-z]{1,3})\$?(?P<row>[1-9]\d*)|(?P<pointer>/.*))"
)
FORMS = (
    "A REF is Observation/<id>, measurement:12, or Diagnosis!B7 (source-2:Diagnosis!B7 where several files have it; in "
    "JSON Diagnosis!/patients/3/er)."
)
# rows that no fact makes alone, and what to trace instead
DERIVED = {
    "observation_period": "It spans all dates of a patient: trace the rows of that person.",
    "cdm_source": "It describes the database, not a patient.",
    "metadata": "It describes the database, not a patient.",
}


@dataclass(frozen=True, slots=True)
class CellUse:
    """One cell that a fact was made of, and for what: a slot of the pattern, `subject`, `key` or `when`."""

    slot: str
    field: str
    sheet: str
    cell: str


@dataclass(frozen=True, slots=True)
class Way:
    """One fact's way from the cells to the outputs.

    Arguments: `run` made it out of `file`, which `source` stands for; `links` gives the statements that its slots point
    to; without `fhir` and `omop` nothing is held of it (any more).
    """

    fact: str
    statement: str
    pattern: str
    mapping: str
    run: int
    source: str
    file: str
    cells: tuple[CellUse, ...]
    links: Mapping[str, str]
    subject: str = ""
    fhir: tuple[str, ...] = ()
    omop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellSpot:
    """What a cell is: its field ("" where its column has none), why it is ignored, what is wrong with it."""

    run: int
    source: str
    file: str
    sheet: str
    cell: str
    field: str
    ignored: str
    findings: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer: `cells` where the question was about a cell, and the ways of all facts it touches."""

    ref: str
    cells: tuple[CellSpot, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class _Targets:
    fhir: Holdings
    omop: Holdings


def trace(workspace: Workspace, ref: str) -> Trace:
    """Follow a resource, a row or a cell through a workspace.

    Arguments: `ref`, `Observation/<id>`, `measurement:12` (any table and its integer; of `death` the person's),
    or `Diagnosis!B7` (a sheet's key or tab). The answer names files, so it stays at home. Raises UsageError where
    there is no such thing, saying what was looked for.
    """
    with fhir_holdings(workspace) as fhir, omop_holdings(workspace) as omop:
        targets = _Targets(fhir, omop)
        if found := CELL_REF.fullmatch(ref):
            return _of_cell(workspace, targets, ref, found)
        if found := FHIR_REF.fullmatch(ref):
            return _of_resource(workspace, targets, ref, found["fact"])
        if found := OMOP_REF.fullmatch(ref):
            return _of_row(workspace, targets, ref, found["table"].lower(), int(found["integer"]))
        if raw := fact_bytes(ref):
            return Trace(ref, (), _ways(workspace, targets, raw, ""))
    raise UsageError(f"'{ref}' names no resource, row or cell.", way_out=FORMS)


def _of_resource(workspace: Workspace, targets: _Targets, ref: str, fact: str) -> Trace:
    raw = fact_bytes(fact) or b""
    held = targets.fhir.of_fact(raw)
    if held and ref not in {one.name for one in held}:
        others = ", ".join(sorted({one.name for one in held}))
        raise UsageError(f"There is no {ref} here.", way_out=f"The fact of that id has {others}.")
    return Trace(ref, (), _ways(workspace, targets, raw, held[0].subject if held else ""))


def _of_row(workspace: Workspace, targets: _Targets, ref: str, table: str, integer: int) -> Trace:
    kinds = {name: kind for kind, name in targets.omop.names.items()}
    if table in DERIVED:
        raise UsageError(f"No single cell stands behind {ref}.", way_out=DERIVED[table])
    if table in VOCABULARY_TABLES:
        raise UsageError(f"{ref} is of the vocabulary: no cell stands behind it.", way_out=FORMS)
    if table not in kinds:
        raise UsageError(f"OMOP has no table '{table}'.", way_out=FORMS)
    held = targets.omop.of_integer(kinds[table], integer) if integer <= LARGEST_INTEGER else []
    if not held:
        raise UsageError(
            f"No fact of this workspace has the row {ref}.",
            way_out=f"Look for its integer in table {table} of {workspace.omop}.",
        )
    facts = dict.fromkeys((one.fact, one.subject) for one in held)
    ways = [way for fact, subject in facts for way in _ways(workspace, targets, fact, subject)]
    return Trace(ref, (), tuple(ways))


def _ways(workspace: Workspace, targets: _Targets, fact: bytes, subject: str) -> tuple[Way, ...]:
    """The ways of one fact, out of the newest run that made it."""
    held = _held(targets, [fact], subject)
    raw = np.frombuffer(fact, dtype=np.uint8)
    for run in runs(workspace.lineage):
        # what is held tells the sheet, so that only its statements are opened
        for sheet in sorted({one.sheet for one in held[fact]}) or [""]:
            ways = [
                _way(run, trail, int(n))
                for trail in run.trails(sheet)
                for n in np.flatnonzero((trail.ids == raw).all(axis=1))
            ]
            if ways:
                return tuple(_with_outputs(way, held[fact]) for way in ways)
    raise UsageError(
        f"No run of this workspace made a fact of the id {fact_text(fact)}.",
        way_out="Take the id from one of its files in fhir/.",
    )


def _held(targets: _Targets, facts: Sequence[bytes], subject: str) -> dict[bytes, list[Held]]:
    """What both targets hold of facts of one patient: once it is known whose they are, only that one is searched."""
    found: dict[bytes, list[Held]] = {}
    for fact in facts:
        found[fact] = []
        for target in (targets.fhir, targets.omop):
            held = target.of_fact(fact, subject)
            subject = subject or (held[0].subject if held else "")
            found[fact].extend(held)
    return found


def _way(run: RunLineage, trail: Trail, number: int) -> Way:
    head, sheets = trail.head, run.about["sheets"]
    uses = []
    for slot, fields in head["cells"].items():
        if slot in trail.filled and not trail.filled[slot][number]:
            continue
        for field in fields:
            place = trail.places[head["joined"].get(field, 0)]
            part = sheets[place.sheet]["parts"][int(place.parts[number])]
            row, column = int(place.rows[number]), part["columns"].get(field)
            if row >= 0 and column is not None:
                uses.append(CellUse(slot, field, place.sheet, address(part, row, column)))
    source = sheets[head["sheet"]]["parts"][int(trail.places[0].parts[number])]["source"]
    return Way(
        fact=fact_text(trail.ids[number].tobytes()),
        statement=head["statement"],
        pattern=head["pattern"],
        mapping=f"{head['file']}:{head['line']}",
        run=run.number,
        source=source,
        file=run.file_of(source),
        cells=tuple(uses),
        links=head["links"],
    )


def _with_outputs(way: Way, held: Sequence[Held]) -> Way:
    return replace(
        way,
        subject=held[0].subject if held else "",
        fhir=tuple(sorted({one.name for one in held if "/" in one.name})),
        omop=tuple(sorted({one.name for one in held if "/" not in one.name})),
    )


# a cell


def _of_cell(workspace: Workspace, targets: _Targets, ref: str, found: re.Match[str]) -> Trace:
    wanted = normal(found["sheet"].strip("'"))
    spot = found["pointer"] or (int(found["row"]) - 1, _column_number(found["column"]))
    known: dict[str, None] = {}
    for run in runs(workspace.lineage):
        for sheet, about in run.about["sheets"].items():
            known[sheet] = None
            if wanted not in {normal(one) for one in (sheet, *about["tabs"])}:
                continue
            parts = {n: one for n, one in enumerate(about["parts"]) if found["source"] in (None, one["source"])}
            cells = [(n, *place) for n, part in parts.items() for place in spots_of(part, spot)]
            spots = [
                _spot(workspace, run, sheet, parts[n], row, column)
                for place, (n, row, column) in enumerate(cells)
                if place == 0 or cells[place - 1][0] != n  # one address, whatever rows it stands above
            ]
            ways = [way for n, row, column in cells for way in _ways_of_cell(run, targets, sheet, n, row, column)]
            spots = [one for one in spots if one.field or one.findings]
            if spots:
                return Trace(ref, tuple(spots), tuple(ways))
            if parts:
                what = found["pointer"] or f"Column {found['column'].upper()}"
                raise UsageError(
                    f"{what} of sheet {sheet} holds no field of the mapping.",
                    way_out=f"Its fields: {_columns(parts)}.",
                )
    where = f" of {found['source']}" if found["source"] else ""
    raise UsageError(
        f"No run of this workspace read a sheet '{found['sheet']}'{where}.",
        way_out=f"Its sheets: {', '.join(known)}.",
    )


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _columns(parts: Mapping[int, Mapping[str, Any]]) -> str:
    columns = {
        (column, part["keys"][column][1] if part.get("at") else column_letters(column)): name
        for part in parts.values()
        for name, column in part["columns"].items()
    }
    return ", ".join(f"{where} {name}" for (_, where), name in sorted(columns.items()))


def _spot(
    workspace: Workspace, run: RunLineage, sheet: str, part: Mapping[str, Any], row: int, column: int
) -> CellSpot:
    field = next((name for name, place in part["columns"].items() if place == column), "")
    source, cell = part["source"], address(part, row, column)
    file = next(one for one in run.about["sources"] if one["alias"] == source)
    return CellSpot(
        run=run.number,
        source=source,
        file=file["path"],
        sheet=sheet,
        cell=cell,
        field=field,
        ignored=run.about["sheets"][sheet]["ignored"].get(field, ""),
        findings=tuple(
            one for one in _findings(workspace, file["sha256"]) if (one["sheet"], one["cell"]) == (sheet, cell)
        ),
    )


def _findings(workspace: Workspace, sha256: str) -> Iterator[Mapping[str, str]]:
    """The findings of the last run or check in a file with this content."""
    with contextlib.suppress(FileNotFoundError):
        sources = json.loads((workspace.private / "sources.json").read_text(encoding="utf-8"))
        aliases = {one["alias"] for one in sources if one["sha256"] == sha256}
        for one in json.loads((workspace.root / "findings.json").read_text(encoding="utf-8")):
            if one["source"] in aliases:
                yield one


def _ways_of_cell(run: RunLineage, targets: _Targets, sheet: str, part: int, row: int, column: int) -> Iterator[Way]:
    """The ways of all facts that a cell took part in; one row is one patient's."""
    cell = address(run.about["sheets"][sheet]["parts"][part], row, column)
    ways = []
    for trail in run.trails(sheet):
        place = next(one for one in trail.places if one.sheet == sheet)
        for n in np.flatnonzero((place.rows == row) & (place.parts == part)):
            way = _way(run, trail, int(n))
            if any((one.sheet, one.cell) == (sheet, cell) for one in way.cells):
                ways.append(way)
    held = _held(targets, [fact_bytes(one.fact) or b"" for one in ways], "")
    for way in ways:
        yield _with_outputs(way, held[fact_bytes(way.fact) or b""])
