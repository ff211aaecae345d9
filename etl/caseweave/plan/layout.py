"""Where a study's sheets stand in the grids of its sources: tabs, header rows, columns, data rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caseweave.issues import Finding
from caseweave.plan.facts import Mask
from caseweave.plan.headers import (
    HEADER_SEARCH_ROWS,
    best_header,
    codes_of,
    column_name,
    columns_of,
    header_address,
    header_text,
    headers_again,
)
from caseweave.plan.headers import names_of as names_of
from caseweave.plan.queries import is_queries
from caseweave.plan.rows import no_subject
from caseweave.plan.spellings import nearest_name
from caseweave.plan.tables import Part, Table, TableColumn, concatenate
from caseweave.spec.models import Field, Sheet, Study
from caseweave.values.grid import Grid, Source
from caseweave.values.grid import normal as normal

# a row below the data with at most so many cells is a total or a note; one with more looks like a patient without id
NOTE_CELLS = 2
OWN_SHEETS = re.compile(r"_caseweave.*")
STAMP_SHEET = "_caseweave"


@dataclass
class Layout:
    """What was found: a table per sheet, the findings, and how many cells were ignored or rejected outside tables.

    Arguments: `tabs` gives, by source and sheet as findings name it, the tabs that it is in that file.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    tabs: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def lay_out(study: Study, sources: Sequence[Source]) -> Layout:
    """Find every sheet of a study in its sources."""
    layout = Layout()
    parts: dict[str, list[tuple[Part, Mapping[str, TableColumn]]]] = {sheet.key: [] for sheet in study.sheets}
    ignore = {normal(name): reason for name, reason in study.ignore_sheets.items()}
    for source in sources:
        seen: set[str] = set()
        guides = _guides(source)
        for place, grid in enumerate(source.grids):
            if OWN_SHEETS.fullmatch(grid.name) or grid.name in guides or is_queries(grid) or not _cells(grid):
                continue
            sheet = _sheet_of(study, grid, sum(1 for other in source.grids if _cells(other) and not is_queries(other)))
            known = sheet.key if sheet is not None else f"sheet-{place + 1}"
            layout.tabs.setdefault((source.alias, known), []).append(grid.name)
            if sheet is None:
                _unknown_sheet(layout, source, grid, place, ignore, study.sheets)
                continue
            seen.add(sheet.key)
            part = _read_part(layout, study, sheet, source, grid)
            if part is not None:
                parts[sheet.key].append(part)
        layout.findings.extend(_missing_sheets(study, source, seen))
    for sheet in study.sheets:
        if parts[sheet.key]:
            layout.tables[sheet.key] = concatenate(sheet.key, parts[sheet.key], [f.name for f in sheet.fields.values()])
    return layout


def _cells(grid: Grid) -> int:
    return sum(int(np.count_nonzero(np.frombuffer(column.codes, dtype=np.uint32))) for column in grid.columns)


def _guides(source: Source) -> set[str]:
    """The tabs of a template that hold no data, such as its instructions: its hidden sheet names them."""
    hidden = [grid for grid in source.grids if grid.name == STAMP_SHEET and grid.width > 1]
    rows = ((grid, row) for grid in hidden for row in range(grid.height))
    return {str(grid.cell(row, 1)) for grid, row in rows if grid.cell(row, 0) == "no data"}


def _sheet_of(study: Study, grid: Grid, grids: int) -> Sheet | None:
    name = normal(grid.name)
    for sheet in study.sheets:
        if name in {normal(one) for one in (sheet.key, sheet.name, *sheet.aliases, *sheet.title.values())}:
            return sheet
    if grids == 1 and len(study.sheets) == 1:
        return study.sheets[0]
    # a csv has no tab name that says something: the sheet whose headers it holds, if there is one clear best
    scores = sorted(((best_header(sheet, grid)[1], n) for n, sheet in enumerate(study.sheets)), reverse=True)
    if grids == 1 and scores[0][0] >= 2 and (len(scores) == 1 or scores[0][0] > scores[1][0]):
        return study.sheets[scores[0][1]]
    return None


