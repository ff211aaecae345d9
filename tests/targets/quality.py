"""The product's OMOP suite, as tests ask it of a connection that is open."""

from __future__ import annotations

import sqlite3

from caseweave.quality.omop import Result, check_database, omop_suite
from caseweave.run.omopcheck import sqlite_columns
from caseweave.shapes.omop import OmopShapes


def results_of(connection: sqlite3.Connection, shapes: OmopShapes) -> list[Result]:
    """All results on an embedded database."""
    return check_database(connection, omop_suite(shapes, "sqlite"), sqlite_columns(connection))


def failures_of(connection: sqlite3.Connection, shapes: OmopShapes, *, plausible: bool = True) -> list[str]:
    """What failed or could not run; `plausible`, whether dates and values have to make sense."""
    found = [one for one in results_of(connection, shapes) if one.status in ("failed", "could not run")]
    return [
        f"{one.check.id}: {one.status} {one.violated} of {one.total} {one.why}"
        for one in found
        if plausible or one.check.category != "plausibility"
    ]
