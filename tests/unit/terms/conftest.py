"""The sample of an Athena download, as a folder and as opened terms."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.terms.athena_sample import write_folder

from caseweave.terms import Terms, open_terms


@pytest.fixture(scope="session")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("athena"))


@pytest.fixture(scope="session")
def terms(download: Path, tmp_path_factory: pytest.TempPathFactory) -> Terms:
    return open_terms(download, tmp_path_factory.mktemp("cache"))
