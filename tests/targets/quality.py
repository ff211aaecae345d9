"""An OMOP database held against the CDM: fields, types, widths, keys, dates, concepts.

What OHDSI's Data Quality Dashboard asks (conformance, completeness, plausibility), over SQLite.
"""

from __future__ import annotations

import datetime
import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from caseweave.shapes.omop import Field, OmopShapes, Table
from caseweave.targets.omop.ddl import VOCABULARY_TABLES
from caseweave.terms import conventions

Row = dict[str, Any]
DATE = re.compile(r"\d{4}-\d\d-\d\d")
LARGEST_INTEGER = 2**31 - 1
# after a death: bills and reports come in for some weeks (DQD, plausibleAfterDeath: 60 days; ours: a month)
DAYS_AFTER_DEATH = 31
# what the list of fields doesn't say: where it names no domain, and where its prose allows more (CDM 5.4, EPISODE: the
# object of a disease episode is a condition)
DOMAINS: Mapping[tuple[str, str], frozenset[str]] = {
    ("observation", "observation_concept_id"): frozenset(
        # an observation is whatever nothing else is: a condition that was refuted, a procedure that was answered
        {"Observation", "Condition", "Procedure", "Meas Value", "Measurement", "Race", "Gender", "Spec Anatomic Site"}
    ),
    ("episode", "episode_object_concept_id"): frozenset({"Procedure", "Regimen", "Condition", "Drug"}),
    ("specimen", "specimen_concept_id"): frozenset({"Specimen"}),
    ("measurement", "operator_concept_id"): frozenset({"Meas Value Operator"}),
    ("measurement", "meas_event_field_concept_id"): frozenset({"Metadata"}),
    ("observation", "obs_event_field_concept_id"): frozenset({"Metadata"}),
}
EVENT_TABLES = {
    "event-field-condition": "condition_occurrence",
    "event-field-procedure": "procedure_occurrence",
    "event-field-drug": "drug_exposure",
    "event-field-measurement": "measurement",
    "event-field-observation": "observation",
    "event-field-episode": "episode",
    "event-field-visit": "visit_occurrence",
}


