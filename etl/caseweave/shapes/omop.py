"""The tables of the OMOP CDM: fields, types, keys, and which column plays which role."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from caseweave.assets import data_path
from caseweave.errors import UsageError

Cdm = Literal["5.3", "5.4"]
FIELDS_FILE = "shapes/omop_fields.csv"

# the columns of a table are named after its stem, which isn't always its name
STEMS = {
    "condition_occurrence": "condition",
    "procedure_occurrence": "procedure",
    "visit_occurrence": "visit",
    "drug_exposure": "drug",
    "device_exposure": "device",
}
# dates, other than those of concepts, follow these stems
DATE_STEMS = {"drug_exposure": "drug_exposure", "device_exposure": "device_exposure"}
# role -> the names it can have, the first that the table has counts; {} is the stem
ROLES: dict[str, tuple[str, ...]] = {
    "concept": ("{}_concept_id", "cause_concept_id"),
    "source_value": ("{}_source_value", "cause_source_value"),
    "source_concept": ("{}_source_concept_id", "cause_source_concept_id"),
    "date": ("{}_start_date", "{}_date"),
    "datetime": ("{}_start_datetime", "{}_datetime"),
    "end_date": ("{}_end_date",),
    "end_datetime": ("{}_end_datetime",),
    "type_concept": ("{}_type_concept_id", "period_type_concept_id"),
    "event_id": ("modifier_of_event_id", "{}_event_id", "event_id"),
    "event_field": (
        "modifier_of_field_concept_id",
        "meas_event_field_concept_id",
        "obs_event_field_concept_id",
        "{}_event_field_concept_id",
        "{}_field_concept_id",
    ),
    "value_as_number": ("value_as_number",),
    "value_as_string": ("value_as_string",),
    "value_as_concept": ("value_as_concept_id",),
    "value_source_value": ("value_source_value",),
    "unit": ("unit_concept_id",),
    "unit_source_value": ("unit_source_value",),
    "unit_source_concept": ("unit_source_concept_id",),
    "operator": ("operator_concept_id",),
    "qualifier": ("qualifier_concept_id",),
    "qualifier_source_value": ("qualifier_source_value",),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column; `datatype` as the CDM says it: integer, bigint, float, date, datetime, varchar(n), varchar(max)."""

    name: str
    datatype: str
    required: bool
    primary_key: bool
    fk_table: str = ""
    fk_field: str = ""
    fk_domain: str = ""

    @property
    def width(self) -> int | None:
        """How many characters a varchar(n) holds; None where there is no limit."""
        inside = self.datatype[8:-1]
        return int(inside) if self.datatype.startswith("varchar(") and inside.isdigit() else None


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the columns that play a role stand under the role's name, None where it has none."""

    name: str
    fields: tuple[Field, ...]
    id_column: str | None = None
    concept: str | None = None
    source_value: str | None = None
    source_concept: str | None = None
    date: str | None = None
    datetime: str | None = None
    end_date: str | None = None
    end_datetime: str | None = None
    type_concept: str | None = None
    event_id: str | None = None
    event_field: str | None = None
    value_as_number: str | None = None
    value_as_string: str | None = None
    value_as_concept: str | None = None
    value_source_value: str | None = None
    unit: str | None = None
    unit_source_value: str | None = None
    unit_source_concept: str | None = None
    operator: str | None = None
    qualifier: str | None = None
    qualifier_source_value: str | None = None

    def field(self, name: str) -> Field | None:
        """The column of that name, or None."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True, slots=True)
class OmopShapes:
    """All tables of one CDM with its extensions, in the order of OHDSI's list."""

    cdm: Cdm
    oncology: bool
    imaging: bool
    tables: Mapping[str, Table]

    @property
    def name(self) -> str:
        """What people call it: CDM 5.3 with oncology and imaging."""
        extras = " and ".join(filter(None, ("oncology" * self.oncology, "imaging" * self.imaging)))
        return f"CDM {self.cdm}{f' with {extras}' if extras else ''}"


@lru_cache(maxsize=8)
def omop_shapes(cdm: str = "5.4", oncology: bool = False, imaging: bool = False) -> OmopShapes:
    """Load the tables of a CDM (OHDSI field lists for 5.3 and 5.4, oncology extension of 5.3, imaging extension).

    >>> omop_shapes("5.3", oncology=True).tables["measurement"].event_id
    'modifier_of_event_id'

    Arguments: `cdm`, "5.3" or "5.4"; `oncology` adds to 5.3 what 5.4 has inside; `imaging` adds the image tables.
    Raises UsageError for another CDM.
    """
    if cdm not in ("5.3", "5.4"):
        raise UsageError(f"There is no OMOP CDM {cdm!r} here.", way_out='Say "5.3" or "5.4".', cdm=cdm)
    modules = [f"cdm{cdm}"] + ["oncology5.3"] * (oncology and cdm == "5.3") + ["imaging"] * imaging
    found: dict[str, dict[str, Field]] = {}
    for module, table, field in _rows():
        if module in modules:
            found.setdefault(table, {})[field.name] = field
    tables = {name: _table(name, tuple(fields.values())) for name, fields in found.items()}
    return OmopShapes("5.3" if cdm == "5.3" else "5.4", oncology, imaging, tables)


@lru_cache(maxsize=1)
def _rows() -> tuple[tuple[str, str, Field], ...]:
    with (data_path("vocabularies") / FIELDS_FILE).open(encoding="utf-8", newline="") as lines:
        return tuple(
            (
                row["module"],
                row["table"],
                Field(
                    row["field"],
                    row["datatype"],
                    row["required"] == "yes",
                    row["primary_key"] == "yes",
                    row["fk_table"],
                    row["fk_field"],
                    row["fk_domain"],
                ),
            )
            for row in csv.DictReader(lines)
        )


def _table(name: str, fields: tuple[Field, ...]) -> Table:
    names = {field.name for field in fields}
    stem = STEMS.get(name, name)
    stems = (stem, DATE_STEMS[name]) if name in DATE_STEMS else (stem,)

    def role(candidates: tuple[str, ...]) -> str | None:
        spelled = (one.format(each) for one in candidates for each in stems)
        return next((one for one in spelled if one in names), None)

    roles = {key: role(candidates) for key, candidates in ROLES.items()}
    id_column = next((field.name for field in fields if field.primary_key), None)
    return Table(name, fields, id_column, **roles)
