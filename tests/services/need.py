"""Skip where something real is missing, or fail where continuous integration promised that it is there."""

from __future__ import annotations

import os

import pytest

REQUIRED = "CASEWEAVE_REQUIRE_SERVICES"


def require(there: object, reason: str) -> None:
    """Skip the test with `reason` unless `there` is true; fail instead where CASEWEAVE_REQUIRE_SERVICES=1."""
    if there:
        return
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED}=1 says it must be", pytrace=False)
    pytest.skip(reason)
