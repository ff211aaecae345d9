"""Where the headers of a sheet stand in a grid, and which field each of its columns is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caseweave.issues import Finding
from caseweave.spec.models import Field, Sheet
from caseweave.values.grid import Grid, column_letters, normal

HEADER_SEARCH_ROWS = 30


def names_of(field: Field) -> list[str]:
    """All headers that mean a field: its column or name, its aliases, its labels."""
    return [field.column or field.name, field.name, *field.aliases, *field.label.values()]


def header_text(grid: Grid, row: int, rows: int) -> list[str]:
    """The headers of a grid whose header starts at `row`; several rows are joined, merged cells reach right."""
    texts = [[grid.cell(r, c) for c in range(grid.width)] for r in range(row, min(row + rows, grid.height))]
    for first_row, first_column, last_row, last_column in grid.merged:
        for r in range(max(first_row, row), min(last_row, row + rows - 1) + 1):
            for c in range(first_column, min(last_column, grid.width - 1) + 1):
                # a cell merged downwards says its text once, one merged sideways says it in every column
                texts[r - row][c] = grid.cell(first_row, first_column) if r == first_row else None
    return [" / ".join(str(line[c]) for line in texts if line[c] is not None) for c in range(grid.width)]


def best_header(sheet: Sheet, grid: Grid) -> tuple[int, int]:
    """The row where the header starts, and how many fields it names."""
    known = {normal(name) for one in sheet.fields.values() for name in names_of(one)}
    best = (0, 0)
    for row in range(min(grid.height, HEADER_SEARCH_ROWS)):
        score = sum(normal(text) in known for text in header_text(grid, row, sheet.header_rows) if text)
        if score > best[1]:
            best = (row, score)
    return best


def headers_again(sheet: Sheet, grid: Grid, body: int, columns: Mapping[str, int]) -> tuple[list[int], int]:
    """Lines below the first that are headers too: those that repeat it, and where another table begins, if one does.

    A page break or a copied block brings the same headers once more; a second table has its own, so that what stands
    under them would be read as something else.
    """
    subject = sheet.subject_field
    mine = {normal(name) for name in names_of(sheet.fields[subject])}
    spelt = grid.columns[columns[subject]].distinct
    heads = [code for code, one in enumerate(spelt) if one is not None and normal(str(one)) in mine]
    if not heads or sheet.header_rows != 1:
        return [], grid.height
    known = {column: {normal(one) for one in names_of(sheet.fields[name])} for name, column in columns.items()}
    again: list[int] = []
    for row in (np.flatnonzero(np.isin(codes_of(grid, columns[subject])[body:], heads)) + body).tolist():
        there = {column: grid.cell(row, column) for column in range(grid.width)}
        strange = [c for c, one in there.items() if one is not None and normal(str(one)) not in known.get(c, ())]
        if strange:
            return again, row
        again.append(row)
    return again, grid.height


def codes_of(grid: Grid, column: int) -> np.ndarray:
    """The codes of one column, row by row."""
    return np.frombuffer(grid.columns[column].codes, dtype=np.uint32).astype(np.int32)


def header_address(grid: Grid, row: int, column: int) -> str:
    """The address of a header; a document has none, so it is the first place where the key stands."""
    return grid.address(int(np.flatnonzero(codes_of(grid, column)[row + 1 :])[0]) + row + 1 if grid.at else row, column)


def column_name(grid: Grid, column: int, *, short: bool = False) -> str:
    """A column as a message names it."""
    if grid.at:  # a key of a document can be a name: the finding alone says it, where it stays at home
        return "the first" if short else "A key"
    return column_letters(column) if short else f"Column {column_letters(column)}"


def columns_of(
    findings: list[Finding],
    where: Mapping[str, str],
    headers: Sequence[str],
    fields: Mapping[str, Field],
    grid: Grid,
    row: int,
) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """Which field stands in which column, and the columns that no field claims, with their headers."""
    columns: dict[str, int] = {}
    unknown: list[tuple[str, int]] = []
    for column, header in enumerate(headers):
        one = fields.get(normal(header))
        if one is None:
            unknown.append((header, column))
        elif one.name in columns:
            findings.append(
                Finding(
                    rule="duplicate-column",
                    severity="error",
                    field=one.name,
                    cell=header_address(grid, row, column),
                    **where,
                    message="Two columns say they are this field; "
                    f"{column_name(grid, columns[one.name], short=True)} was read.",
                    suggestion="Rename or remove one of them.",
                )
            )
            unknown.append((header, column))
        else:
            columns[one.name] = column
    return columns, unknown
