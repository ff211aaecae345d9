"""The way back: for each fact of a run, the row it was made of; columns per statement, one folder per run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import FactBatch
from caseweave.plan.tables import Table
from caseweave.run.account import list_sources
from caseweave.run.convert import Conversion
from caseweave.spec.expression import names as names_in
from caseweave.spec.models import LinkRef, Sheet, Statement
from caseweave.values.grid import Source, cell_address, pointer

RUN_FILE = "run.json"
Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Place:
    """Where facts stand in one sheet: zero-based sheet rows (-1: nowhere), and which of the sheet's parts."""

    sheet: str
    rows: Rows
    parts: NDArray[np.uint16]


@dataclass(frozen=True)
class Trail:
    """The lineage of one statement in one run, its arrays opened when they are asked for.

    Arguments: `head` says statement, sheet, pattern, place in the mapping; `cells`, for what which fields are used;
    `slots`, those of them that are slots of the pattern; `joined`, for fields of other sheets, their place of `places`.
    """

    head: dict[str, Any]
    path: Path

    @cached_property
    def ids(self) -> NDArray[np.uint8]:
        """Raw fact ids."""
        with np.load(self.path, allow_pickle=False) as arrays:
            found: NDArray[np.uint8] = arrays["ids"]
        return found

    @cached_property
    def places(self) -> list[Place]:
        """The statement's own sheet first, behind it those that were joined."""
        with np.load(self.path, allow_pickle=False) as arrays:
            return [
                Place(sheet, arrays[f"rows{n}"], arrays[f"parts{n}"]) for n, sheet in enumerate(self.head["places"])
            ]

    @cached_property
    def filled(self) -> dict[str, NDArray[np.bool_]]:
        """In which facts each slot holds something: the cell of one that doesn't was blank, or rejected."""
        with np.load(self.path, allow_pickle=False) as arrays:
            bits = np.unpackbits(arrays["filled"], axis=1, count=len(self.ids)).astype(bool)
        return dict(zip(self.head["slots"], bits, strict=True))


@dataclass(frozen=True)
class RunLineage:
    """The lineage of one run.

    Arguments: `about` holds its study, its sources with their files, and per sheet the names of its tab and which
    column each field stood in, part by part.
    """

    number: int
    folder: Path
    about: dict[str, Any]

    def trails(self, sheet: str = "") -> Iterator[Trail]:
        """The trails of all statements, or of those of one sheet."""
        for path in sorted(self.folder.glob("*.npz")):
            head = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            if not sheet or sheet in head["places"]:
                yield Trail(head, path)

    def file_of(self, alias: str) -> str:
        """The file that an alias stood for."""
        return next(str(one["path"]) for one in self.about["sources"] if one["alias"] == alias)


def address(part: Mapping[str, Any], row: int, column: int) -> str:
    """Where a cell of a sheet's part stands: A1, or the JSON pointer in a document."""
    if part.get("at"):
        return pointer(part["at"][row], *part["keys"][column])
    return cell_address(row, column)


def spots_of(part: Mapping[str, Any], spot: str | tuple[int, int]) -> list[tuple[int, int]]:
    """The rows and columns of a sheet's part that stand at an address; a key above many rows is in all of them."""
    if not isinstance(spot, str):
        return [] if part.get("at") else [spot]
    found = []
    for column, (steps, key) in enumerate(part.get("keys", ())):
        home = spot.removesuffix(key)
        if spot.endswith(key) and home.count("/") == steps:
            found += [(n, column) for n, at in enumerate(part["at"]) if at == home or at.startswith(home + "/")]
    return [(row, column) for row, column in found if part["at"][row] and column in part["columns"].values()]


def runs(folder: Path) -> Iterator[RunLineage]:
    """The lineage of a workspace's runs, the newest first; a run that changed nothing has none of its own."""
    for path in sorted((one for one in folder.glob("*") if one.is_dir() and one.name.isdigit()), reverse=True):
        about = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
        yield RunLineage(int(path.name), path, about)


