"""The sheet `Queries` of a workbook that came back with questions: what it looks like, and what was answered in it."""

from __future__ import annotations

import re

from caseweave.values.grid import Grid

QUERIES = "Queries"
QUERY_COLUMNS = ("id", "sheet", "cell", "patient", "rule", "found", "expected", "message", "status", "Answer")
# what the columns are called, per language; a sheet is understood in any
QUERY_HEADS = {
    "en": QUERY_COLUMNS,
    "es": ("id", "hoja", "celda", "paciente", "regla", "valor", "se espera", "mensaje", "estado", "Respuesta"),
}
# people may sort, widen and add columns, and put a title above; without these it is no such sheet
_NEEDED = frozenset(("id", "rule", "status", "Answer"))
_SEARCH_ROWS = 5
_NAME = re.compile(rf"{QUERIES}(?: \(Caseweave\d*\))?", re.IGNORECASE)


def is_queries(grid: Grid) -> bool:
    """Whether a tab is the sheet of queries, which holds no data of the study."""
    return bool(_NAME.fullmatch(grid.name.strip())) and _header(grid) is not None


def answers_in(grid: Grid) -> dict[str, str]:
    """What was answered, by id of the finding; "" where the answer is blank."""
    found = _header(grid)
    if found is None:
        return {}
    row, columns = found
    answers = {}
    for n in range(row + 1, grid.height):
        name, answer = (grid.cell(n, columns[one]) for one in ("id", "Answer"))
        if name is not None:
            answers[_text(name).lstrip("'")] = "" if answer is None else _text(answer)
    return answers


def _text(raw: object) -> str:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return " ".join(str(raw).split())


def _header(grid: Grid) -> tuple[int, dict[str, int]] | None:
    for row in range(min(grid.height, _SEARCH_ROWS)):
        there = {str(grid.cell(row, c)).strip().casefold(): c for c in range(grid.width)}
        for heads in QUERY_HEADS.values():
            pairs = zip(QUERY_COLUMNS, heads, strict=True)
            columns = {name: there[head.casefold()] for name, head in pairs if head.casefold() in there}
            if columns.keys() >= _NEEDED:
                return row, columns
    return None
