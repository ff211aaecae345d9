"""The databases that one suite runs against: the embedded one, and PostgreSQL with a schema for each workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

import pytest

from caseweave.run.database import OmopServer
from caseweave.run.pipeline import Outcome
from caseweave.shapes.omop import omop_shapes
from tests.unit.run import registry

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.live)]


class Deliver(Protocol):
    """Runs forms into a workspace of a folder."""

    def __call__(self, folder: Path, *sources: Path, **options: Any) -> Outcome: ...


def deliver_to(request: pytest.FixtureRequest) -> Deliver:
    """How forms are delivered to the database that a fixture is parametrised with."""
    if request.param == "sqlite":
        return registry.deliver
    dsn: str = request.getfixturevalue("postgres_database")

    def deliver(folder: Path, *sources: Path, **options: Any) -> Outcome:
        return registry.deliver(folder, *sources, omop=server_of(dsn, folder), **options)

    return deliver


def server_of(dsn: str, folder: Path) -> OmopServer:
    """A CDM of its own for each workspace, made where it isn't there."""
    from caseweave.targets.omop.server import create_cdm

    schema = re.sub("[^a-z0-9]", "_", folder.name)
    create_cdm(dsn, omop_shapes("5.4", imaging=True), schema)
    return OmopServer(dsn, schema)
