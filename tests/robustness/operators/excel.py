"""What people do to sheets, rows and columns in Excel, done by openpyxl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.robustness.operators.book import Book, columns

KI67 = columns()["diagnosis.ki67"]


def sheet(name: str, do: Callable[[Any], object]) -> Callable[[Book], None]:
    """Change a sheet as its owner would."""

    def change(book: Book) -> None:
        with book.opened() as workbook:
            for merged in list(workbook[name].merged_cells.ranges):
                workbook[name].unmerge_cells(str(merged))
            do(workbook[name])

    return change


def header(text: str | None, column: str = KI67) -> Callable[[Book], None]:
    """Write another header above a column of the diagnoses."""
    return sheet("Diagnosis", lambda one: one.__setitem__(f"{column}3", text))


def rearranged(order: Callable[[list[Any]], list[Any]], first: int = 1) -> Callable[[Book], None]:
    """Put the rows of the diagnoses, from `first` on, into another order or shape."""

    def do(one: Any) -> None:
        rows = [[cell.value for cell in row] for row in one.iter_rows(min_row=first)]
        one.delete_rows(first, len(rows) + 5)
        for n, row in enumerate(order(rows)):
            for m, value in enumerate(row):
                one.cell(first + n, 1 + m).value = value

    return sheet("Diagnosis", do)


def shuffled(rows: list[list[Any]]) -> list[list[Any]]:
    width = len(rows[0])
    order = sorted(range(width), key=lambda n: (n * 37) % width)
    return [[row[n] for n in order] for row in rows]


def gaps(rows: list[list[Any]]) -> list[list[Any]]:
    return [cells for row in rows for cells in (row, [])]


def transposed(rows: list[list[Any]]) -> list[list[Any]]:
    return [list(line) for line in zip(*rows, strict=True)]


def last_column(one: Any, values: list[Any], first_row: int = 3) -> None:
    for n, value in enumerate(values):
        one.cell(first_row + n, one.max_column + (n == 0)).value = value


def row_below(*values: Any, gap: int = 0, column: int = 1) -> Callable[[Book], None]:
    """Something below the diagnoses, which end in row 7."""

    def do(one: Any) -> None:
        for n, value in enumerate(values):
            one.cell(8 + gap, column + n).value = value

    return sheet("Diagnosis", do)


def renamed(name: str) -> Callable[[Book], None]:
    return sheet("Diagnosis", lambda one: setattr(one, "title", name))


def in_book(do: Callable[[Any], object]) -> Callable[[Book], None]:
    def change(book: Book) -> None:
        with book.opened() as workbook:
            do(workbook)

    return change


def without_sheet(workbook: Any) -> None:
    del workbook["Follow-up"]


def reordered(workbook: Any) -> None:
    workbook._sheets.reverse()


def copied(workbook: Any) -> None:
    workbook.copy_worksheet(workbook["Diagnosis"]).title = "Diagnosis (2)"


def two_of_one(workbook: Any) -> None:
    workbook.copy_worksheet(workbook["Diagnosis"]).title = "Tumour"


def more_sheets(*rows: list[Any], name: str = "Sheet9") -> Callable[[Book], None]:
    def do(workbook: Any) -> None:
        one = workbook.create_sheet(name)
        for row in rows:
            one.append(row)

    return in_book(do)


def no_own_sheets(workbook: Any) -> None:
    for name in ("Instructions", "_caseweave", "_caseweave_lists"):
        del workbook[name]
