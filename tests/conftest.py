"""Fixtures for every test: the shared material, and real servers that may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.hapi import hapi, hapi_server
from tests.services.need import require
from tests.services.office import office_profile, soffice, type_in_office
from tests.services.postgres import postgres, postgres_database
from tests.services.validator import fhir_validator

__all__ = [
    "fhir_validator",
    "hapi",
    "hapi_server",
    "office_profile",
    "postgres",
    "postgres_database",
    "repo",
    "shared",
    "soffice",
    "type_in_office",
]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material that does not ship with the project: the folder `shared` beside the repository."""
    folder = ROOT.parent / "shared"
    require((folder / "README.md").is_file(), "the folder ../shared (real forms, standards) is not here")
    return folder
