"""CDM_SOURCE and METADATA: where the rows of a database come from, and which of its dates are synthetic."""

from __future__ import annotations

import datetime

from caseweave.targets.omop.database import Database

SYNTHETIC = "Dates are synthetic: {} stands for the start, intervals are true (the study has no calendar dates)."


def describe(
    database: Database, study: str, title: str, version: str, release: str, anchor: datetime.date | None
) -> None:
    """Write the CDM_SOURCE row of a database that has none, and the study's METADATA row."""
    today = datetime.date.today().isoformat()
    shapes = database.shapes
    told = SYNTHETIC.format(anchor.isoformat()) if anchor else ""
    if not database.select("SELECT 1 FROM cdm_source"):
        row: dict[str, object] = {
            "cdm_source_name": title,
            "cdm_source_abbreviation": study[:25],
            "cdm_holder": "the site that ran Caseweave",
            "source_description": f"Case report forms of study {study}, version {version}. {told}".strip(),
            "cdm_etl_reference": "Caseweave",
            "source_release_date": today,
            "cdm_release_date": today,
            "cdm_version": shapes.cdm,
            "cdm_version_concept_id": 0,
            "vocabulary_version": release[:20],
        }
        known = {one.name for one in shapes.tables["cdm_source"].fields}
        kept = {name: value for name, value in row.items() if name in known}
        database.insert("cdm_source", list(kept), [tuple(kept.values())])
    if told and not database.select("SELECT 1 FROM metadata WHERE name = ?", f"{study} anchor"):
        row = {
            "metadata_concept_id": 0,
            "metadata_type_concept_id": 0,
            "name": f"{study} anchor",
            "value_as_string": told,
            "metadata_date": today,
        }
        if any(one.name == "metadata_id" for one in shapes.tables["metadata"].fields):
            row["metadata_id"] = database.largest("metadata", "metadata_id") + 1
        database.insert("metadata", list(row), [tuple(row.values())])
