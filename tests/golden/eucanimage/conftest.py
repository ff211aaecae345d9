"""The five use cases converted once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.eucanimage.ours import convert
from tests.golden.eucanimage.published import USE_CASES

from caseweave.api import Result


@pytest.fixture(scope="package")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project key of these tests."""
    return tmp_path_factory.mktemp("key") / "eucanimage.key"


@pytest.fixture(scope="package")
def results(shared: Path, key_file: Path) -> dict[str, Result]:
    """What each study makes of its records, by the study's name."""
    return {case.study: convert(case, shared, key_file) for case in USE_CASES}
