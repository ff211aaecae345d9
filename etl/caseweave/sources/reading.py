"""Which reader takes which kind of file; this runs inside the child process."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import IO

from caseweave.errors import SourceUnsupported
from caseweave.sources.calamine import read_workbook
from caseweave.sources.child import peak_memory
from caseweave.sources.csvfile import read_csv
from caseweave.sources.limits import Limits
from caseweave.sources.scan import scan_workbook
from caseweave.sources.wire import Reading


def read_file(path: Path, kind: str, password: str | None, limits: Limits) -> Reading:
    """Read one file of a known kind.

    Arguments: the file, its kind as `files.kind_of` names it, a password or None, the limits.
    Raises a SourceError.
    """
    readers = {"csv": _csv, "tsv": _csv} | dict.fromkeys(("xlsx", "xlsm", "xltx", "xltm"), _office)
    if kind not in readers:
        raise SourceUnsupported(path.name, f"no reader takes {kind}", way_out="Save it as .xlsx.")
    return dataclasses.replace(readers[kind](path, kind, password, limits), memory=peak_memory())


def _csv(path: Path, kind: str, password: str | None, limits: Limits) -> Reading:
    grid, notes = read_csv(path, limits, tabs=kind == "tsv")
    return Reading(kind, None, (grid,), notes)


def _office(path: Path, kind: str, password: str | None, limits: Limits) -> Reading:
    return read_office(path, path.name, kind, limits)


def read_office(source: Path | IO[bytes], name: str, kind: str, limits: Limits) -> Reading:
    """Read an Office Open XML workbook from a file or from decrypted bytes."""
    scan = scan_workbook(source, name, limits)
    if not isinstance(source, Path):
        source.seek(0)
    return Reading(kind, scan.modified, read_workbook(source, name, scan.sheets, limits), ())
