"""One form, varied in one cell many times over: each variation is a patient of its own, all in one conversion."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from caseweave.api import Result
from caseweave.assets import data_path
from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.run.examples import source_of
from caseweave.spec.loader import load_study
from caseweave.spec.models import Example, Field, Study
from caseweave.spec.yamlfile import read_yaml
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import open_terms
from tests.targets.studies import source_of as file_of

Row = dict[str, Any]
Person = dict[str, list[Row]]  # rows by sheet
# of the large files so many patients are varied, those with the most cells
MOST_PEOPLE = 3
REFERENCE = re.compile(r'"([A-Z][A-Za-z]+)/[a-z2-7]{32}[a-z-]*"')
OWN_ID = re.compile(r'"[a-z2-7]{32}[a-z-]*"')


@dataclass(frozen=True)
class Place:
    """A cell that a variation changes: whose, in which row of which sheet, of which field, and to what."""

    person: str
    sheet: str
    row: int
    field: str
    cell: Any


@dataclass
class Told:
    """What stands of one patient in both targets, without ids, so that patients can be compared; and the findings."""

    fhir: Counter[str] = field(default_factory=Counter)
    omop: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Form:
    """The patients of a study's own input, by field, and how to convert them and their variations."""

    study: Study
    people: Mapping[str, Person]

    @cached_property
    def fields(self) -> Mapping[tuple[str, str], Field]:
        """The fields that may be varied: neither the patient, nor what holds the rows of one apart, nor ignored."""
        return {
            (sheet.key, one.name): one
            for sheet in self.study.sheets
            for one in sheet.fields.values()
            if not one.ignore and one.name not in (sheet.subject_field, *sheet.row_key)
        }

    def cells(self) -> Iterator[tuple[Place, Field]]:
        """Every filled cell of every patient that may be varied."""
        for person, sheets in self.people.items():
            for sheet, rows in sheets.items():
                for number, row in enumerate(rows):
                    for name, cell in row.items():
                        if cell is not None and (sheet, name) in self.fields:
                            yield Place(person, sheet, number, name, cell), self.fields[sheet, name]

    def tell(self, places: Iterable[Place]) -> tuple[dict[str, Told], list[tuple[Place, Told]]]:
        """What is told of the patients as they are, and of each variation."""
        wanted = list(places)
        everybody = {**self.people, **{f"variation-{n}": self._varied(place) for n, place in enumerate(wanted)}}
        told = told_by(convert_people(self.study, everybody))
        return {one: told[one] for one in self.people}, [(p, told[f"variation-{n}"]) for n, p in enumerate(wanted)]

    def _varied(self, place: Place) -> Person:
        person = {sheet: [dict(row) for row in rows] for sheet, rows in self.people[place.person].items()}
        person[place.sheet][place.row][place.field] = place.cell
        return person


def form_of(name: str, shared: Path, folder: Path) -> Form:
    """A study with its own input, read here by header; ids may be of any form."""
    study = load_study(name)
    sheets = tuple(
        replace(sheet, fields={key: replace(one, matches="") for key, one in sheet.fields.items()})
        for sheet in study.sheets
    )
    people: dict[str, Person] = {}
    for sheet in study.sheets:
        subject = sheet.subject_field
        for row in rows_of(study, sheet.key, shared, folder):
            people.setdefault(str(row.pop(subject)), {}).setdefault(sheet.key, []).append(row)
    fullest = sorted(people, key=lambda one: -sum(len(row) for rows in people[one].values() for row in rows))
    return Form(replace(study, site=None, sheets=sheets), {one: people[one] for one in fullest[:MOST_PEOPLE]})


def rows_of(study: Study, key: str, shared: Path, folder: Path) -> Iterator[Row]:
    """The rows of a sheet by field, as they stand in the study's own input; blank cells left out."""
    sheet = study.sheet(key)
    if study.name == "breast":
        tree, _ = read_yaml(data_path("mappings") / "breast" / "example.yaml", "example.yaml")
        yield from (dict(row) for row in tree["sheets"][key])
        return
    path = file_of(study.name, shared, folder)
    table: list[list[Any]]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as lines:
            table = [[cell or None for cell in row] for row in csv.reader(lines)]
    else:
        table = [list(row) for row in load_workbook(path, data_only=True)[sheet.name].iter_rows(values_only=True)]
    names = {(one.column or one.name): one.name for one in sheet.fields.values()}
    header = [names[str(cell)] for cell in table[0] if cell is not None]
    for cells in table[1:]:
        row = {name: cell for name, cell in zip(header, cells, strict=False) if cell is not None}
        if row:
            yield row


def convert_people(study: Study, people: Mapping[str, Person]) -> Conversion:
    """Everybody in one form."""
    rows: dict[str, list[Row]] = {sheet.key: [] for sheet in study.sheets}
    for person, sheets in people.items():
        for sheet, found in sheets.items():
            rows[sheet] += [{study.sheet(sheet).subject_field: person, **row} for row in found]
    source = source_of(study, Example(study.file, study.line, {key: tuple(found) for key, found in rows.items()}))
    return convert(study, [source], key=temporary_key("variations"), terms=open_terms())


def told_by(conversion: Conversion) -> dict[str, Told]:
    """What a conversion tells, by the id that was typed."""
    typed = {pseudonym: person for person, pseudonym in Result(conversion, {}).subjects.items()}
    told = {person: Told() for person in typed.values()}
    owner: dict[str, str] = {}
    lines = [
        line
        for n in range(len(conversion.applied.facts.batches))
        for *_, found in conversion.fhir.resources(n)
        for line in found
    ]
    resources = [json.loads(line) for line in lines]
    for one in resources:
        if one["resourceType"] == "Patient":
            owner[one["id"]] = typed[one["identifier"][0].pop("value")]
    for one in resources:
        about = next((one[name]["reference"] for name in ("subject", "patient") if name in one), f"/{one['id']}")
        text = REFERENCE.sub(r'"\1"', json.dumps(one, sort_keys=True, ensure_ascii=False))
        told[owner[about.rpartition("/")[2]]].fhir[OWN_ID.sub('"id"', text)] += 1
    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        persons = {
            n: typed[str(name)] for n, name in database.select("SELECT person_id, person_source_value FROM person")
        }
        for table in database.shapes.tables.values():
            names = [one.name for one in table.fields]
            if "person_id" not in names or table.name not in database.count():
                continue
            kept = [name for name in names if name.endswith("_concept_id") or not name.endswith("_id")]
            kept = [name for name in kept if name != "person_source_value"]
            for person, *cells in database.select(f"SELECT person_id, {', '.join(kept)} FROM {table.name}"):
                filled = {name: cell for name, cell in zip(kept, cells, strict=True) if cell is not None}
                told[persons[person]].omop[json.dumps({"table": table.name, **filled}, default=str)] += 1
    for finding in conversion.findings:
        if finding.subject in typed:
            told[typed[finding.subject]].findings[finding.severity, finding.rule] += 1
    return told
