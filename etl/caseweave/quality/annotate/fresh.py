"""A workbook written anew from what was read, for files that can't be patched: csv, xls, xlsb, ods."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Sequence

from caseweave.quality.annotate.marks import cell_text
from caseweave.values.grid import Grid, RawCell

_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")
_DATES = {datetime.datetime: "yyyy-mm-dd hh:mm:ss", datetime.date: "yyyy-mm-dd", datetime.time: "hh:mm:ss"}


def fresh_workbook(grids: Sequence[Grid]) -> tuple[bytes, dict[str, str]]:
    """Write grids as xlsx, every text a text; returns the file, and the tab that each grid became."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    tabs: dict[str, str] = {}
    for grid in grids:
        title = _title(grid.name, [one.title for one in book.worksheets])
        tabs[grid.name] = title
        page = book.create_sheet(title)
        if grid.hidden and len(grids) > 1:
            page.sheet_state = "hidden"
        for number, column in enumerate(grid.columns):
            for row, code in enumerate(column.codes):
                if code:
                    _write(page.cell(row + 1, number + 1), column.distinct[code])
    if not any(page.sheet_state == "visible" for page in book.worksheets):
        book.worksheets[0].sheet_state = "visible"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue(), tabs


def _write(cell: object, raw: RawCell) -> None:
    from openpyxl.cell.cell import Cell

    assert isinstance(cell, Cell)
    if not isinstance(raw, int | float | datetime.date | datetime.time | datetime.timedelta):
        raw = str(raw)
        cell.value = cell_text(raw)
        cell.data_type = "s"
        if raw[:1] in ("=", "+", "-", "@"):
            cell.quotePrefix = True
        return
    cell.value = raw
    if type(raw) in _DATES:
        cell.number_format = _DATES[type(raw)]


def _title(name: str, taken: Sequence[str]) -> str:
    base = _NOT_IN_NAMES.sub(" ", name).strip("' ")[:31] or "Sheet"
    title, number = base, 1
    while title.casefold() in {one.casefold() for one in taken}:
        number += 1
        title = f"{base[: 30 - len(str(number))]} {number}"
    return title
