"""The suite against a database: as few scans as can be, and every check answers, or says why it can't."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from caseweave.errors import CaseweaveError
from caseweave.quality.omop.models import Check, Result, counting

ROWS = 5
MOST_COLUMNS = 200
NOTHING = "there is no row to ask"
Columns = Mapping[str, Collection[str]]


class Ask(Protocol):
    """A connection in a transaction; what it raises is an sqlite3.Error or one of ours."""

    def execute(self, query: str, /) -> Any: ...


def check_database(ask: Ask, checks: Sequence[Check], columns: Columns, *, rows: int = ROWS) -> list[Result]:
    """Ask a database everything; results come in the order of the checks.

    >>> import sqlite3
    >>> from caseweave.shapes.omop import omop_shapes
    >>> from caseweave.quality.omop.suite import omop_suite
    >>> check_database(sqlite3.connect(":memory:"), omop_suite(omop_shapes(), "sqlite"), {})[0].status
    'failed'

    Arguments: `columns` of each table that is there; `rows`, how many of the rows that fail are named. A check whose
    table or field isn't there, or that the database refuses, could not run; it never passed.
    """
    empty = functools.cache(lambda table: _empty(ask, table, columns[table]))
    found: dict[str, Result] = {}
    groups: dict[str, list[Check]] = {}
    for one in checks:
        if not one.source:
            found[one.id] = _presence(one, columns)
        elif lacking := _lacking(one, columns):
            found[one.id] = Result(one, "could not run", why=lacking)
        elif one.filled and one.field in empty(one.table):
            found[one.id] = Result(one, "not applicable", why=NOTHING)
        else:
            groups.setdefault(one.source, []).append(one)
    for source, group in groups.items():
        for start in range(0, len(group), MOST_COLUMNS):
            for result in _ask(ask, source, group[start : start + MOST_COLUMNS], rows):
                found[result.check.id] = result
    return [found[one.id] for one in checks]


def _empty(ask: Ask, table: str, names: Collection[str]) -> frozenset[str]:
    """The fields of a table that nothing fills, so that one scan spares many; none where it can't be told."""
    ordered = sorted(names)
    counted = ", ".join(f'count("{name}")' for name in ordered)
    try:
        (counts,) = _select(ask, f"SELECT {counted} FROM {table}")
    except (CaseweaveError, sqlite3.Error):
        return frozenset()
    return frozenset(name for name, filled in zip(ordered, counts, strict=True) if not filled)


def _presence(check: Check, columns: Columns) -> Result:
    """Tables and fields, which are looked up and not asked for."""
    table = columns.get(check.table)
    if table is None and check.field:
        return Result(check, "could not run", why=f"there is no table {check.table}")
    there = table is not None and (not check.field or check.field in table)
    return Result(check, "passed" if there else "failed", violated=int(not there), total=1)


def _lacking(check: Check, columns: Columns) -> str:
    for table, field in check.needs:
        if table not in columns:
            return f"there is no table {table}"
        if field not in columns[table]:
            return f"there is no field {table}.{field}"
    return ""


def _ask(ask: Ask, source: str, group: Sequence[Check], rows: int) -> Iterator[Result]:
    """Ask what looks at the same rows with one scan; if that is refused, each check by itself."""
    try:
        (counts,) = _select(ask, f"SELECT {', '.join(map(counting, group))} FROM {source}")
    except (CaseweaveError, sqlite3.Error) as error:
        if len(group) == 1:
            why = error.message if isinstance(error, CaseweaveError) else str(error)
            yield Result(group[0], "could not run", why=why)
        else:
            for one in group:
                yield from _ask(ask, source, [one], rows)
        return
    for place, one in enumerate(group):
        violated, total = int(counts[2 * place]), int(counts[2 * place + 1])
        yield _judge(ask, one, violated, total, rows)


def _judge(ask: Ask, check: Check, violated: int, total: int, rows: int) -> Result:
    if not total:
        return Result(check, "not applicable", why=NOTHING)
    failed = 100 * violated > check.threshold * total
    named = tuple(_rows(ask, check, rows)) if failed and check.key and rows else ()
    return Result(check, "failed" if failed else "passed", violated, total, rows=named)


def _rows(ask: Ask, check: Check, rows: int) -> Iterable[str]:
    """The first rows that fail, by their keys."""
    table, column = check.key or ("", "")
    query = (
        f"SELECT t.{column} FROM {check.source} WHERE ({check.total}) AND ({check.where}) "
        f"AND t.{column} IS NOT NULL ORDER BY 1 LIMIT {rows}"
    )
    try:
        return [f"{table}:{key}" for (key,) in _select(ask, query)]
    except (CaseweaveError, sqlite3.Error):  # the count stands; what keeps the rows from being named is another check's
        return []


def _select(ask: Ask, query: str) -> list[tuple[Any, ...]]:
    """Ask inside a savepoint: PostgreSQL gives up a whole transaction for one statement that it refuses."""
    ask.execute("SAVEPOINT caseweave_check")
    try:
        found: list[tuple[Any, ...]] = ask.execute(query).fetchall()
    except (CaseweaveError, sqlite3.Error):
        ask.execute("ROLLBACK TO SAVEPOINT caseweave_check")
        raise
    finally:
        ask.execute("RELEASE SAVEPOINT caseweave_check")
    return found
