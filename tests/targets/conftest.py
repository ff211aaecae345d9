"""What the suite over all targets shares: every study converted once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.targets.studies import STUDIES, Convert, Converted, convert


@pytest.fixture(scope="session")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """`converted("breast")`: what the study makes of its source; made once."""
    folder = tmp_path_factory.mktemp("targets")

    @cache
    def made(study: str) -> Converted:
        return convert(study, shared, folder)

    return made


@pytest.fixture(params=STUDIES)
def study(request: pytest.FixtureRequest) -> str:
    """The name of each shipped study."""
    return str(request.param)
