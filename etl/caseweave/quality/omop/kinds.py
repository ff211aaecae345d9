"""Where each kind of check is asked, as the fields of the CDM, their keys and names tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from caseweave.quality.omop.lists import Given, read_list
from caseweave.shapes.omop import Field, OmopShapes, Table
from caseweave.terms import conventions

VOCABULARY = frozenset(
    {
        "concept", "vocabulary", "domain", "concept_class", "concept_relationship", "relationship", "concept_synonym",
        "concept_ancestor", "source_to_concept_map", "drug_strength",
    }
)  # fmt: skip
# a field concept by its convention -> the table whose rows it means; the key is that table's
EVENT_TABLES = {
    "event-field-condition": "condition_occurrence",
    "event-field-procedure": "procedure_occurrence",
    "event-field-drug": "drug_exposure",
    "event-field-measurement": "measurement",
    "event-field-observation": "observation",
    "event-field-episode": "episode",
    "event-field-visit": "visit_occurrence",
    "image-feature-measurement": "measurement",
    "image-feature-observation": "observation",
}
# (event, field concept) of the pairs of columns by which a row is about another
EVENTS = (
    ("measurement_event_id", "meas_event_field_concept_id"),
    ("observation_event_id", "obs_event_field_concept_id"),
    ("modifier_of_event_id", "modifier_of_field_concept_id"),
    ("event_id", "episode_event_field_concept_id"),
    ("note_event_id", "note_event_field_concept_id"),
    ("image_feature_event_id", "image_feature_event_field_concept_id"),
)
# the CDM calls the last days of a prescription so
ENDS = {("drug_exposure", "verbatim_end_date"): "drug_exposure_start_date"}
GENDERS = {"male": "gender-male", "female": "gender-female"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind is asked.

    Arguments: `field`, "" for the table as a whole; `words` for its template; `needs`, other fields that it looks at;
    `told`, what tells it from others of the same field.
    """

    table: str
    field: str = ""
    words: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    needs: tuple[tuple[str, str], ...] = ()
    told: str = ""


Places = Iterator[Place]
CONCEPT = (("concept", "concept_id"),)


def _clinical(shapes: OmopShapes) -> Iterator[Table]:
    return (table for name, table in shapes.tables.items() if name not in VOCABULARY)


def _fields(shapes: OmopShapes) -> Iterator[tuple[Table, Field]]:
    return ((table, one) for table in _clinical(shapes) for one in table.fields)


def _of(wanted: Callable[[Table, Field], bool], *needs: tuple[str, str]) -> Callable[[OmopShapes, Given], Places]:
    def places(shapes: OmopShapes, given: Given) -> Places:
        return (Place(table.name, one.name, needs=needs) for table, one in _fields(shapes) if wanted(table, one))

    return places


def _is_concept(table: Table, one: Field) -> bool:
    return one.fk_table == "concept" and "source_" not in one.name


def _is_day(table: Table, one: Field) -> bool:
    return one.datatype in ("date", "datetime")


def _of_somebody(table: Table, one: Field) -> bool:
    return _is_day(table, one) and table.field("person_id") is not None and table.name != "person"


def _tables(shapes: OmopShapes, given: Given) -> Places:
    return (Place(name) for name in shapes.tables)


def _all_fields(shapes: OmopShapes, given: Given) -> Places:
    return (Place(table.name, one.name) for table in shapes.tables.values() for one in table.fields)


