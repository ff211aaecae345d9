"""The tables of the OMOP CDM: OHDSI's list, and the columns that play a role."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from caseweave.assets import data_path
from caseweave.shapes.build_omop import COLUMNS, build
from caseweave.shapes.omop import omop_shapes


def test_modules() -> None:
    plain, oncology = omop_shapes("5.3").tables, omop_shapes("5.3", oncology=True).tables
    assert set(oncology) - set(plain) == {"episode", "episode_event"}
    assert len(oncology["measurement"].fields) == len(plain["measurement"].fields) + 2
    assert set(omop_shapes("5.4", imaging=True).tables) - set(omop_shapes("5.4").tables) == {
        "image_occurrence",
        "image_feature",
    }
    assert "episode" in omop_shapes("5.4").tables and omop_shapes() is omop_shapes()


ROLES = [
    ("5.4", "measurement", "event_id", "measurement_event_id"),
    ("5.4", "measurement", "event_field", "meas_event_field_concept_id"),
    ("5.4", "observation", "event_id", "observation_event_id"),
    ("5.4", "observation", "event_field", "obs_event_field_concept_id"),
    ("5.4", "note", "event_field", "note_event_field_concept_id"),
    ("5.4", "episode_event", "event_field", "episode_event_field_concept_id"),
    ("5.3+", "measurement", "event_id", "modifier_of_event_id"),
    ("5.3+", "measurement", "event_field", "modifier_of_field_concept_id"),
    ("5.3+", "observation", "event_id", None),
    ("5.3", "measurement", "event_id", None),
    ("5.4", "condition_occurrence", "concept", "condition_concept_id"),
    ("5.4", "condition_occurrence", "date", "condition_start_date"),
    ("5.4", "condition_occurrence", "end_date", "condition_end_date"),
    ("5.4", "condition_occurrence", "value_as_number", None),
    ("5.4", "drug_exposure", "date", "drug_exposure_start_date"),
    ("5.4", "drug_exposure", "type_concept", "drug_type_concept_id"),
    ("5.4", "procedure_occurrence", "end_date", "procedure_end_date"),
    ("5.3", "procedure_occurrence", "end_date", None),
    ("5.4", "measurement", "unit_source_concept", "unit_source_concept_id"),
    ("5.3", "measurement", "unit_source_concept", None),
    ("5.4", "observation", "value_as_string", "value_as_string"),
    ("5.4", "measurement", "value_as_string", None),
    ("5.4", "observation_period", "type_concept", "period_type_concept_id"),
    ("5.4", "death", "concept", "cause_concept_id"),
    ("5.4", "death", "date", "death_date"),
    ("5.4", "death", "id_column", None),
    ("5.4", "specimen", "source_concept", None),
    ("5.4", "person", "id_column", "person_id"),
    ("5.4", "person", "concept", None),
    ("5.4", "episode", "date", "episode_start_date"),
]


@pytest.mark.parametrize(("cdm", "table", "role", "column"), ROLES)
def test_roles(cdm: str, table: str, role: str, column: str | None) -> None:
    assert getattr(omop_shapes(cdm.rstrip("+"), oncology=cdm.endswith("+")).tables[table], role) == column


def test_fields() -> None:
    measurement = omop_shapes("5.4").tables["measurement"]
    value = measurement.field("value_source_value")
    assert value is not None and value.width == 50 and not value.required
    assert measurement.field("colour") is None
    concept = measurement.field("measurement_concept_id")
    assert concept is not None and (concept.fk_table, concept.fk_domain) == ("concept", "Measurement")


def test_keys_point_to_what_is_there() -> None:
    for arguments in (("5.3", True, True), ("5.4", False, True)):
        tables = omop_shapes(*arguments).tables
        for table in tables.values():
            for field in table.fields:
                if field.fk_table:
                    target = tables[field.fk_table].field(field.fk_field)
                    assert target is not None and target.primary_key, f"{table.name}.{field.name}"


def test_the_list_is_what_the_script_makes(shared: Path, tmp_path: Path) -> None:
    build(shared / "standards" / "omop_fields.csv", tmp_path / "made.csv")
    shipped = data_path("vocabularies") / "shapes" / "omop_fields.csv"
    assert (tmp_path / "made.csv").read_bytes() == shipped.read_bytes()


def test_the_script_fills_what_the_imaging_list_leaves_out(tmp_path: Path) -> None:
    source = tmp_path / "fields.csv"
    source.write_text(
        f"{','.join(COLUMNS)},fk_class\nimaging,image_feature,modality_concept_id,int,yes,no,concept,,,\n", "utf-8"
    )
    build(source, tmp_path / "made.csv")
    with (tmp_path / "made.csv").open(encoding="utf-8") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["datatype"], row["fk_field"]) == ("integer", "concept_id")
