"""All 29 records of EuCanImage load, but for values that the codebook doesn't list, and one dose without its unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.eucanimage.published import USE_CASES, UseCase, records, records_path

from caseweave.api import Result
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study

CELLS = {
    "eucanimage-uc1": {"cells": 192, "loaded": 159, "ignored": 30, "missing": 0, "rejected": 3},
    "eucanimage-uc3": {"cells": 120, "loaded": 110, "ignored": 10, "missing": 0, "rejected": 0},
    "eucanimage-uc4-5": {"cells": 84, "loaded": 78, "ignored": 6, "missing": 0, "rejected": 0},
    "eucanimage-uc6-8": {"cells": 18, "loaded": 16, "ignored": 2, "missing": 0, "rejected": 0},
    "eucanimage-uc7": {"cells": 232, "loaded": 218, "ignored": 10, "missing": 0, "rejected": 4},
}
# (record, field, rule): the six cells that EuCanImage's own quality tool calls impermissible too, and one dose
FINDINGS = {
    "eucanimage-uc1": {
        ("UC1_8", "indeterm_nodule", "not-in-value-set"),
        ("UC1_9", "indeterm_nodule", "not-in-value-set"),
        ("UC1_10", "indeterm_nodule", "not-in-value-set"),
    },
    "eucanimage-uc7": {
        ("UC7_3", "recurrence", "not-in-value-set"),
        ("UC7_2", "laterality", "not-in-value-set"),
        ("UC7_4", "laterality", "not-in-value-set"),
        ("UC7_2", "chemo_dose_1", "no-unit"),
    },
}
# (record, field, rule): what the records say against themselves or leave out; nothing of it is rejected
CONTRADICTIONS = {
    "eucanimage-uc3": {
        # a metastasis whose primary tumour has no T, N or M, neither clinical nor pathological
        ("UC3_3", "tnm_pt", "metastasis-without-t"),
        ("UC3_3", "tnm_pn", "metastasis-without-n"),
        ("UC3_3", "tnm_pm", "metastasis-without-m"),
    },
    "eucanimage-uc4-5": {
        # pN0, with 2, 2 and 7 metastatic nodes; 7 of 5 examined; a second drug without its cycles
        ("UC45_1", "tnm_ypn", "n0-with-metastatic-nodes"),
        ("UC45_2", "tnm_ypn", "n0-with-metastatic-nodes"),
        ("UC45_3", "tnm_ypn", "n0-with-metastatic-nodes"),
        ("UC45_3", "n_met_ln", "metastatic-nodes-beyond-examined"),
        ("UC45_2", "neoadj_2", "chemotherapy-2-without-cycles"),
    },
    "eucanimage-uc6-8": {("UC68_1", "bcstproxy_2", "second-biopsy-without-subtype")},
    "eucanimage-uc7": {
        # luminal and HER2-negative beside a positive FISH
        ("UC7_1", "bcstproxy", "subtype-fits-her2"),
        ("UC7_3", "bcstproxy", "subtype-fits-her2"),
        ("UC7_4", "bcstproxy", "subtype-fits-her2"),
        # 6 nodes positive of 5, and of 4; ypN0 and RCB-0 beside them; RCB-0 beside ypT1mi ypN1
        ("UC7_1", "ln_pos", "positive-nodes-beyond-examined"),
        ("UC7_4", "ln_pos", "positive-nodes-beyond-examined"),
        ("UC7_1", "tnm_ypn", "ypn0-with-positive-nodes"),
        ("UC7_1", "rcb", "rcb-0-with-residual-disease"),
        ("UC7_3", "rcb", "rcb-0-with-residual-disease"),
        # luminal A with 50 % of cells dividing
        ("UC7_3", "ki67", "luminal-a-with-high-ki-67"),
        ("UC7_4", "ki67", "luminal-a-with-high-ki-67"),
    },
}


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_every_record_loads(case: UseCase, shared: Path, results: dict[str, Result]) -> None:
    result = results[case.study]
    assert list(result.subjects) == list(records(case, shared))
    assert len(result.fhir["Patient"]) == len(result.subjects)
    assert result.balance == CELLS[case.study]
    names = {pseudonym: record for record, pseudonym in result.subjects.items()}
    rows = result.findings.to_dict("records")
    found = {(names[row["subject"]], row["field"], row["rule"]) for row in rows if row["severity"] == "error"}
    doubts = {(names[row["subject"]], row["field"], row["rule"]) for row in rows if row["severity"] != "error"}
    assert found == FINDINGS.get(case.study, set())
    assert doubts == CONTRADICTIONS.get(case.study, set())
    assert len(rows) == len(found) + len(doubts)


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_the_run_ends_with_the_exit_code_of_its_findings(
    case: UseCase, shared: Path, key_file: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "run")
    options = Options(key_file=key_file)
    outcome = run(load_study(case.study), [records_path(case, shared)], workspace, options)
    assert outcome.exit_code == (1 if case.study in FINDINGS else 0)


def test_the_impermissible_cells_are_those_of_the_projects_own_tool(shared: Path) -> None:
    text = (shared / "data" / "eucanimage_quality" / "oracle_29records_2332checks.csv").read_text(encoding="utf-8-sig")
    rows = [line.split(",") for line in text.splitlines()]
    theirs = {(row[1], row[2]) for row in rows if row[4] == "permissible" and row[-1] == "0"}
    ours = {
        (record, field) for cells in FINDINGS.values() for record, field, rule in cells if rule == "not-in-value-set"
    }
    assert theirs == ours and len(theirs) == 6


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_resources_are_valid_r4(case: UseCase, results: dict[str, Result]) -> None:
    fhir = results[case.study].fhir
    assert sum(len(fhir.models(kind)) for kind in fhir) == sum(len(fhir[kind]) for kind in fhir) > 10


@pytest.mark.parametrize("case", USE_CASES, ids=lambda case: case.study)
def test_patients_without_an_age_are_in_fhir_only(case: UseCase, shared: Path, results: dict[str, Result]) -> None:
    result = results[case.study]
    aged = [row for row in records(case, shared).values() if row["onsetage"]]
    persons = result.omop["person"]
    assert sorted(persons["year_of_birth"]) == sorted(2000 - int(row["onsetage"]) for row in aged)
    assert len(result.omop["observation_period"]) == len(aged)
    for table, column in (
        ("condition_occurrence", "condition_start_date"),
        ("measurement", "measurement_date"),
    ):
        assert {str(day)[:10] for day in result.omop[table][column]} <= {"2000-01-01"}