def _unknown_sheet(
    layout: Layout, source: Source, grid: Grid, place: int, ignore: Mapping[str, str], sheets: Sequence[Sheet]
) -> None:
    cells = _cells(grid)
    reason = ignore.get(normal(grid.name))
    alias = f"sheet-{place + 1}"
    if reason is not None:
        layout.ignored[f"sheet: {reason}"] += cells
        return
    layout.rejected["unknown-sheet"] += cells
    near = nearest_name(grid.name, (name for one in sheets for name in (one.name, *one.aliases)))
    layout.findings.append(
        Finding(
            rule="unknown-sheet",
            severity="error",
            source=source.alias,
            sheet=alias,
            found=grid.name,
            message="The study knows no such sheet; its cells were not loaded.",
            suggestion=(f"Call it {near}, if it is that. " if near else "")
            + "Name it under `aliases` of a sheet, or under `ignore_sheets` with a reason.",
        )
    )


def _missing_sheets(study: Study, source: Source, seen: Iterable[str]) -> list[Finding]:
    missing = [sheet for sheet in study.sheets if sheet.key not in set(seen)]
    if len(missing) == len(study.sheets) or source.kind in ("csv", "tsv"):
        return []
    return [
        Finding(
            rule="missing-sheet",
            severity="warning",
            source=source.alias,
            sheet=sheet.key,
            message="The file has no such sheet; what earlier files said in it stays.",
        )
        for sheet in missing
    ]


def _read_part(
    layout: Layout, study: Study, sheet: Sheet, source: Source, grid: Grid
) -> tuple[Part, Mapping[str, TableColumn]] | None:
    where = {"source": source.alias, "sheet": sheet.key}
    start, score = best_header(sheet, grid)
    fields = {normal(name): one for one in reversed(list(sheet.fields.values())) for name in names_of(one)}
    headers = header_text(grid, start, sheet.header_rows) if score else []
    columns, unknown = columns_of(layout.findings, where, headers, fields, grid, start)
    subject = sheet.subject_field
    if subject not in columns:
        layout.rejected["no-header"] += _cells(grid)
        layout.findings.append(
            Finding(
                rule="no-header",
                severity="error",
                field=subject,
                **where,
                expected=sheet.fields[subject].column or subject,
                message=f"No header row with the patient's column was found in the first {HEADER_SEARCH_ROWS} rows.",
                suggestion="Name the column's header under `alias` of the field.",
            )
        )
        return None
    lacking = [one for one in sheet.fields.values() if one.name not in columns and not one.ignore]
    keys = [one for one in lacking if one.name in sheet.row_key]
    body = start + sheet.header_rows
    if keys:  # without its key a row would be taken for another one
        layout.rejected["missing-column"] += int(
            sum(np.count_nonzero(codes_of(grid, c)[body:]) for c in range(grid.width))
        )
        layout.findings.extend(_missing_column(one, where, key=True) for one in keys)
        return None
    skip = _headers_below(layout, where, sheet, grid, body, columns)
    rows = _in_line(layout, where, grid, body, _data_rows(layout, where, grid, body, columns[subject], skip))
    for header, column in unknown:
        cells = int(np.count_nonzero(codes_of(grid, column)[rows]))
        layout.rejected["unknown-column"] += cells
        if cells or header:
            near = nearest_name(header, (name for one in lacking for name in names_of(one)))
            layout.findings.append(
                Finding(
                    rule="unknown-column",
                    severity="error" if cells else "message",
                    **where,
                    cell=header_address(grid, start, column),
                    found=header,
                    message=f"{column_name(grid, column)} is in no field of the mapping; its {cells} cells stay out.",
                    suggestion=(f"Call it {near}, if it is that. " if near else "")
                    + "Map it, or give it `ignore:` with a reason.",
                )
            )
    layout.findings.extend(_missing_column(one, where) for one in lacking)
    layout.findings.extend(
        _looks(where, grid, set(rows.tolist()), {c for name, c in columns.items() if not sheet.fields[name].ignore})
    )
    part = Part(source.alias, sheet.key, rows, columns, grid)
    return part, {name: TableColumn(codes_of(grid, c)[rows], grid.columns[c].distinct) for name, c in columns.items()}


def _in_line(layout: Layout, where: Mapping[str, str], grid: Grid, body: int, rows: np.ndarray) -> np.ndarray:
    """The rows of a text table without those that have more cells than headers: theirs stand in the wrong columns.

    A mark behind the last cell of every row is another thing, and harmless.
    """
    if not grid.lengths or not len(rows):
        return rows
    lengths = np.array(grid.lengths)
    width = int(lengths[:body].max(initial=0))
    long = lengths[rows] > width
    if long.all() and not any(codes_of(grid, column)[rows].any() for column in range(width, grid.width)):
        return rows
    for row in rows[long].tolist():
        layout.rejected["row-too-long"] += int(lengths[row])
        message = f"The row has {lengths[row]} cells under {width} headers, so that some stand in the wrong column."
        layout.findings.append(
            Finding(
                rule="row-too-long",
                severity="error",
                cell=grid.address(row, 0),
                **where,
                message=message + " It was not loaded.",
                suggestion="Put quotes around texts and numbers that hold the mark between cells.",
            )
        )
    return np.asarray(rows[~long])


