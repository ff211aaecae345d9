"""What our EuCanImage studies emit, before the judge: FHIR R4, US Core 6.1.0 and mCODE STU4."""

from __future__ import annotations

from tests.services.validator import Validate

from caseweave.api import Result


def test_the_validator_finds_no_error(results: dict[str, Result], fhir_validator: Validate) -> None:
    resources = [one for result in results.values() for kind in result.fhir for one in result.fhir[kind]]
    assert len(resources) > 500
    errors = [issue for issue in fhir_validator(resources) if issue.severity in ("error", "fatal")]
    assert not errors, "\n".join(f"{one.location}: {one.message}" for one in errors[:20])


def test_the_evidence_is_what_mcode_requires(results: dict[str, Result]) -> None:
    # mcode-cancer-disease-status-evidence-type-vs is bound as required; the validator has no SNOMED CT to look into it
    required = {"714797009", "363679005"}
    conditions = [one for result in results.values() for one in result.fhir["Condition"]]
    concepts = [code for one in conditions for evidence in one.get("evidence", ()) for code in evidence["code"]]
    assert len(concepts) == 8
    assert all({coding["code"] for coding in concept["coding"]} & required for concept in concepts)
