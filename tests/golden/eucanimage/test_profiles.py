"""What our EuCanImage studies emit, before the judge: FHIR R4, US Core 6.1.0 and mCODE STU4."""

from __future__ import annotations

from pathlib import Path

from tests.golden.eucanimage.ours import convert
from tests.golden.eucanimage.published import USE_CASES
from tests.services.validator import Validate


def test_the_validator_finds_no_error(shared: Path, tmp_path: Path, fhir_validator: Validate) -> None:
    results = [convert(case, shared, tmp_path / "eucanimage.key").fhir for case in USE_CASES]
    resources = [resource for fhir in results for kind in fhir for resource in fhir[kind]]
    assert len(resources) > 500
    errors = [issue for issue in fhir_validator(resources) if issue.severity in ("error", "fatal")]
    assert not errors, "\n".join(f"{one.location}: {one.message}" for one in errors[:20])
