"""Other people's readers, as judges of ours: openpyxl for the XML formats, xlrd for xls, pyxlsb for xlsb."""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caseweave.sources import Grid
from caseweave.values.grid import cell_address
from caseweave.values.types import CellError

Cells = dict[tuple[int, int], Any]
Difference = tuple[str, str, str, str]  # sheet, cell, ours, theirs
NO_VALUE = "formula without a cached value"
_ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}


@dataclass
class Sheet:
    """One sheet as the judge reads it; `hidden` and `merged` are None where it doesn't tell."""

    cells: Cells
    hidden: bool | None = None
    merged: set[tuple[int, int, int, int]] | None = None
    formulas: set[tuple[int, int]] = field(default_factory=set)


def openpyxl_sheets(path: Path) -> dict[str, Sheet]:
    """Worksheets by openpyxl, read twice: for values, and to know which cells hold formulas."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = openpyxl.load_workbook(path, data_only=True)
        formulas = openpyxl.load_workbook(path)
    found = {}
    for sheet in values.worksheets:
        cells = {(cell.row - 1, cell.column - 1): _of_openpyxl(cell) for row in sheet.iter_rows() for cell in row}
        with_formula = {
            (cell.row - 1, cell.column - 1)
            for row in formulas[sheet.title].iter_rows()
            for cell in row
            if cell.data_type == "f"
        }
        merged = {(r.min_row - 1, r.min_col - 1, r.max_row - 1, r.max_col - 1) for r in sheet.merged_cells.ranges}
        found[sheet.title] = Sheet(_filled(cells), sheet.sheet_state != "visible", merged, with_formula)
    return found


def _of_openpyxl(cell: Any) -> Any:
    if cell.data_type == "n" and isinstance(cell.value, (int, float)):
        return Percent(cell.value) if "%" in cell.number_format.replace('" %"', "") else cell.value
    return CellError(cell.value) if cell.data_type == "e" and cell.value is not None else cell.value


def xlrd_sheets(path: Path) -> dict[str, Sheet]:
    """Worksheets by xlrd."""
    import xlrd

    book = xlrd.open_workbook(path, logfile=io.StringIO())
    convert: dict[int, Callable[[Any], Any]] = {
        xlrd.XL_CELL_ERROR: lambda code: CellError(_ERRORS[code]),
        xlrd.XL_CELL_BOOLEAN: bool,
        xlrd.XL_CELL_DATE: Serial,
        xlrd.XL_CELL_NUMBER: Number,
    }
    found = {}
    for sheet in book.sheets():
        cells = {
            (row, column): convert.get(cell.ctype, lambda value: value)(cell.value)
            for row in range(sheet.nrows)
            for column, cell in enumerate(sheet.row(row))
        }
        found[sheet.name] = Sheet(_filled(cells), sheet.visibility != 0)
    return found


def pyxlsb_sheets(path: Path) -> dict[str, Sheet]:
    """Worksheets by pyxlsb, which gives dates as numbers and errors as texts of their code."""
    import pyxlsb

    found = {}
    with pyxlsb.open_workbook(str(path)) as book:
        for number, name in enumerate(book.sheets, start=1):
            with book.get_sheet(number) as sheet:
                cells = {(cell.r, cell.c): _of_pyxlsb(cell.v) for row in sheet.rows(sparse=True) for cell in row}
            found[name] = Sheet(_filled(cells))
    return found


def _of_pyxlsb(value: Any) -> Any:
    if isinstance(value, float):
        return Serial(value)
    if isinstance(value, str) and value.startswith("0x") and int(value, 16) in _ERRORS:
        return CellError(_ERRORS[int(value, 16)])
    return value


ORACLES: dict[str, Callable[[Path], dict[str, Sheet]]] = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), openpyxl_sheets),
    ".xls": xlrd_sheets,
    ".xlsb": pyxlsb_sheets,
}


class Percent(float):
    """A number whose format shows a percent: Caseweave reads it as it is shown, 0.45 as "45%"."""


class Number(Percent):
    """A number of which the judge doesn't tell whether its format shows a percent."""


class Serial(Number):
    """A number of which the judge doesn't tell whether its format shows a date, a percent or itself."""


def differences(grids: tuple[Grid, ...], sheets: dict[str, Sheet]) -> tuple[int, list[Difference]]:
    """How many filled cells were compared, and where the two readers differ."""
    found: list[Difference] = []
    compared = 0
    if [grid.name for grid in grids] != list(sheets):
        found.append(("", "", " ".join(grid.name for grid in grids), " ".join(sheets)))
    for grid in grids:
        if grid.name not in sheets:
            continue
        sheet = sheets[grid.name]
        if sheet.hidden not in (None, grid.hidden):
            found.append((grid.name, "", f"hidden {grid.hidden}", f"hidden {sheet.hidden}"))
        if sheet.merged is not None and sheet.merged != set(grid.merged):
            found.append((grid.name, "", f"{len(grid.merged)} merged", f"{len(sheet.merged)} merged"))
        for place, ours in _union(grid, sheet):
            compared += 1
            theirs = sheet.cells.get(place)
            unsaved = isinstance(ours, CellError) and ours.text == NO_VALUE and place in sheet.formulas
            if not (same(ours, theirs) or (unsaved and theirs is None)):
                found.append((grid.name, cell_address(*place), repr(ours), repr(theirs)))
    return compared, found


def _union(grid: Grid, sheet: Sheet) -> Iterator[tuple[tuple[int, int], Any]]:
    ours = {
        (row, column): grid.columns[column].distinct[code]
        for column in range(grid.width)
        for row, code in enumerate(grid.columns[column].codes)
        if code
    }
    for place in sorted(ours.keys() | sheet.cells.keys()):
        yield place, ours.get(place)


def same(ours: Any, theirs: Any) -> bool:
    """Equal in value and in kind; 1 and 1.0 are one kind, a date and its midnight too, a percent and its hundredth."""
    if isinstance(theirs, Percent) and isinstance(ours, str) and ours.endswith("%"):
        return abs(float(ours[:-1]) / 100 - theirs) < 1e-9
    if isinstance(theirs, Percent) and not isinstance(theirs, Number):
        return False
    if isinstance(theirs, Serial) and isinstance(ours, (datetime.date, datetime.time, datetime.timedelta)):
        return _is_serial_of(ours, theirs)
    ours, theirs = _day(ours), _day(theirs)
    numbers = (int, float)
    alike = type(ours) is type(theirs) or (type(ours) in numbers and isinstance(theirs, numbers) and theirs is not True)
    return alike and bool(ours == theirs)


def _day(value: Any) -> Any:
    midnight = isinstance(value, datetime.datetime) and value.time() == datetime.time()
    return value.date() if midnight else value


def _is_serial_of(moment: Any, serial: float) -> bool:
    epochs = (datetime.datetime(1899, 12, 30), datetime.datetime(1899, 12, 31), datetime.datetime(1904, 1, 1))
    if isinstance(moment, datetime.time):
        moment = datetime.timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
        return abs(moment / datetime.timedelta(1) - serial % 1) < 1e-4
    if isinstance(moment, datetime.timedelta):
        return abs(moment / datetime.timedelta(1) - serial) < 1e-6
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime(moment.year, moment.month, moment.day)
    return any(abs((moment - epoch) / datetime.timedelta(1) - serial) < 1e-6 for epoch in epochs)


def _filled(cells: Cells) -> Cells:
    return {place: value for place, value in cells.items() if value is not None and value != ""}