def write_lineage(folder: Path, run: int, conversion: Conversion, sources: Sequence[Source]) -> None:
    """Write the lineage of a run; it appears whole or not at all."""
    target, part = folder / f"{run:06d}", folder / f"{run:06d}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    by_identity = {statement.identity: statement for statement in conversion.study.statements}
    for number, batch in enumerate(conversion.applied.facts):
        table = conversion.applied.sheets[batch.sheet].table
        head = _head(conversion, batch, by_identity[batch.statement])
        places, head["joined"] = _places(table, batch, head["cells"])
        head["places"] = [one.sheet for one in places]
        arrays: dict[str, Any] = {"ids": batch.ids}
        masks = [batch.slots[name].present() for name in head["slots"]]
        arrays["filled"] = np.packbits(np.array(masks, dtype=bool).reshape(len(masks), len(batch)), axis=1)
        for n, one in enumerate(places):
            arrays[f"rows{n}"], arrays[f"parts{n}"] = one.rows, one.parts
        np.savez(part / f"{number:04d}.npz", **arrays)
        _write(part / f"{number:04d}.json", head)
    _write(part / RUN_FILE, _about(conversion, sources))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _about(conversion: Conversion, sources: Sequence[Source]) -> dict[str, Any]:
    study = conversion.study
    sheets = {}
    for key, facts in conversion.applied.sheets.items():
        sheet = study.sheet(key)
        parts = [
            {"source": one.source, "columns": dict(one.columns), "at": one.grid.at, "keys": one.grid.keys}
            for one in facts.table.parts
        ]
        ignored = {one.name: one.ignore for one in sheet.fields.values() if one.ignore}
        tabs = [sheet.name, *sheet.aliases, *sheet.title.values()]
        sheets[key] = {"tabs": tabs, "ignored": ignored, "parts": parts}
    return {
        "study": {"name": study.name, "version": study.version},
        "sources": list_sources(sources),
        "sheets": sheets,
    }


def _head(conversion: Conversion, batch: FactBatch, statement: Statement) -> dict[str, Any]:
    sheet = conversion.study.sheet(batch.sheet)
    slots = {name: _with_units(sheet, slot.fields) for name, slot in batch.slots.items() if slot.fields}
    key = [*dict.fromkeys((*sheet.row_key, *statement.key))]
    cells = {"subject": [sheet.subject_field], **({"key": key} if key else {}), **slots}
    if statement.when is not None:
        cells["when"] = sorted(names_in(statement.when))
    links = {
        name: f"{filler.sheet}.{filler.statement}"
        for name, filler in statement.slots.items()
        if isinstance(filler, LinkRef)
    }
    return {
        "statement": batch.statement,
        "sheet": batch.sheet,
        "pattern": batch.pattern.name,
        "file": statement.file,
        "line": statement.line,
        "cells": cells,
        "slots": list(slots),
        "links": links,
    }


def _with_units(sheet: Sheet, fields: Sequence[str]) -> list[str]:
    """The fields of a slot, and those that hold their units."""
    units = [one.unit_field for name in fields if (one := sheet.fields.get(name)) and one.unit_field]
    return [*dict.fromkeys((*fields, *units))]


def _places(table: Table, batch: FactBatch, cells: dict[str, list[str]]) -> tuple[list[Place], dict[str, int]]:
    """Where a statement's facts stand: in its own sheet, and in those that its fields were joined from."""
    places = [_place(table, batch.rows)]
    joined: dict[str, int] = {}
    for name in sorted({name for names in cells.values() for name in names} & table.joined.keys()):
        other, rows = table, batch.rows
        while name in other.joined:
            other, there = other.joined[name]
            rows = np.where(rows >= 0, there[rows], -1).astype(np.int32)
        known = next((n for n, one in enumerate(places) if n and one.sheet == other.sheet), None)
        if known is None:
            places.append(_place(other, rows))
            known = len(places) - 1
        joined[name] = known
    return places, joined


def _place(table: Table, rows: Rows) -> Place:
    there = rows >= 0
    part_of = np.where(there, table.part_of[rows], 0) if table.size else np.zeros(len(rows), dtype=np.int32)
    found = np.full(len(rows), -1, dtype=np.int32)
    for number, part in enumerate(table.parts):
        inside = there & (part_of == number)
        found[inside] = part.rows[table.row_in_part[rows[inside]]]
    return Place(table.sheet, found, part_of.astype(np.uint16))
