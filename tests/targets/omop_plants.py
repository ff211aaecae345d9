"""What is done to the clean rows of breast, and which check of the OMOP suite must tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ABOUT = "WHERE measurement_event_id IS NOT NULL"
ONE = "WHERE measurement_id = (SELECT min(measurement_id) FROM measurement)"
FIRST = "(SELECT min(person_id) FROM observation_period)"
PERIOD = "person_id, observation_period_start_date, observation_period_end_date, period_type_concept_id"
SECOND_PERIOD = (
    f"INSERT INTO observation_period (observation_period_id, {PERIOD}) "
    f"SELECT 99, {PERIOD} FROM observation_period WHERE person_id = {FIRST}"
)
CENTIMETRE = "(SELECT concept_id FROM concept WHERE concept_code = 'cm')"
WEIGHT = "WHERE measurement_concept_id = (SELECT concept_id FROM concept WHERE concept_code = '29463-7')"
PROSTATE = (
    "INSERT INTO concept (concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, standard_concept, "
    "concept_code, valid_start_date, valid_end_date) VALUES (4163261, 'Malignant tumor of prostate', 'Condition', "
    "'SNOMED', 'Clinical Finding', 'S', '399068003', '1970-01-01', '2099-12-31')"
)


@dataclass(frozen=True)
class Plant:
    """What is done, and the check that must tell of it; `sqlite: ` or `postgresql: ` before what only one needs."""

    check: str
    statements: Sequence[str]
    violated: int = 0  # 0: as many as are hit

    @property
    def kind(self) -> str:
        return self.check.split(".")[0]


def visit(person: int, day: str) -> str:
    """A visit of a person."""
    return (
        "INSERT INTO visit_occurrence (visit_occurrence_id, person_id, visit_concept_id, visit_start_date, "
        f"visit_end_date, visit_type_concept_id) VALUES (99, {person}, 9202, '{day}', '{day}', 32809)"
    )


def loose(table: str, column: str, kind: str) -> str:
    """PostgreSQL keeps types by itself: the column has to be made a text to hold what is none."""
    return f"postgresql: ALTER TABLE {table} ALTER {column} TYPE {kind}"


PLANTS = (
    Plant("cdmTable.note", ["DROP TABLE note"], 1),
    Plant("cdmField.person.ethnicity_source_value", [
        "ALTER TABLE person DROP COLUMN ethnicity_source_value"], 1),
    Plant("isRequired.measurement.measurement_date", [
        "sqlite: CREATE TABLE copy AS SELECT * FROM measurement", "sqlite: DROP TABLE measurement",
        "sqlite: ALTER TABLE copy RENAME TO measurement",
        "postgresql: ALTER TABLE measurement ALTER measurement_date DROP NOT NULL",
        f"UPDATE measurement SET measurement_date = NULL {ONE}",
    ], 1),
    Plant("cdmDatatype.measurement.value_as_number", [
        loose("measurement", "value_as_number", "text"), f"UPDATE measurement SET value_as_number = 'high' {ONE}"], 1),
    Plant("cdmDatatype.death.death_date", [
        loose("death", "death_date", "text"), "UPDATE death SET death_date = '2022-09-30 00:00'"]),
    Plant("cdmDatatype.person.birth_datetime", [
        loose("person", "birth_datetime", "text"), "UPDATE person SET birth_datetime = '2022-02-30 or so'"]),
    Plant("cdmDatatype.person.year_of_birth", [
        loose("person", "year_of_birth", "bigint"), "UPDATE person SET year_of_birth = 3000000000"]),
    Plant("cdmDatatype.measurement.measurement_source_value", [
        loose("measurement", "measurement_source_value", "text"),
        f"UPDATE measurement SET measurement_source_value = '{'a' * 51}' {ONE}"], 1),
    Plant("isPrimaryKey.measurement.measurement_id", [
        "sqlite: CREATE TABLE copy AS SELECT * FROM measurement", "sqlite: DROP TABLE measurement",
        "sqlite: ALTER TABLE copy RENAME TO measurement",
        f"INSERT INTO measurement SELECT * FROM measurement {ONE}"], 2),
    Plant("isForeignKey.measurement.measurement_concept_id", [
        f"UPDATE measurement SET measurement_concept_id = 99 {ONE}"], 1),
    Plant("isForeignKey.measurement.person_id", [f"UPDATE measurement SET person_id = 999999 {ONE}"], 1),
    Plant("fkDomain.condition_occurrence.condition_concept_id", [
        "UPDATE condition_occurrence SET condition_concept_id = 8532"]),
    Plant("fkDomain.measurement.unit_concept_id", [f"UPDATE measurement SET unit_concept_id = 32809 {ONE}"], 1),
    Plant("fkDomain.observation.observation_concept_id", ["UPDATE observation SET observation_concept_id = 32809"]),
    Plant("fkClass.measurement.meas_event_field_concept_id", [
        f"UPDATE measurement SET meas_event_field_concept_id = 32809 {ABOUT}"]),
    Plant("isStandardValidConcept.person.gender_concept_id", [
        "UPDATE concept SET standard_concept = NULL WHERE concept_id = 8532"]),
    Plant("isStandardValidConcept.person.gender_concept_id", [
        "UPDATE concept SET invalid_reason = 'D' WHERE concept_id = 8532"]),
    Plant("linkedEvent.measurement.measurement_event_id", [
        f"UPDATE measurement SET measurement_event_id = 999999 {ABOUT}"]),
    Plant("linkedEvent.measurement.measurement_event_id", [
        f"UPDATE measurement SET meas_event_field_concept_id = NULL {ABOUT}"]),
    Plant("linkedEvent.measurement.measurement_event_id", [
        f"UPDATE measurement SET person_id = person_id % 3 + 1 {ABOUT}"]),
    Plant("linkedEvent.episode_event.event_id", ["UPDATE episode_event SET event_id = 999999"]),
    Plant("samePerson.episode.episode_parent_id", [
        "UPDATE episode SET episode_parent_id = 999 WHERE episode_id = 1"], 1),
    Plant("samePerson.procedure_occurrence.visit_occurrence_id", [
        visit(2, '2021-01-01'),
        "UPDATE procedure_occurrence SET visit_occurrence_id = 99, person_id = 1 WHERE procedure_occurrence_id = 1",
    ], 1),
    Plant("onePerPerson.death", ["INSERT INTO death SELECT * FROM death"]),
    Plant("periodsApart.observation_period", [
        SECOND_PERIOD], 2),
    Plant("measurePersonCompleteness.observation_period", [
        f"DELETE FROM observation_period WHERE person_id = {FIRST}"], 1),
    Plant("measureValueCompleteness.measurement.value_as_number", ["UPDATE measurement SET value_as_number = NULL"]),
    Plant("standardConceptRecordCompleteness.measurement.measurement_concept_id", [
        "UPDATE measurement SET measurement_concept_id = 0"]),
    Plant("sourceConceptRecordCompleteness.measurement.measurement_source_concept_id", [
        "UPDATE measurement SET measurement_source_concept_id = 0"]),
    Plant("sourceValueCompleteness.measurement.measurement_source_value", [
        "UPDATE measurement SET measurement_concept_id = 0"]),
    Plant("plausibleValueLow.person.year_of_birth", ["UPDATE person SET year_of_birth = 1849"]),
    Plant("plausibleValueHigh.person.month_of_birth", ["UPDATE person SET month_of_birth = 13"]),
    Plant("plausibleTemporalAfter.measurement.measurement_date", [
        f"UPDATE measurement SET measurement_date = '1899-12-31' {ONE}"], 1),
    Plant("plausibleTemporalBefore.measurement.measurement_date", [
        f"UPDATE measurement SET measurement_date = '2999-12-31' {ONE}"], 1),
    Plant("plausibleAfterBirth.measurement.measurement_date", [
        f"UPDATE measurement SET measurement_date = '1920-01-01' {ONE}"], 1),
    Plant("plausibleAfterBirth.death.death_date", ["UPDATE person SET birth_datetime = '2023-01-01 00:00:00'"]),
    Plant("plausibleBeforeDeath.measurement.measurement_date", [
        "UPDATE measurement SET measurement_date = '2025-01-01' WHERE person_id IN (SELECT person_id FROM death)"]),
    Plant("withinObservationPeriod.observation.observation_date", [
        "UPDATE observation SET observation_date = '1999-01-01' WHERE observation_id = 1"], 1),
    Plant("withinVisitDates.procedure_occurrence.procedure_date", [
        visit(1, '1999-01-01'),
        "UPDATE procedure_occurrence SET visit_occurrence_id = 99"]),
    Plant("plausibleStartBeforeEnd.drug_exposure.drug_exposure_start_date.drug_exposure_end_date", [
        "UPDATE drug_exposure SET drug_exposure_end_date = '2001-01-01' WHERE drug_exposure_id = 1"], 1),
    Plant("plausibleUnitConceptIds.measurement.unit_concept_id.LOINC|29463-7", [
        f"UPDATE measurement SET unit_concept_id = {CENTIMETRE} {WEIGHT}"]),
    Plant("plausibleConceptLow.measurement.value_as_number.LOINC|29463-7.kg", [
        f"UPDATE measurement SET value_as_number = 7 {WEIGHT}"]),
    Plant("plausibleConceptHigh.measurement.value_as_number.LOINC|29463-7.kg", [
        f"UPDATE measurement SET value_as_number = 700 {WEIGHT}"]),
    Plant("plausibleGender.condition_occurrence.condition_concept_id.SNOMED|399068003", [
        PROSTATE, "UPDATE condition_occurrence SET condition_concept_id = 4163261",
        "UPDATE person SET gender_concept_id = 8532"]),
    Plant("plausibleGender.condition_occurrence.condition_concept_id.ICDO3|%-C61.%", [
        PROSTATE.replace("SNOMED", "ICDO3").replace("399068003", "8140/3-C61.9"),
        "UPDATE condition_occurrence SET condition_concept_id = 4163261",
        "UPDATE person SET gender_concept_id = 8532"]),
)  # fmt: skip
