"""Workbooks in bulk: calamine reads the cells, the scans before it tell what it leaves out."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from caseweave.errors import SourceDamaged, SourceProtected, SourceTooLarge
from caseweave.sources.encode import GridBuilder
from caseweave.sources.limits import Limits
from caseweave.sources.sheetscan import SheetScan
from caseweave.values.grid import Grid
from caseweave.values.types import CellError

Scans = Mapping[str | int, SheetScan]

# calamine picks its reader by the ending of the name and looks inside only when it knows none
_NAMED_RIGHT = {
    "xlsx": (".xlsx", ".xlsm"),
    "xlsm": (".xlsx", ".xlsm"),
    "xlsb": (".xlsb",),
    "xls": (".xls",),
    "ods": (".ods",),
}
_AGAIN = "Open it in Excel or LibreOffice and save it again."


class Unparsed(SourceDamaged):
    """The bulk reader gave up; a slower one may still manage."""


def read_workbook(source: Path | IO[bytes], name: str, scans: Scans, limits: Limits) -> tuple[Grid, ...]:
    """Read every worksheet of a workbook, in workbook order, hidden ones included.

    Arguments: the file or its decrypted bytes, its name for messages, what the scan found per sheet, the
    limits.
    Raises SourceProtected, SourceDamaged or SourceTooLarge.
    """
    import python_calamine as calamine

    try:
        workbook = calamine.load_workbook(source)
        wanted = [
            (index, entry)
            for index, entry in enumerate(workbook.sheets_metadata)
            if entry.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        return tuple(
            _grid(sheet, entry, scans.get(entry.name) or scans.get(index) or SheetScan(), name, limits)
            for (index, entry), sheet in zip(wanted, _ahead(workbook, [index for index, _ in wanted]), strict=True)
        )
    except calamine.PasswordError as error:
        raise needs_password(name) from error
    except (calamine.CalamineError, OSError) as error:
        raise Unparsed(name, f"the workbook can't be parsed ({_safe(error)})", way_out=_AGAIN) from error


def by_content(path: Path, kind: str) -> Path | IO[bytes]:
    """The file as calamine takes it: by its name where that tells the kind, else as bytes, whose kind it finds out."""
    return path if path.suffix.lower() in _NAMED_RIGHT.get(kind, ()) else io.BytesIO(path.read_bytes())


def _ahead(workbook: Any, indexes: Sequence[int]) -> Iterator[Any]:
    """The sheets in turn; the next one is parsed (in Rust, on another core) while this one is encoded."""
    with ThreadPoolExecutor(max_workers=1) as parser:
        coming = [parser.submit(workbook.get_sheet_by_index, index) for index in indexes[:1]]
        for index in indexes[1:]:
            sheet = coming.pop().result()
            coming.append(parser.submit(workbook.get_sheet_by_index, index))
            yield sheet
        for last in coming:
            yield last.result()


def _grid(sheet: Any, entry: Any, scan: SheetScan, name: str, limits: Limits) -> Grid:
    import python_calamine as calamine

    merged = scan.merged or [(*first, *last) for first, last in sheet.merged_cell_ranges or ()]
    start = sheet.start
    builder = GridBuilder(
        entry.name,
        hidden=entry.visible != calamine.SheetVisibleEnum.Visible,
        merged=tuple(merged),
        offset=start[1] if start else 0,
    )
    if start:
        rows, columns = sheet.end[0] + 1, sheet.end[1] + 1
        if rows * columns > limits.cells:
            raise SourceTooLarge(
                name, f"a sheet makes {rows * columns:,} cells", way_out="Delete what lies beyond the data."
            )
        builder.add_rows(sheet.iter_rows())
    for place, text in sorted(scan.errors.items()):
        builder.put(*place, CellError(text))
    builder.undate(scan.numbers)
    for place, text in scan.percents.items():
        builder.put(*place, text)
    return replace(builder.grid(), struck=tuple(scan.struck))


def needs_password(name: str, *, wrong: bool = False) -> SourceProtected:
    """The error for a workbook that is encrypted."""
    reason = "the password that was given doesn't open it" if wrong else "it is encrypted with a password"
    return SourceProtected(
        name,
        reason,
        way_out="Set CASEWEAVE_WORKBOOK_PASSWORD, give `password=`, or save it without a password.",
    )


def _safe(error: Exception) -> str:
    # calamine quotes parts of the document; a message must not hold what was typed, nor the name of a sheet
    import python_calamine as calamine

    if isinstance(error, calamine.WorksheetNotFound):
        return "a sheet is listed that isn't there"
    text = str(error).split(":")[0].split("'")[0].split('"')[0].strip()
    return text[:60] or type(error).__name__
