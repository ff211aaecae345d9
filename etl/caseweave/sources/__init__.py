"""Reading sources: workbooks and text tables become grids of typed cells, each with its place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from caseweave.errors import SourceError as SourceError
from caseweave.errors import SourceUnsupported
from caseweave.sources.child import Reader
from caseweave.sources.files import DOCUMENTS, READABLE, digest, find_files, kind_of
from caseweave.sources.jsonplan import json_sheets
from caseweave.sources.limits import Limits as Limits
from caseweave.values.grid import Grid as Grid
from caseweave.values.grid import Source as Source

if TYPE_CHECKING:
    from caseweave.spec.models import Study

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def read_sources(
    paths: Paths, *, password: str | None = None, limits: Limits | None = None, study: Study | None = None
) -> list[Source]:
    """Read files, or folders of them, into grids.

    >>> read_sources([])
    []

    Arguments: `paths`, files or folders (.xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv); `password` for
    encrypted workbooks; `limits` on time, memory and size of one file; `study`, which says under `json` of its sheets
    where rows stand in JSON and BSON. Aliases follow the order given.
    Raises SourceUnsupported, SourceDamaged, SourceTooLarge or SourceProtected, with the file and the way out.
    """
    sources: list[Source] = []
    sheets = json_sheets(study) if study else ()
    with Reader(limits) as reader:
        for number, path in enumerate(find_files(paths, documents=bool(sheets)), start=1):
            before, kind = digest(path), kind_of(path)
            if kind in DOCUMENTS and not sheets:
                raise _unsaid(path, kind, study)
            reading = reader.read(path, kind, password, sheets if kind in DOCUMENTS else ())
            if digest(path) != before:
                raise SourceError(
                    path.name, "it changed while it was being read", way_out="Close it in Excel and start again."
                )
            sources.append(
                Source(
                    alias=f"source-{number}",
                    path=str(path),
                    sha256=before,
                    modified=reading.modified,
                    kind=reading.kind,
                    grids=reading.grids,
                    notes=reading.notes,
                )
            )
    return sources


def _unsaid(path: Path, kind: str, study: Study | None) -> SourceUnsupported:
    reason = f"study {study.name} doesn't say where its rows stand" if study else "no study says where its rows stand"
    way_out = "Add `json: {each: ...}` to its sheets" if study else "Name a study whose sheets have `json: {each: ...}`"
    return SourceUnsupported(
        path.name, f"it is {DOCUMENTS[kind]}, and {reason}", way_out=f"{way_out}, or save it as one of {READABLE}."
    )
