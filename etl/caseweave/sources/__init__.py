"""Reading sources: workbooks and text tables become grids of typed cells, each with its place."""

from __future__ import annotations

import datetime
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

    Arguments: `paths`, files or folders (.xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv); `password` for encrypted
    workbooks; `limits` on time, memory and size of one file. Aliases follow the order in which files were given.
    Raises SourceUnsupported, SourceDamaged, SourceTooLarge or SourceProtected, which name the file and the way out.
    """
    sources: list[Source] = []
    with Reader(limits) as reader:
        for number, path in enumerate(find_files(paths), start=1):
            sha256 = digest(path)
            reading = reader.read(path, kind_of(path), password)
            modified = datetime.datetime.fromisoformat(reading.modified) if reading.modified else None
            sources.append(
                Source(f"source-{number}", str(path), sha256, modified, reading.kind, reading.grids, reading.notes)
            )
    return sources
