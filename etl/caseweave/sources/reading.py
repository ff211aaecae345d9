"""Which reader takes which kind of file; this runs inside the child process."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import IO

import olefile

from caseweave.errors import SourceDamaged, SourceUnsupported
from caseweave.sources.calamine import Unparsed, by_content, read_workbook
from caseweave.sources.child import peak_memory
from caseweave.sources.csvfile import read_csv
from caseweave.sources.encrypted import decrypt
from caseweave.sources.files import DOCUMENTS, READABLE, kind_of_zip
from caseweave.sources.jsonfile import read_documents
from caseweave.sources.jsonplan import JsonSheet
from caseweave.sources.limits import Limits
from caseweave.sources.odsscan import scan_open_document, with_mimetype
from caseweave.sources.package import WorkbookScan
from caseweave.sources.scan import scan_workbook
from caseweave.sources.slowpath import read_slowly
from caseweave.sources.wire import Reading
from caseweave.sources.xlsbscan import scan_binary_workbook
from caseweave.sources.xlsscan import is_encrypted, scan_old_workbook
from caseweave.values.grid import Grid

_Scan = Callable[[Path | IO[bytes], str, Limits], WorkbookScan]
_SCANS: dict[str, _Scan] = {
    "xlsx": scan_workbook,
    "xlsm": scan_workbook,
    "xltx": scan_workbook,
    "xltm": scan_workbook,
    "xlsb": scan_binary_workbook,
    "xls": scan_old_workbook,
    "ods": scan_open_document,
}
_OFFICE = ("xlsx", "xlsm", "xltx", "xltm")
_MACROS = ("xlsm", "xltm")


def read_file(
    path: Path, kind: str, password: str | None, limits: Limits, sheets: tuple[JsonSheet, ...] = ()
) -> Reading:
    """Read one file of a known kind.

    Arguments: the file, its kind as `files.kind_of` names it, a password or None, the limits; `sheets` say where rows
    stand in a document.
    Raises a SourceError.
    """
    if kind in ("csv", "tsv"):
        grid, notes = read_csv(path, limits, tabs=kind == "tsv")
        reading = Reading(kind, None, (grid,), notes)
    elif kind in DOCUMENTS:
        reading = Reading(kind, None, *read_documents(path, kind, sheets, limits))
    else:
        source, kind = _opened(path, kind, password)
        reading = _read(source, path.name, kind, limits)
    return dataclasses.replace(reading, memory=peak_memory())


def _read(source: Path | IO[bytes], name: str, kind: str, limits: Limits) -> Reading:
    scan = _SCANS[kind](source, name, limits)
    if isinstance(source, Path):
        source = with_mimetype(source) if kind == "ods" else by_content(source, kind)
    else:
        source.seek(0)
    notes = scan.notes + (("it holds macros, which were not run",) if kind in _MACROS else ())
    try:
        grids = read_workbook(source, name, scan.sheets, limits)
    except Unparsed as error:
        if kind not in _OFFICE:
            raise
        grids = _second_chance(source, scan, error)
        notes += ("it bends its format and was read the slow way",)
    return Reading(kind, scan.modified, grids, notes)


def _second_chance(source: Path | IO[bytes], scan: WorkbookScan, reason: Unparsed) -> tuple[Grid, ...]:
    if not isinstance(source, Path):
        source.seek(0)
    try:
        return read_slowly(source, scan.sheets)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  openpyxl raises whatever it runs into; the first reader's reason is the clearer
        raise reason from None


def _opened(path: Path, kind: str, password: str | None) -> tuple[Path | IO[bytes], str]:
    """The plain workbook and its kind, whatever it was wrapped in."""
    if kind != "ole":
        return path, kind
    if not olefile.isOleFile(str(path)):
        return path, "xls"  # a record stream without a container
    try:
        with olefile.OleFileIO(str(path)) as container:
            encrypted = container.exists("EncryptedPackage")
            old = container.exists("Workbook") or container.exists("Book")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SourceDamaged(
            path.name, "its OLE container can't be read", way_out="Open it in Excel and save it again."
        ) from error
    if encrypted:
        plain: io.BytesIO = decrypt(path, password)
        kind = kind_of_zip(plain, path.name)
        plain.seek(0)
        return plain, kind
    if not old:
        raise SourceUnsupported(
            path.name, "it is an Office document without a workbook in it", way_out=f"Save it as one of {READABLE}."
        )
    return (decrypt(path, password) if is_encrypted(path) else path), "xls"
