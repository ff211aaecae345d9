"""The state of a workspace as its ledgers and its manifest have it."""

from __future__ import annotations

from typing import Any

import pytest

from caseweave.errors import UsageError
from caseweave.run.status import status
from caseweave.run.workspace import Workspace


def test_changes_and_units(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean))
    clean["Main"][0][4] = "neg"
    bench.run(bench.form(clean))
    found = status(Workspace(bench.workspace))
    assert (found["runs"], found["patients"]) == (2, 2)
    assert found["last_run"]["targets"]["fhir"]["changed"] == 1
    assert found["last_run"]["targets"]["fhir"]["retracted"] == 0
    assert found["sheets"] == [
        {"sheet": "main", "stream": "main", "fhir": 2, "omop": 2},
        {"sheet": "visits", "stream": "main", "fhir": 1, "omop": 1},
    ]
    assert [sorted(one) for one in found["last_run"]["sources"]] == [["alias", "digest", "rows"]]


def test_no_one_is_named(bench: Any, dirty: Any, secrets: tuple[str, ...]) -> None:
    bench.run(bench.form(dirty))
    assert not any(secret in str(status(Workspace(bench.workspace))) for secret in secrets)


def test_what_is_no_workspace(bench: Any) -> None:
    with pytest.raises(UsageError, match="is no workspace"):
        status(Workspace(bench.folder / "nowhere"))