class Quality:
    """All failures of a database; a failure is one line that says where and what."""

    def __init__(self, connection: sqlite3.Connection, shapes: OmopShapes, *, plausible: bool = True) -> None:
        self.connection, self.shapes, self.plausible = connection, shapes, plausible
        self.rows = {name: self.read(name) for name in shapes.tables}
        self.concepts = {row["concept_id"]: row for row in self.rows["concept"]}

    def read(self, table: str) -> list[Row]:
        names = [one.name for one in self.shapes.tables[table].fields]
        quoted = ", ".join(f'"{name}"' for name in names)
        return [
            dict(zip(names, row, strict=True)) for row in self.connection.execute(f'SELECT {quoted} FROM "{table}"')
        ]

    def clinical(self) -> Iterator[tuple[Table, list[Row]]]:
        """The tables about people, with their rows."""
        for name, table in self.shapes.tables.items():
            if name not in VOCABULARY_TABLES and self.rows[name]:
                yield table, self.rows[name]

    def failures(self) -> list[str]:
        """Everything that fails."""
        found = [*self.presence(), *self.types(), *self.keys(), *self.persons(), *self.events(), *self.standard()]
        # what isn't a date can't be early or late
        return found or list(self.dates() if self.plausible else ())

    def presence(self) -> Iterator[str]:
        """The tables and columns are there as the CDM has them, and what is required is filled."""
        for name, table in self.shapes.tables.items():
            there = [row[1] for row in self.connection.execute(f"PRAGMA table_info({name})")]
            if there != [one.name for one in table.fields]:
                yield f"{name}: columns {there}"
            for column in table.fields:
                if column.required:
                    empty = sum(row[column.name] is None for row in self.rows[name])
                    if empty:
                        yield f"{name}.{column.name}: {empty} null"

    def types(self) -> Iterator[str]:
        for name, table in self.shapes.tables.items():
            for column in table.fields:
                for value in {row[column.name] for row in self.rows[name]} - {None}:
                    if not fits(column.datatype, value):
                        yield f"{name}.{column.name}: {value!r} is no {column.datatype}"

    def keys(self) -> Iterator[str]:
        """Primary keys are unique; a foreign key leads to a row."""
        for name, table in self.shapes.tables.items():
            for column in table.fields:
                values = [row[column.name] for row in self.rows[name]]
                if column.primary_key and len(set(values)) != len(values):
                    yield f"{name}.{column.name}: not unique"
                if column.fk_table:
                    known = {row[column.fk_field] for row in self.rows[column.fk_table]}
                    for value in set(values) - known - {None}:
                        yield f"{name}.{column.name}: {value} isn't in {column.fk_table}"
        for row in self.connection.execute("PRAGMA foreign_key_check"):
            yield f"foreign key: {row}"

    def persons(self) -> Iterator[str]:
        """Every person has exactly one observation period, at most one death."""
        people = {row["person_id"] for row in self.rows["person"]}
        for table in ("observation_period", "death"):
            owners = [row["person_id"] for row in self.rows[table]]
            for one in {one for one in owners if owners.count(one) > 1}:
                yield f"{table}: person {one} has {owners.count(one)}"
        for one in people - {row["person_id"] for row in self.rows["observation_period"]}:
            yield f"observation_period: person {one} has none"
        for row in self.rows["person"]:
            if not 1850 <= row["year_of_birth"] <= datetime.date.today().year:
                yield f"person.year_of_birth: {row['year_of_birth']}"

    def events(self) -> Iterator[str]:
        """What a row is about stands in the table that the field concept names, and is the same person's."""
        named = {number: EVENT_TABLES[name] for name, number in conventions().items() if name in EVENT_TABLES}
        owners = {
            table: {row[str(self.shapes.tables[table].id_column)]: row["person_id"] for row in self.rows[table]}
            for table in {*EVENT_TABLES.values()} & self.rows.keys()
        }
        for table, rows in self.clinical():
            for id_column, field_column in event_columns(table):
                for row in rows:
                    event, field = row[id_column], row[field_column]
                    if (event is None) != (not field):
                        yield f"{table.name}: {id_column} {event} with field concept {field}"
                    elif event is not None and field not in named:
                        yield f"{table.name}.{field_column}: {field} names no table"
                    elif event is not None:
                        owner = owners[named[field]].get(event)
                        mine = row.get("person_id", self.episode_owner(row))
                        if owner != mine:
                            yield f"{table.name}: {id_column} {event} is of person {owner}, the row of {mine}"
        for row in self.rows.get("episode", ()):
            parent = row["episode_parent_id"]
            if parent is not None and owners["episode"].get(parent) != row["person_id"]:
                yield f"episode {row['episode_id']}: parent {parent}"
            if row["episode_object_concept_id"] is None:
                yield f"episode {row['episode_id']}: about nothing"

    def episode_owner(self, row: Row) -> int | None:
        return next(
            (one["person_id"] for one in self.rows["episode"] if one["episode_id"] == row.get("episode_id")), None
        )

    def standard(self) -> Iterator[str]:
        """Concepts in `*_concept_id` are standard and valid or 0, and of a domain that belongs there."""
        for table, rows in self.clinical():
            for column in table.fields:
                if column.fk_table != "concept" or "_source_" in column.name:
                    continue
                for number in {row[column.name] for row in rows} - {None, 0}:
                    concept = self.concepts.get(number)
                    if concept is None or not standard(concept):
                        yield f"{table.name}.{column.name}: {number} isn't standard: {concept}"
                    elif (wanted := domains(table, column)) and concept["domain_id"] not in wanted:
                        domain, name = concept["domain_id"], concept["concept_name"]
                        yield f"{table.name}.{column.name}: {number} {name} is {domain}"

    def dates(self) -> Iterator[str]:
        """Nothing before birth, long after death, outside the observation period; no end before its start."""
        births = {row["person_id"]: f"{row['year_of_birth']:04}-01-01" for row in self.rows["person"]}
        deaths = {row["person_id"]: row["death_date"] for row in self.rows["death"]}
        periods = {
            row["person_id"]: (row["observation_period_start_date"], row["observation_period_end_date"])
            for row in self.rows["observation_period"]
        }
        for table, rows in self.clinical():
            if table.field("person_id") is None or table.name == "person":
                continue
            columns = [one.name for one in table.fields if one.datatype == "date" and one.name.endswith("_date")]
            for row in rows:
                who = row["person_id"]
                last = deaths.get(who)
                late = last and (datetime.date.fromisoformat(last) + datetime.timedelta(DAYS_AFTER_DEATH)).isoformat()
                for name in columns:
                    day = row[name]
                    if day is None:
                        continue
                    if day < births[who]:
                        yield f"{table.name}.{name}: {day} before birth in {births[who][:4]}"
                    if late and day > late:
                        yield f"{table.name}.{name}: {day} after death on {last}"
                    if not periods[who][0] <= day <= periods[who][1]:
                        yield f"{table.name}.{name}: {day} outside {periods[who]}"
                start, end = row.get(table.date or ""), row.get(table.end_date or "")
                if start and end and end < start:
                    yield f"{table.name}: {start} to {end}"


def fits(datatype: str, value: Any) -> bool:
    """Whether a value is of a type of the CDM."""
    if datatype in ("integer", "bigint"):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
    if datatype == "float":
        return isinstance(value, int | float)
    if datatype in ("date", "datetime"):
        if not isinstance(value, str) or not DATE.fullmatch(value[:10]):
            return False
        datetime.date.fromisoformat(value[:10])
        return datatype == "datetime" or len(value) == 10
    if not isinstance(value, str):
        return False
    inside = datatype[8:-1]
    return not inside.isdigit() or len(value) <= int(inside)


def standard(concept: Row) -> bool:
    return concept["standard_concept"] == "S" and not concept["invalid_reason"]


def domains(table: Table, column: Field) -> frozenset[str]:
    """The domains of concepts that may stand in a column; empty where any may."""
    listed = frozenset(filter(None, column.fk_domain.split(", ")))
    return DOMAINS.get((table.name, column.name), listed)


def event_columns(table: Table) -> list[tuple[str, str]]:
    """(id, field concept) of the pairs of columns by which a row is about another."""
    names = {one.name for one in table.fields}
    pairs = [
        ("measurement_event_id", "meas_event_field_concept_id"),
        ("observation_event_id", "obs_event_field_concept_id"),
        ("modifier_of_event_id", "modifier_of_field_concept_id"),
        ("event_id", "episode_event_field_concept_id"),
    ]
    return [pair for pair in pairs if set(pair) <= names]
