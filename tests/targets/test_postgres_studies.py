"""All shipped studies into a CDM on PostgreSQL with every key on: as many rows as in the embedded one, none twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caseweave.run.convert import Conversion, compare_with, write_to
from caseweave.targets.omop.postgres import PostgresDatabase
from caseweave.targets.omop.server import create_cdm
from caseweave.targets.omop.sqlite import SqliteDatabase
from tests.targets.studies import Convert


def loaded(dsn: str, conversion: Conversion) -> tuple[int, dict[str, int]]:
    """What a delivery writes, and what is there then."""
    with PostgresDatabase(dsn, conversion.omop.settings.shapes, "cdm") as database:
        database.require(conversion.key.project, conversion.key.check_value)
        written = compare_with(database, conversion).write()
        return written.total(), database.count()


@pytest.mark.live
def test_every_row_is_there_once(postgres_database: str, converted: Convert, study: str) -> None:
    conversion = converted(study).conversion
    shapes = conversion.omop.settings.shapes
    with SqliteDatabase(None, shapes) as embedded:
        write_to(embedded, replace(conversion))
        wanted = embedded.count()
    create_cdm(postgres_database, shapes, "cdm")
    written, counted = loaded(postgres_database, replace(conversion))
    assert counted == wanted
    assert written > 0
    assert loaded(postgres_database, replace(conversion)) == (0, wanted)