def _missing_column(one: Field, where: Mapping[str, str], *, key: bool = False) -> Finding:
    return Finding(
        rule="missing-column",
        severity="error" if key else "warning",
        field=one.name,
        **where,
        expected=one.column or one.name,
        message="The sheet has no such column, without which its rows can't be told apart; it was not loaded."
        if key
        else "The sheet has no such column; what earlier files said in it stays.",
    )


def _looks(where: Mapping[str, str], grid: Grid, rows: set[int], columns: set[int]) -> list[Finding]:
    """Looks that may say something: what stood in all merged cells but the first is gone; who crosses out, deletes."""
    merged = [
        (top, left)
        for top, left, bottom, right in grid.merged
        if not rows.isdisjoint(range(top, bottom + 1)) and not columns.isdisjoint(range(left, right + 1))
    ]
    struck = [(row, column) for row, column in grid.struck if row in rows and column in columns]
    return [
        Finding(rule, "warning", message, cell=grid.address(*place), suggestion=suggestion, **where)
        for rule, message, suggestion, places in (
            (
                "merged-cells",
                "Merged cells hold one value, in the first of them; the others were read as blank.",
                "Unmerge them and fill in each.",
                merged,
            ),
            (
                "crossed-out",
                "The value is crossed out; it was read like any other.",
                "Delete it, or take the line away.",
                struck,
            ),
        )
        for place in places
    ]


def _counts(grid: Grid) -> np.ndarray:
    """How many cells of each row hold something."""
    counts = np.zeros(grid.height, dtype=np.int32)
    for column in range(grid.width):
        counts += codes_of(grid, column) != 0
    return counts


def _headers_below(
    layout: Layout, where: Mapping[str, str], sheet: Sheet, grid: Grid, body: int, columns: Mapping[str, int]
) -> np.ndarray:
    """Which rows are no data, since they are headers once more or stand under those of another table; each is told."""
    again, end = headers_again(sheet, grid, body, columns)
    skip = np.arange(grid.height) >= end
    subject = columns[sheet.subject_field]
    if end < grid.height:
        layout.rejected["second-table"] += int(_counts(grid)[end:].sum())
        message = "Another table begins here, with other columns; nothing from this line on was read."
        suggestion = "Put it on a sheet of its own, or its rows into the table above."
        layout.findings.append(
            Finding("second-table", "error", message, cell=grid.address(end, subject), suggestion=suggestion, **where)
        )
    for row in again:
        skip[row] = True
        layout.ignored["headers repeated"] += int(_counts(grid)[row])
        message = "The headers stand here once more; the line was left out."
        layout.findings.append(
            Finding("repeated-headers", "message", message, cell=grid.address(row, subject), **where)
        )
    return skip


def _data_rows(
    layout: Layout, where: Mapping[str, str], grid: Grid, body: int, subject: int, skip: np.ndarray
) -> np.ndarray:
    """The rows that hold a patient; what else stands there is told, but for those to `skip`."""
    counts = np.where(skip, 0, _counts(grid))
    has_id: Mask = (codes_of(grid, subject) != 0) & ~skip
    has_id[:body] = False
    last = int(np.flatnonzero(has_id)[-1]) if has_id.any() else body - 1
    for row in np.flatnonzero((counts > 0) & ~has_id).tolist():
        if row < body:
            continue
        cell = next(grid.address(row, c) for c in range(grid.width) if grid.cell(row, c) is not None)
        if row > last and counts[row] <= NOTE_CELLS and not grid.at:
            layout.ignored["text below the data"] += int(counts[row])
            layout.findings.append(
                Finding(
                    rule="text-below-data",
                    severity="message",
                    cell=cell,
                    **where,
                    message="A total or a note below the data was left out.",
                )
            )
        else:
            layout.rejected["no-subject"] += int(counts[row])
            # the blank cell is the one to fill in; of a document only what is there has an address
            layout.findings.append(no_subject(cell=cell if grid.at else grid.address(row, subject), **where))
    return np.flatnonzero(has_id)
