"""The way back: for each fact of a run, the row it was made of; columns per statement, one folder per run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import FactBatch
from caseweave.run.convert import Conversion
from caseweave.spec.models import LinkRef, Statement
from caseweave.targets.records import raw_ids


@dataclass(frozen=True)
class Trail:
    """The lineage of one statement in one run.

    Arguments: `ids` raw fact ids; `rows` zero-based sheet rows; `parts` which of the sources each row is in;
    `head` says the rest: statement, pattern, place in the mapping, and per source the columns of the fields used.
    """

    head: dict[str, Any]
    ids: NDArray[np.uint8]
    rows: NDArray[np.uint32]
    parts: NDArray[np.uint16]


def write_lineage(folder: Path, run: int, conversion: Conversion) -> None:
    """Write the lineage of a run; it appears whole or not at all."""
    target, part = folder / f"{run:06d}", folder / f"{run:06d}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    by_identity = {statement.identity: statement for statement in conversion.study.statements}
    for number, batch in enumerate(conversion.applied.facts):
        table = conversion.applied.sheets[batch.sheet].table
        part_of = table.part_of[batch.rows]
        rows = np.zeros(len(batch), dtype=np.uint32)
        for place, one in enumerate(table.parts):
            inside = part_of == place
            rows[inside] = one.rows[table.row_in_part[batch.rows[inside]]]
        np.savez(part / f"{number:04d}.npz", ids=raw_ids(batch.ids), rows=rows, parts=part_of.astype(np.uint16))
        head = _head(conversion, batch, by_identity[batch.statement])
        (part / f"{number:04d}.json").write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)


def _head(conversion: Conversion, batch: FactBatch, statement: Statement) -> dict[str, Any]:
    table = conversion.applied.sheets[batch.sheet].table
    sheet = conversion.study.sheet(batch.sheet)
    slots = {name: list(slot.fields) for name, slot in batch.slots.items() if slot.fields}
    used = sorted({sheet.subject_field, *sheet.row_key, *(field for fields in slots.values() for field in fields)})
    sources = [
        {"source": part.source, "columns": {name: part.columns[name] for name in used if name in part.columns}}
        for part in table.parts
    ]
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
        "slots": slots,
        "links": links,
        "sources": sources,
    }


def trails(folder: Path) -> Iterator[Trail]:
    """All trails of a workspace, those of the newest run first."""
    for run in sorted((path for path in folder.glob("*") if path.is_dir() and path.suffix != ".part"), reverse=True):
        for path in sorted(run.glob("*.npz")):
            with np.load(path, allow_pickle=False) as arrays:
                head = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                yield Trail(head, arrays["ids"], arrays["rows"], arrays["parts"])