def _foreign_keys(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        if one.fk_table:
            yield Place(table.name, one.name, needs=((one.fk_table, one.fk_field),))


def _domains(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        value = given.get("value", "fkDomain", table.name, one.name) or one.fk_domain.replace(", ", "|")
        if value and _is_concept(table, one):
            yield Place(table.name, one.name, needs=CONCEPT, words=_listed(value))


def _classes(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        if given.get("value", "fkClass", table.name, one.name):
            yield Place(table.name, one.name, needs=CONCEPT)


def _listed(value: str) -> dict[str, Any]:
    return {"value": value.replace("|", ", "), "values": ", ".join(f"'{one}'" for one in value.split("|"))}


def _events(shapes: OmopShapes, given: Given) -> Places:
    named = conventions()
    for table in _clinical(shapes):
        for event, link in EVENTS:
            if not (table.field(event) and table.field(link)):
                continue
            owner, join = "t.person_id", ""
            if table.field("person_id") is None:
                owner, join = "e.person_id", "LEFT JOIN episode e ON e.episode_id = t.episode_id"
            wrong = []
            for name, target in EVENT_TABLES.items():
                key = shapes.tables[target].id_column if target in shapes.tables else None
                if key:
                    there = f'SELECT 1 FROM {target} o WHERE o.{key} = t."{event}" AND o.person_id = {owner}'
                    wrong.append(f'(t."{link}" = {named[name]} AND NOT EXISTS ({there}))')
            words = {"link": f't."{link}"', "nowhere": " OR ".join(wrong), "owner_join": join}
            yield Place(table.name, event, words, needs=((table.name, link),))


def _same_person(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        fk_table, fk_field = one.fk_table, one.fk_field
        if (table.name, one.name) == ("episode", "episode_parent_id"):  # the list of fields doesn't say where it leads
            fk_table, fk_field = "episode", "episode_id"
        other = shapes.tables.get(fk_table)
        if fk_table != "person" and other and other.field("person_id") and table.field("person_id"):
            needs = ((fk_table, fk_field), (fk_table, "person_id"))
            yield Place(table.name, one.name, {"fk_table": fk_table, "fk_field": fk_field}, needs)


def _once(shapes: OmopShapes, given: Given) -> Places:
    yield Place("death", needs=(("death", "person_id"),))


def _periods(shapes: OmopShapes, given: Given) -> Places:
    yield Place("observation_period", needs=(("observation_period", "person_id"),))


def _per_person(shapes: OmopShapes, given: Given) -> Places:
    for table in _clinical(shapes):
        if table.field("person_id") and table.name != "person":
            yield Place(table.name, needs=((table.name, "person_id"),))


def _source_values(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        concept = table.field(one.name.replace("_source_value", "_concept_id"))
        key = table.id_column or ("person_id" if table.field("person_id") else None)
        if one.name.endswith("_source_value") and concept and key:
            yield Place(table.name, one.name, {"concept": concept.name, "key": key}, ((table.name, concept.name),))


def _bounds(name: str) -> Callable[[OmopShapes, Given], Places]:
    def places(shapes: OmopShapes, given: Given) -> Places:
        for check, table, one in given.rows:
            if check == name and table in shapes.tables and shapes.tables[table].field(one):
                yield Place(table, one)

    return places


def _in_visits(shapes: OmopShapes, given: Given) -> Places:
    for table in _clinical(shapes):
        if table.date and table.field("visit_occurrence_id") and table.name != "visit_occurrence":
            needs = ((table.name, "visit_occurrence_id"), ("visit_occurrence", "visit_occurrence_id"))
            yield Place(table.name, table.date, needs=needs)


def _ends(shapes: OmopShapes, given: Given) -> Places:
    for table, one in _fields(shapes):
        start = ENDS.get((table.name, one.name)) or one.name.replace("_end_", "_start_")
        if _is_day(table, one) and start != one.name and table.field(start):
            yield Place(table.name, start, {"end": f't."{one.name}"'}, ((table.name, one.name),), told=one.name)


def _code_is(row: Mapping[str, str]) -> str:
    """The condition that a concept is what a list names; % stands for any text."""
    like = "LIKE" if "%" in row["code"] else "="
    return f"c.vocabulary_id = '{row['system']}' AND c.concept_code {like} '{row['code']}'"


def _units(shapes: OmopShapes, given: Given) -> Places:
    units: dict[tuple[str, str], list[str]] = {}
    for row in read_list("values"):
        units.setdefault((row["system"], row["code"]), []).append(row["unit"])
    for row in {(one["system"], one["code"]): one for one in read_list("values")}.values():
        listed = _listed("|".join(units[row["system"], row["code"]]))
        words = {"is_concept": _code_is(row), "concept": row["name"], **listed}
        yield Place("measurement", "unit_concept_id", words, _MEASURED, f"{row['system']}|{row['code']}")


_MEASURED = (
    ("measurement", "measurement_concept_id"), ("measurement", "unit_concept_id"), ("measurement", "value_as_number"),
    *CONCEPT,
)  # fmt: skip


def _limits(which: str) -> Callable[[OmopShapes, Given], Places]:
    def places(shapes: OmopShapes, given: Given) -> Places:
        for row in read_list("values"):
            if row[which]:
                words = {"is_concept": _code_is(row), "concept": row["name"], "value": row[which], "unit": row["unit"]}
                told = f"{row['system']}|{row['code']}.{row['unit']}"
                yield Place("measurement", "value_as_number", words, _MEASURED, told)

    return places


def _genders(shapes: OmopShapes, given: Given) -> Places:
    for row in read_list("genders"):
        concept = shapes.tables[row["table"]].concept or ""
        words = {
            "is_concept": _code_is(row),
            "concept": row["name"],
            "value": row["gender"],
            "gender": conventions()[GENDERS[row["gender"]]],
        }
        needs = (*CONCEPT, ("person", "gender_concept_id"))
        yield Place(row["table"], concept, words, needs, f"{row['system']}|{row['code']}")


KINDS: Mapping[str, Callable[[OmopShapes, Given], Places]] = {
    "cdmTable": _tables,
    "cdmField": _all_fields,
    "isRequired": _of(lambda table, one: one.required),
    "cdmDatatype": _of(lambda table, one: True),
    "isPrimaryKey": _of(lambda table, one: one.primary_key),
    "isForeignKey": _foreign_keys,
    "fkDomain": _domains,
    "fkClass": _classes,
    "isStandardValidConcept": _of(_is_concept, *CONCEPT),
    "linkedEvent": _events,
    "samePerson": _same_person,
    "onePerPerson": _once,
    "periodsApart": _periods,
    "measurePersonCompleteness": _per_person,
    "measureValueCompleteness": _of(lambda table, one: not one.required),
    "standardConceptRecordCompleteness": _of(_is_concept),
    "sourceConceptRecordCompleteness": _of(lambda table, one: one.name.endswith("_source_concept_id")),
    "sourceValueCompleteness": _source_values,
    "plausibleValueLow": _bounds("plausibleValueLow"),
    "plausibleValueHigh": _bounds("plausibleValueHigh"),
    "plausibleTemporalAfter": _of(_is_day),
    "plausibleTemporalBefore": _of(_is_day),
    "plausibleAfterBirth": _of(_of_somebody, ("person", "year_of_birth"), ("person", "birth_datetime")),
    "plausibleBeforeDeath": _of(
        lambda table, one: _of_somebody(table, one) and table.name != "death",
        ("death", "death_date"),
    ),
    "withinObservationPeriod": _of(
        lambda table, one: _of_somebody(table, one) and table.name != "observation_period",
        ("observation_period", "observation_period_start_date"),
    ),
    "withinVisitDates": _in_visits,
    "plausibleStartBeforeEnd": _ends,
    "plausibleUnitConceptIds": _units,
    "plausibleConceptLow": _limits("low"),
    "plausibleConceptHigh": _limits("high"),
    "plausibleGender": _genders,
}
