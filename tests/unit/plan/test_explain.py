"""`caseweave explain`: per field what it holds, what it means, where it goes, and its codes with their display."""

from __future__ import annotations

from pathlib import Path

import pytest

from caseweave.plan.explain import CodeRow, explain
from caseweave.spec.loader import list_studies, load_study


def test_a_coded_field_is_explained(lung: Path) -> None:
    [egfr] = explain(load_study(lung), "egfr")
    [meaning] = egfr.means
    assert (egfr.sheet, egfr.holds, egfr.line) == ("diagnosis", "code of yes-no", 7)
    assert (meaning.statement, meaning.slot, meaning.pattern, meaning.about) == (
        "diagnosis.egfr", "value", "marker", "A marker.",
    )  # fmt: skip
    assert egfr.fhir == ("Observation.valueCodeableConcept",)
    assert egfr.omop == ("measurement.value_as_concept_id", "measurement.value_source_value")
    assert [(row.local, row.code) for row in egfr.codes] == [
        ("yes", "SCT|373066001"), ("no", "SCT|373067005"), ("unk", "missing: unknown"), ("", "LNC|21665-5"),
    ]  # fmt: skip
    assert CodeRow("yes", "Yes", "SCT|373066001", "Yes") in egfr.codes


def test_numbers_dates_and_tables_say_where_they_go(lung: Path) -> None:
    rows = {row.field: row for row in explain(load_study(lung))}
    assert rows["cea"].holds == "number in ng/mL (or ug/L) from 0 to 90000"
    assert rows["cea"].fhir == ("Observation.valueQuantity",)
    assert rows["cea"].omop == ("measurement.value_as_number", "measurement.unit_concept_id",
                                "measurement.operator_concept_id")  # fmt: skip
    assert rows["diagnosis_date"].holds == "date known at least to the month, required where sex is present"
    assert rows["diagnosis_date"].fhir[-1] == "Condition.onsetDateTime"
    assert "condition_occurrence.condition_start_date" in rows["diagnosis_date"].omop
    assert rows["sex"].fhir == ("Patient.gender",) and rows["sex"].omop == ("person.gender_concept_id",)
    assert [row.code for row in rows["sex"].codes if row.code] == ["GENDER|female", "GENDER|male"]
    assert rows["patient_id"].part == "subject"
    assert rows["comments"].ignored == "free text, may identify the patient" and not rows["comments"].means


def test_one_field_or_all_of_its_repeats(lung: Path) -> None:
    study = load_study(lung)
    assert [row.field for row in explain(study, "lesion_$i_size")] == [
        "lesion_1_size",
        "lesion_2_size",
        "lesion_3_size",
    ]
    assert [row.field for row in explain(study, "diagnosis.cea")] == ["cea"]
    assert explain(study, "nothing") == []


@pytest.mark.parametrize("name", list_studies())
def test_every_field_of_a_shipped_study_goes_somewhere_or_says_why_not(name: str) -> None:
    rows = explain(load_study(name))
    assert [row.field for row in rows if not (row.ignored or row.fhir or row.omop or row.part)] == []
    unknown = [(row.field, one.code) for row in rows for one in row.codes
               if "|" in one.code and not one.display and not one.code.startswith(("LOCAL|", "OMOP|"))]  # fmt: skip
    assert unknown == []
