"""The second chance of a workbook that the bulk reader can't parse: openpyxl, slower and more forgiving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from caseweave.sources.encode import GridBuilder
from caseweave.sources.sheetscan import SheetScan
from caseweave.values.grid import Grid
from caseweave.values.types import CellError


def read_slowly(source: Path | IO[bytes], scans: dict[str | int, SheetScan]) -> tuple[Grid, ...]:
    """Read an Office Open XML workbook with openpyxl; raises whatever openpyxl runs into.

    Arguments: the file or its bytes, and what the scan found per sheet name.
    """
    import openpyxl

    workbook = openpyxl.load_workbook(source, data_only=True)
    return tuple(_read_sheet(sheet, scans.get(sheet.title) or SheetScan()) for sheet in workbook.worksheets)


def _read_sheet(sheet: Any, scan: SheetScan) -> Grid:
    builder = GridBuilder(sheet.title, hidden=sheet.sheet_state != "visible", merged=tuple(scan.merged))
    builder.add_rows(_rows(sheet))
    for (row, column), text in sorted(scan.errors.items()):
        builder.put(row, column, CellError(text))
    for place, shown in scan.percents.items():
        builder.put(*place, shown)
    return replace(builder.grid(), struck=tuple(scan.struck))


def _rows(sheet: Any) -> Iterator[list[Any]]:
    for cells in sheet.iter_rows(min_row=1, min_col=1):
        yield [_value(cell) for cell in cells]


def _value(cell: Any) -> Any:
    if cell.value is None:
        return ""
    return CellError(cell.value) if cell.data_type == "e" else cell.value
