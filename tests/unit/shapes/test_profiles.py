"""What the mCODE profiles demand, against facts read in the published package."""

from __future__ import annotations

import pytest

from caseweave.shapes.profiles import ProfileElement, profiles, value_set

MCODE = "http://hl7.org/fhir/us/mcode/"
SCT = "http://snomed.info/sct"


def element(profile: str, element_id: str) -> ProfileElement:
    found = profiles()[profile].element(element_id)
    assert found is not None, f"{profile} says nothing of {element_id}"
    return found


def test_all_profiles_of_the_package_are_there() -> None:
    found = profiles()
    assert len(found) == 53
    assert all(one.url == f"{MCODE}StructureDefinition/{name}" for name, one in found.items())
    assert found["mcode-tnm-category"].abstract and not found["mcode-tumor"].abstract


@pytest.mark.parametrize(
    ("profile", "element_id", "least", "most"),
    [
        ("mcode-primary-cancer-condition", "Condition.category", 1, "*"),
        ("mcode-primary-cancer-condition", "Condition.code", 1, "1"),
        ("mcode-cancer-patient", "Patient.identifier", 1, "*"),
        ("mcode-cancer-patient", "Patient.name", 1, "*"),
        ("mcode-cancer-patient", "Patient.gender", 1, "1"),
        ("mcode-tnm-stage-group", "Observation.method", 1, "1"),
        ("mcode-tnm-stage-group", "Observation.focus", 1, "1"),
        ("mcode-tnm-stage-group", "Observation.hasMember:TNMCategory", 0, "3"),
        ("mcode-histologic-grade", "Observation.value[x]", 1, "1"),
        ("mcode-tumor-marker-test", "Observation.value[x]", 1, "1"),
        ("mcode-tumor-size", "Observation.focus", 0, "1"),
        ("mcode-tumor-size", "Observation.component:tumorLongestDimension", 1, "1"),
        ("mcode-tumor", "BodyStructure.identifier", 1, "*"),
        ("mcode-cancer-related-medication-administration", "MedicationAdministration.effective[x]", 1, "1"),
        ("mcode-human-specimen", "Specimen.type", 1, "1"),
    ],
)
def test_cardinalities(profile: str, element_id: str, least: int, most: str) -> None:
    found = element(profile, element_id)
    assert (found.min, found.max) == (least, most)


@pytest.mark.parametrize(
    ("profile", "types"),
    [
        ("mcode-tumor-marker-test", {"Quantity", "Ratio", "string", "CodeableConcept"}),
        ("mcode-ecog-performance-status", {"integer"}),
        ("mcode-comorbidities", {"Quantity", "integer"}),
    ],
)
def test_types_of_values(profile: str, types: set[str]) -> None:
    assert set(element(profile, "Observation.value[x]").types) == types


@pytest.mark.parametrize(
    ("profile", "element_id", "system", "code"),
    [
        ("mcode-histologic-grade", "Observation.code", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "C18000"),
        ("mcode-ecog-performance-status", "Observation.code", "http://loinc.org", "89247-1"),
        ("mcode-cancer-disease-status", "Observation.code", "http://loinc.org", "97509-4"),
        ("mcode-tumor-size", "Observation.code", "http://loinc.org", "21889-1"),
        ("mcode-comorbidities", "Observation.code", SCT, "398192003"),
        ("mcode-radiotherapy-course-summary", "Procedure.code", SCT, "1217123003"),
        ("mcode-genomic-variant", "Observation.code", "http://loinc.org", "69548-6"),
    ],
)
def test_patterns(profile: str, element_id: str, system: str, code: str) -> None:
    coding = element(profile, element_id).pattern["coding"]
    assert [(one["system"], one["code"]) for one in coding] == [(system, code)]


def test_fixed_url_of_an_extension() -> None:
    found = element("mcode-related-condition", "Extension.url")
    assert found.fixed == f"{MCODE}StructureDefinition/mcode-related-condition"


def test_extensions_are_named_by_url() -> None:
    found = profiles()["mcode-tumor-marker-test"].extensions
    assert [one.slice for one in found.values()] == ["relatedCondition"]
    assert f"{MCODE}StructureDefinition/mcode-histology-morphology-behavior" in (
        profiles()["mcode-primary-cancer-condition"].extensions
    )


def test_reference_targets() -> None:
    focus = element("mcode-tnm-stage-group", "Observation.focus")
    assert focus.targets == (f"{MCODE}StructureDefinition/mcode-primary-cancer-condition",)


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        ("mcode-tumor-marker-test", {"us-core-1", "us-core-2", "us-core-3"}),
        ("mcode-tumor-size", {"must-have-focus-or-specimen-invariant"}),
        ("mcode-cancer-related-surgical-procedure", {"us-core-7"}),
        ("mcode-cancer-patient", {"us-core-6"}),
    ],
)
def test_rules(profile: str, keys: set[str]) -> None:
    assert keys <= {rule.key for rule in profiles()[profile].rules}


def test_a_listed_value_set_says_yes_or_no() -> None:
    found = value_set(element("mcode-cancer-disease-status", "Observation.value[x]").max_value_set)
    assert found is not None and found.complete and len(found.codes) == 9
    assert found.holds(SCT, "359746009") is True
    assert found.holds(SCT, "1") is False


def test_a_described_value_set_says_what_it_can() -> None:
    found = value_set(element("mcode-tnm-stage-group", "Observation.value[x]").max_value_set)
    assert found is not None and not found.complete
    assert found.holds(SCT, "1222593009") is None
    assert found.holds("http://loinc.org", "LA1-1") is False


def test_laterality_has_four_codes() -> None:
    found = value_set(f"{MCODE}ValueSet/mcode-laterality-qualifier-vs|4.0.0")
    assert found is not None
    assert {code for _, code in found.codes} == {"7771000", "24028007", "51440002", "399488007"}


def test_value_sets_of_others_are_not_here() -> None:
    assert value_set("http://loinc.org/vs/LL529-9") is None
