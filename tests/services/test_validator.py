"""The validator judges: what is right passes, and each of 18 faults is found on its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.validator import Issue, Validate, parse


def test_valid_resources_have_no_error(fhir_validator: Validate, repo: Path) -> None:
    issues = fhir_validator(repo / "containers/validator/fixtures/valid.ndjson")
    assert [issue for issue in issues if issue.severity in ("error", "fatal")] == []


def test_every_broken_resource_has_an_error(fhir_validator: Validate, repo: Path) -> None:
    issues = fhir_validator(repo / "containers/validator/fixtures/broken.ndjson")
    assert {issue.line for issue in issues if issue.severity in ("error", "fatal")} == set(range(1, 19))


def test_output_becomes_issues() -> None:
    output = (
        "a.ndjson:3: error: Patient.gender: Patient.gender: minimum required = 1, but only found 0\n"
        "4 resources, 1 with errors; 1 errors, 0 warnings, 0 information; 0.1 s, ..."
    )
    message = "Patient.gender: minimum required = 1, but only found 0"
    assert parse(output, expected=4) == [Issue(3, "error", message, "Patient.gender")]


@pytest.mark.parametrize("output", ["", "Exception in thread main\n", "3 resources, 0 with errors; ...\n"])
def test_a_validator_that_did_not_finish_is_no_pass(output: str) -> None:
    with pytest.raises(AssertionError, match="of 4 resources"):
        parse(output, expected=4)
