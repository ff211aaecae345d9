"""Facts into an OMOP database: build, compare with the ledger, give integers, write the difference."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices
from caseweave.shapes.omop import OmopShapes, Table
from caseweave.targets.ledger import Difference, Held, Ledger, Unit, compare, digest_bytes, pack, unpack
from caseweave.targets.omop.columns import Column, Constant, Lookup, Reference
from caseweave.targets.omop.fill import Built
from caseweave.targets.omop.integers import IntegerMap, allocate
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.targets.records import (
    Hashes,
    Records,
    concatenate,
    grouped,
    hash_values,
    id_words,
    raw_ids,
    seal,
    unit_digests,
)

# tables without an integer key of their own: the column by which their rows are found again
FOUND_BY = {"death": "person_id", "episode_event": "episode_id"}
FIELD_CONCEPTS = {
    "condition_occurrence": "event-field-condition",
    "procedure_occurrence": "event-field-procedure",
    "drug_exposure": "event-field-drug",
    "measurement": "event-field-measurement",
    "observation": "event-field-observation",
    "episode": "event-field-episode",
}


class Database(Protocol):
    """What a database has to offer; omop.sqlite and PostgreSQL do."""

    shapes: OmopShapes

    def ledger(self, study: str, stream: str) -> Ledger: ...
    def largest(self, table: str, column: str) -> int: ...
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None: ...
    def delete(self, table: str, column: str, integers: Iterable[int]) -> None: ...
    def select(self, query: str, *arguments: object) -> list[tuple[object, ...]]: ...


@dataclass
class OmopWriter:
    """Writes what one run made.

    Arguments: `units` (patient, sheet) by number; `unit_of` gives a unit's number for a subject and a sheet; `key` of
    the content hashes, 32 bytes; `keep` are units from which nothing may be retracted.
    """

    builder: OmopBuilder
    key: bytes
    units: Sequence[Unit]
    sheets: Sequence[str]
    keep: frozenset[int] = frozenset()
    written: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.kind_of = {name: number for number, name in enumerate(self.builder.settings.shapes.tables)}
        self.tables = list(self.builder.settings.shapes.tables.values())
        self.ids = [raw_ids(batch.ids) for batch in self.builder.facts]

    # records

    def records(self) -> Records:
        """One record per row that the run makes, hashed but without integers."""
        parts = []
        for number in range(len(self.ids)):
            for built in self.builder.batch(number):
                parts.append(self.records_of(number, built))
        return concatenate(parts)

    def records_of(self, number: int, built: Built) -> Records:
        batch = self.builder.facts.batches[number]
        facts = np.flatnonzero(built.mask).astype(np.int32)
        kind = np.full(len(facts), self.kind_of[built.table.name], dtype=np.uint8)
        content = np.zeros(len(facts), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for name, column in built.columns.items():
                content += self.hashes(f"{built.table.name}.{name}", column, facts)
        ids = self.ids[number][facts]
        unit = batch.subjects[facts] * len(self.sheets) + self.sheets.index(batch.sheet)
        return Records(
            unit.astype(np.int32),
            ids,
            np.full(len(facts), built.rendering, dtype=np.uint8),
            kind,
            np.zeros(len(facts), dtype=np.int32),
            seal(content, ids, built.rendering, kind),
            np.full(len(facts), number, dtype=np.int32),
            facts,
        )

    def hashes(self, name: str, column: Column, facts: Indices) -> Hashes:
        match column:
            case Constant(value):
                return np.broadcast_to(hash_values(self.key, name, [value]), len(facts))
            case Lookup(codes, values):
                return hash_values(self.key, name, values)[codes[facts]]
            case Reference():
                index = column.index[facts]
                there = (index >= 0) & (column.renderings[facts] >= 0)
                salt = hash_values(self.key, name, ["reference"])
                words = np.zeros(len(facts), dtype=np.uint64)
                if there.any():
                    with np.errstate(over="ignore"):
                        target = id_words(self.ids[column.batch][index[there]])
                        words[there] = (target + column.renderings[facts][there].astype(np.uint64)) * (
                            salt | np.uint64(1)
                        )
                return words

    def spans(self) -> dict[int, tuple[int, int]]:
        """The first and last day of each unit that has dated rows, as proleptic ordinals."""
        first = np.full(len(self.units), 10**7, dtype=np.int64)
        last = np.zeros(len(self.units), dtype=np.int64)
        for number, batch in enumerate(self.builder.facts):
            for built in self.builder.batch(number):
                for name in (built.table.date, built.table.end_date):
                    column = built.columns.get(name) if name else None
                    if isinstance(column, Constant) and isinstance(column.value, str):
                        column = Lookup(np.zeros(len(batch), dtype=np.int32), [column.value])
                    if not isinstance(column, Lookup):
                        continue
                    facts = np.flatnonzero(built.mask & column.filled())
                    days = np.array(
                        [datetime.date.fromisoformat(str(one)).toordinal() if one else 0 for one in column.values],
                        dtype=np.int64,
                    )[column.codes[facts]]
                    unit = batch.subjects[facts] * len(self.sheets) + self.sheets.index(batch.sheet)
                    np.minimum.at(first, unit, days)
                    np.maximum.at(last, unit, days)
        return {n: (int(first[n]), int(last[n])) for n in np.flatnonzero(last).tolist()}

    # writing

    def difference(self, ledger: Ledger, records: Records) -> tuple[Difference, dict[Unit, Held]]:
        """What the ledger lacks or holds differently."""
        held = ledger.read(self.builder.facts.subjects)
        here = {unit: found for unit, found in held.items() if unit[1] in self.sheets}
        return compare(records, self.units, here, self.keep), held

    def write(self, database: Database, study: str, stream: str) -> Difference:
        """Bring the database to what the run says; the caller commits."""
        ledger = database.ledger(study, stream)
        records = self.records()
        change, held = self.difference(ledger, records)
        if not len(change.touched):
            return change
        given = self.give_integers(database, records, change, held)
        changed = {
            name: set(change.changed.integer[change.changed.kind == kind].tolist())
            for name, kind in self.kind_of.items()
        }
        for kind, table in enumerate(self.tables):
            gone = [int(one) for one in change.vanished.integer[change.vanished.kind == kind]]
            stale = sorted({*gone, *changed[table.name]})
            if stale:
                database.delete(table.name, FOUND_BY.get(table.name) or str(table.id_column), stale)
        wanted = concatenate([given.new, change.changed])
        for table_name, columns, rows, count in self.rows(wanted, given.integers):
            database.insert(table_name, columns, rows)
            self.written[table_name] += count
        spans = self.spans()
        ledger.write(self.ledger_rows(records, given, change, spans))
        self.observation_periods(database, given.integers, held, spans, change)
        return change

    def give_integers(
        self, database: Database, records: Records, change: Difference, held: Mapping[Unit, Held]
    ) -> _Given:
        integers = IntegerMap({n: len(batch) for n, batch in enumerate(self.builder.facts)})
        above = {
            kind: database.largest(table.name, table.id_column)
            for kind, table in enumerate(self.tables)
            if table.id_column
        }
        new = change.new.with_integers(allocate(change.new, above))
        integers.put(new)
        integers.put(change.changed)
        if held:
            # rows that stay are pointed to by rows that come: their integers are the ledger's
            subjects = {self.units[n][0] for n in change.touched.tolist()}
            old = unpack(
                [(n, held[unit].records) for n, unit in enumerate(self.units) if unit in held and unit[0] in subjects]
            )
            place = {key: n for n, key in enumerate(old.keys().tolist())}
            match = np.array([place.get(key, -1) for key in records.keys().tolist()], dtype=np.int64)
            known = np.flatnonzero(match >= 0)
            integers.put(records.take(known).with_integers(old.integer[match[known]]))
        new = self.found_by(new, integers)
        integers.put(new)
        return _Given(new, integers)

    def found_by(self, records: Records, integers: IntegerMap) -> Records:
        """Records of tables without an integer key get that of the column by which their rows are found again."""
        integer = records.integer.copy()
        for name, column_name in FOUND_BY.items():
            rows = np.flatnonzero(records.kind == self.kind_of.get(name, -1))
            for batch in np.unique(records.batch[rows]).tolist():
                inside = rows[records.batch[rows] == batch]
                for built in self.builder.batch(batch):
                    column = built.columns.get(column_name)
                    chosen = inside[records.place[inside] == built.rendering]
                    if built.table.name == name and isinstance(column, Reference) and len(chosen):
                        found = integers.follow(column, records.fact[chosen], self.field_concepts())
                        integer[chosen] = [one or 0 for one in found]
        return records.with_integers(integer)

    def field_concepts(self) -> NDArray[np.int32]:
        conventions = self.builder.settings.concepts.conventions
        return np.array(
            [conventions.get(FIELD_CONCEPTS.get(table.name, ""), 0) for table in self.tables], dtype=np.int32
        )

    def rows(
        self, wanted: Records, integers: IntegerMap
    ) -> Iterator[tuple[str, list[str], Iterable[Sequence[object]], int]]:
        """Yield (table, columns, rows, count) for the records that are to be written, parents before children."""
        for (kind, batch, place), chosen in grouped(wanted, "kind", "batch", "place"):
            facts: Indices = wanted.fact[chosen]
            table = self.tables[kind]
            built = next(
                one for one in self.builder.batch(batch) if one.rendering == place and one.table.name == table.name
            )
            columns, values = self.materialize(built, batch, facts, integers)
            yield table.name, columns, zip(*values, strict=False), len(facts)

    def materialize(
        self, built: Built, batch: int, facts: Indices, integers: IntegerMap
    ) -> tuple[list[str], list[Iterable[object]]]:
        names: list[str] = []
        values: list[Iterable[object]] = []
        if built.table.id_column and built.table.name not in FOUND_BY:
            names.append(built.table.id_column)
            values.append(integers.integers[batch, built.rendering][facts].tolist())
        concepts = self.field_concepts()
        for name, column in built.columns.items():
            names.append(name)
            match column:
                case Constant(value):
                    values.append(repeat(value, len(facts)))
                case Lookup(codes, found):
                    values.append([found[code] for code in codes[facts].tolist()])
                case Reference():
                    values.append(integers.follow(column, facts, concepts))
        return names, values

    def ledger_rows(
        self, records: Records, given: _Given, change: Difference, spans: Mapping[int, tuple[int, int]]
    ) -> Iterator[tuple[Unit, Held]]:
        """The touched units as the ledger is to hold them."""
        digests = digest_bytes(unit_digests(records, len(self.units)))
        touched = np.zeros(len(self.units) + 1, dtype=bool)
        touched[change.touched] = True
        mine = records.take(touched[records.unit])
        integer = np.array([0], dtype=np.int32)
        if len(mine):
            integer = np.zeros(len(mine), dtype=np.int32)
            for (batch, place), found in given.integers.integers.items():
                here = (mine.batch == batch) & (mine.place == place)
                integer[here] = found[mine.fact[here]]
            mine = mine.with_integers(integer)
        for unit, packed in pack(mine, change.touched.tolist()):
            days = spans.get(unit)
            first, last = (datetime.date.fromordinal(day).isoformat() for day in days) if days else (None, None)
            yield self.units[unit], Held(digests[unit], first, last, packed)

    def observation_periods(
        self,
        database: Database,
        integers: IntegerMap,
        held: Mapping[Unit, Held],
        spans: Mapping[int, tuple[int, int]],
        change: Difference,
    ) -> None:
        """Every person has one OBSERVATION_PERIOD: from the first to the last day that any sheet tells (OMOP CDM)."""
        days: dict[str, list[str]] = {}
        ours = set(self.units)
        for unit, found in held.items():
            if unit not in ours and found.first_date and found.last_date:
                days.setdefault(unit[0], []).extend((found.first_date, found.last_date))
        for number, span in spans.items():
            days.setdefault(self.units[number][0], []).extend(
                datetime.date.fromordinal(day).isoformat() for day in span
            )
        touched = {self.units[n][0] for n in change.touched.tolist()}
        people = self.person_integers(integers)
        persons = [people[subject] for subject in sorted(touched) if subject in people]
        query = "SELECT person_id, observation_period_id FROM observation_period"
        known = {int(str(person)): int(str(period)) for person, period in database.select(query)}
        next_id = database.largest("observation_period", "observation_period_id") + 1
        database.delete("observation_period", "person_id", persons)
        rows = []
        for subject in sorted(touched & days.keys() & people.keys(), key=lambda one: people[one]):
            person = people[subject]
            period = known.get(person)
            if period is None:
                period, next_id = next_id, next_id + 1
            rows.append(
                (
                    period,
                    person,
                    min(days[subject]),
                    max(days[subject]),
                    self.builder.settings.concepts.conventions["case-report-form"],
                )
            )
        database.insert(
            "observation_period",
            [
                "observation_period_id",
                "person_id",
                "observation_period_start_date",
                "observation_period_end_date",
                "period_type_concept_id",
            ],
            rows,
        )
        self.written["observation_period"] += len(rows)

    def person_integers(self, integers: IntegerMap) -> dict[str, int]:
        found = {}
        for number, batch in enumerate(self.builder.facts):
            if batch.pattern.name == "patient" and (number, 0) in integers.integers:
                numbers = integers.integers[number, 0]
                for fact in np.flatnonzero(numbers).tolist():
                    found[self.builder.facts.subjects[batch.subjects[fact]]] = int(numbers[fact])
        return found


@dataclass(frozen=True)
class _Given:
    new: Records
    integers: IntegerMap


def table_of(shapes: OmopShapes, kind: int) -> Table:
    """The table that a kind of record stands for."""
    return list(shapes.tables.values())[kind]
