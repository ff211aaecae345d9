"""The OMOP suite against a database: that of a workspace, whose rows lead back to cells, or any CDM on PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caseweave.errors import UsageError
from caseweave.quality.omop import Ask, Result, check_database, omop_suite, summary
from caseweave.quality.omop.ask import ROWS, Columns
from caseweave.quality.omop.lists import read_thresholds
from caseweave.quality.omop.suite import Dialect
from caseweave.run.database import OmopServer, remembered
from caseweave.run.held import open_read_only
from caseweave.run.trace import Way, trace
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import OmopShapes, omop_shapes
from caseweave.version import __version__


@dataclass(frozen=True)
class OmopReport:
    """What a database answered.

    Arguments: `database`, what to call it before people; `cdm`, against which it was held.
    """

    database: str
    cdm: str
    results: Sequence[Result]

    @property
    def sound(self) -> bool:
        """Whether every check that applies passed; one that could not run didn't."""
        return all(one.status in ("passed", "not applicable") for one in self.results)

    def as_json(self) -> dict[str, Any]:
        """All checks with their figures; keys and places of rows, and no value of any."""
        return {
            "caseweave": __version__,
            "database": self.database,
            "cdm": self.cdm,
            "summary": summary(self.results),
            "checks": [_as_json(one) for one in self.results],
        }


def _as_json(one: Result) -> dict[str, Any]:
    check = one.check
    return {
        "id": check.id,
        "check": check.name,
        "table": check.table,
        "field": check.field,
        "category": check.category,
        "subcategory": check.subcategory,
        "context": check.context,
        "asks": check.asks,
        "status": one.status,
        "violated": one.violated,
        "total": one.total,
        "share": round(one.share, 4),
        "threshold": check.threshold,
        "why": one.why,
        "rows": list(one.rows),
        "places": {row: list(cells) for row, cells in one.places.items()},
        "sql": check.sql,
    }


def check_omop(
    target: str,
    *,
    cdm: str = "",
    imaging: bool = False,
    schema: str = "public",
    vocabulary_schema: str | None = None,
    thresholds: Path | None = None,
    rows: int = ROWS,
    today: datetime.date | None = None,
) -> OmopReport:
    """Hold an OMOP database against the suite; nothing is changed.

    >>> check_omop("caseweave-breast").sound  # doctest: +SKIP
    True

    Arguments: `target`, a workspace or an SQLite file, or the DSN of a CDM on PostgreSQL, without a password; `cdm`,
    "5.3" (with the oncology extension) or "5.4", `imaging` with its extension: by default what the database is;
    `schema` and `vocabulary_schema` of a DSN; `thresholds`, a csv like validators/omop/fields.csv that goes before it;
    `rows`, how many rows of each failed check are named. Rows of a workspace are traced to their cells. Raises
    UsageError where there is no such database, it can't be told which CDM it is or the list of thresholds is wrong,
    TargetError where the database can't be reached.
    """
    path = Path(target)
    workspace = Workspace(path) if path.is_dir() else None
    server = remembered(workspace.read_state()) if workspace else None
    if server is None and not path.exists():
        server = OmopServer(target, schema, vocabulary_schema)
    with _opened(server, workspace.omop if workspace else path) as (ask, columns, dialect, name):
        shapes = _shapes(columns, cdm, imaging, name)
        suite = omop_suite(shapes, dialect, today, read_thresholds(thresholds) if thresholds else ())
        results = check_database(ask, suite, columns, rows=rows)
    if workspace:
        results = [_traced(workspace, one) for one in results]
    return OmopReport(name, shapes.name, results)


@contextlib.contextmanager
def _opened(server: OmopServer | None, path: Path) -> Iterator[tuple[Ask, Columns, Dialect, str]]:
    """The database, the columns of its tables, its dialect, and what to call it."""
    if server:
        from caseweave.targets.omop.connect import asking
        from caseweave.targets.omop.server import tables_in

        tables, schemas = tables_in(server.dsn, server.schema, server.vocabulary_schema)
        with asking(server.dsn, *schemas) as ask:
            yield ask, tables, "postgresql", server.name
        return
    with open_read_only(path) as connection:
        connection.isolation_level = None
        yield connection, sqlite_columns(connection, path.name), "sqlite", path.name


def sqlite_columns(connection: sqlite3.Connection, name: str = "this") -> Columns:
    query = (
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view')"
    )
    found: dict[str, set[str]] = {}
    try:
        for table, column in connection.execute(query):
            found.setdefault(table.lower(), set()).add(column.lower())
    except sqlite3.DatabaseError:
        raise UsageError(f"{name} is no SQLite database.", way_out="Give a workspace, or a DSN.") from None
    return found


def _shapes(columns: Columns, cdm: str, imaging: bool, name: str) -> OmopShapes:
    """The CDM that a database is to be: the one that was named, else the one that its tables show."""
    from caseweave.targets.omop.server import shapes_of

    if cdm:
        return omop_shapes(cdm, oncology=cdm == "5.3", imaging=imaging or "image_occurrence" in columns)
    found = shapes_of({table: frozenset(names) for table, names in columns.items()})
    if found is None:
        raise UsageError(
            f"Which CDM {name} holds can't be told: PERSON or MEASUREMENT isn't there.",
            way_out="Say which it ought to be with --cdm, or where it is with --schema.",
        )
    return found


def _traced(workspace: Workspace, result: Result) -> Result:
    """A result with the cells that its rows were made of; rows that are somebody else's have none."""
    places = {}
    for row in result.rows:
        with contextlib.suppress(UsageError):
            cells = (cell for way in trace(workspace, row).ways for cell in _places(way))
            places[row] = tuple(dict.fromkeys(cells))
    return replace(result, places=places) if places else result


def _places(way: Way) -> list[str]:
    """The cells behind a fact, those of its value first; without them what tells whose it is."""
    telling = [one for one in way.cells if one.slot not in ("subject", "key")] or list(way.cells)
    first = sorted(telling, key=lambda one: one.slot != "value")
    return [f"{way.source}:{one.sheet}!{one.cell}" for one in first]
