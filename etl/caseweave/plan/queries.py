"""The sheet `Queries` of a workbook that came back with questions: what it looks like, and what was answered in it."""

from __future__ import annotations

import re

from caseweave.spec.phrases import languages, phrases
from caseweave.values.grid import Grid

QUERIES = "Queries"
QUERY_COLUMNS = ("id", "sheet", "cell", "patient", "rule", "found", "expected", "message", "status", "Answer")
# people may sort, widen and add columns, and put a title above; without these it is no such sheet
_NEEDED = frozenset(("id", "rule", "status", "Answer"))
_SEARCH_ROWS = 5
_NAME = re.compile(rf"{QUERIES}(?: \((?:Caseweave)?\d*\))?", re.IGNORECASE)
_ID = re.compile(r"'?[a-z2-7]{16}(?:-\d+)?")


def is_queries(grid: Grid) -> bool:
    """Whether a tab is the sheet of queries, which holds no data of the study; the ids tell one that was renamed."""
    found = _header(grid)
    if found is None or _NAME.fullmatch(grid.name.strip()):
        return found is not None
    row, columns = found
    return any(_ID.fullmatch(str(grid.cell(n, columns["id"]))) for n in range(row + 1, grid.height))


def answers_in(grid: Grid) -> dict[str, str]:
    """What was answered, by id of the finding; "" where the answer is blank."""
    found = _header(grid)
    if found is None:
        return {}
    row, columns = found
    answers: dict[str, str] = {}
    for n in range(row + 1, grid.height):
        name, answer = (grid.cell(n, columns[one]) for one in ("id", "Answer"))
        if name is not None:
            said = "" if answer is None else _text(answer)
            key = _text(name).lstrip("'")
            answers[key] = said or answers.get(key, "")  # a row that was copied may have the answer in either
    return answers


def _text(raw: object) -> str:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return " ".join(str(raw).split())


def _header(grid: Grid) -> tuple[int, dict[str, int]] | None:
    for row in range(min(grid.height, _SEARCH_ROWS)):
        there = {str(grid.cell(row, c)).strip().casefold(): c for c in range(grid.width)}
        for language in languages():  # what the columns are called in any
            heads = {name: phrases("queries")[name].get(language, name).casefold() for name in QUERY_COLUMNS}
            columns = {name: there[head] for name, head in heads.items() if head in there}
            if columns.keys() >= _NEEDED:
                return row, columns
    return None
