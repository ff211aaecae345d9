"""What our studies make of the same records, as statements with the variable that each was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.golden.eucanimage.published import Statement, UseCase, records_path, statement_of

import caseweave
from caseweave.api import Result
from caseweave.identity.factids import fact_ids
from caseweave.identity.keyfile import project_key
from caseweave.spec.models import Statement as Spec

# the variable whose entry in the bundles a statement of several fields answers to
STATEMENTS = {
    ("eucanimage-uc1", "cancer"): "indeterm_nodule",
    ("eucanimage-uc3", "metastasis"): "onsetage",
    ("eucanimage-uc3", "primary"): "histopat",
    ("eucanimage-uc3", "lesion"): "histopat",
    ("eucanimage-uc4-5", "cancer"): "onsetage",
    ("eucanimage-uc6-8", "cancer"): "patientclass",
    ("eucanimage-uc7", "cancer"): "onsetage",
}
DRUGS = ("drug", "drug_untold")


def convert(case: UseCase, shared: Path, key_file: Path) -> Result:
    """The records of a use case as our study reads them."""
    return caseweave.load_study(case.study).convert(records_path(case, shared), key_file=key_file)


def variable_of(study: str, spec: Spec) -> str:
    """The variable of a statement: the field that means it, as the form's own header has it."""
    name = "chemo_drug_$i" if spec.name in DRUGS else STATEMENTS.get((study, spec.name), spec.name)
    return name.replace("_$i", "" if spec.repeat_index in ("", "1") else f"_{spec.repeat_index}")


def statements(case: UseCase, result: Result, key_file: Path) -> list[Statement]:
    """All statements of a conversion, Patients left out; a resource is found by the id of its fact."""
    spec = caseweave.load_study(case.study).spec
    key = project_key(spec.project or spec.name, key_file=key_file)
    by_fact: dict[str, list[dict[str, Any]]] = {}
    for kind in result.fhir:
        for resource in result.fhir[kind]:
            by_fact.setdefault(resource["id"].partition("-")[0], []).append(resource)
    found: list[Statement] = []
    for one in spec.statements:
        pseudonyms = list(result.subjects.values())
        for record, fact in zip(result.subjects, fact_ids(key, spec.name, one.identity, pseudonyms), strict=True):
            # what else a fact is rendered to (the specimen of a biopsy) has a longer id
            resources = sorted(by_fact.pop(fact.decode(), []), key=lambda resource: len(resource["id"]))
            found += [statement_of(resource, record, variable_of(spec.name, one)) for resource in resources[:1]]
    left = [resources for resources in by_fact.values() if resources[0]["resourceType"] != "Patient"]
    assert not left, f"{len(left)} resources that no statement made, {left[0]}"
    assert len(by_fact) == len(result.subjects)
    return found
