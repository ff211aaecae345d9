"""Reading sources: workbooks and text tables become grids of typed cells, each with its place."""

from __future__ import annotations

import os
from collections.abc import Iterable

from caseweave.errors import SourceError as SourceError
from caseweave.sources.child import Reader
from caseweave.sources.files import digest, find_files, kind_of
from caseweave.sources.limits import Limits as Limits
from caseweave.values.grid import Grid as Grid
from caseweave.values.grid import Source as Source

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def read_sources(paths: Paths, *, password: str | None = None, limits: Limits | None = None) -> list[Source]:
    """Read files, or folders of them, into grids.

    >>> read_sources([])
    []

    Arguments: `paths`, files or folders (.xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv); `password` for
    encrypted workbooks; `limits` on time, memory and size of one file. Aliases follow the order given.
    Raises SourceUnsupported, SourceDamaged, SourceTooLarge or SourceProtected, with the file and the way out.
    """
    sources: list[Source] = []
    with Reader(limits) as reader:
        for number, path in enumerate(find_files(paths), start=1):
            before = digest(path)
            reading = reader.read(path, kind_of(path), password)
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
