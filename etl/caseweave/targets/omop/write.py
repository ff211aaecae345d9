"""Facts into an OMOP database: build, compare with the ledger, give integers, write the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices
from caseweave.plan.variants import OncePerValues
from caseweave.targets.ledger import Difference, Held, Ledger, compare, digest_bytes, find, pack, unpack
from caseweave.targets.omop.columns import Column, Constant, Lookup, Person, Reference
from caseweave.targets.omop.database import (
    FIELD_CONCEPTS,
    FOUND_BY,
    Database,
    Rows,
    confirm_rows,
    delete_rows,
    put_rows,
)
from caseweave.targets.omop.ddl import parents_first
from caseweave.targets.omop.fill import Built
from caseweave.targets.omop.integers import IntegerMap, allocate
from caseweave.targets.omop.links import cut, pointing_to
from caseweave.targets.omop.materialize import RowMaker
from caseweave.targets.omop.periods import write_periods
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.targets.records import (
    Hashes,
    Records,
    concatenate,
    hash_values,
    id_words,
    seal,
    unit_digests,
)
from caseweave.targets.scope import Scope, Unit

FAR = 10**7  # days from 1970: behind all dates


@dataclass
class OmopWriter:
    """Writes what one run made.

    Arguments: `scope` of the run; `key` of the content hashes, 32 bytes.
    """

    builder: OmopBuilder
    key: bytes
    scope: Scope
    written: Counter[str] = field(default_factory=Counter)
    hashed: OncePerValues[Hashes] = field(default_factory=OncePerValues)
    days: OncePerValues[NDArray[np.int64]] = field(default_factory=OncePerValues)

    def __post_init__(self) -> None:
        self.kind_of = {name: number for number, name in enumerate(self.builder.settings.shapes.tables)}
        self.tables = list(self.builder.settings.shapes.tables.values())
        self.order = parents_first(self.builder.settings.shapes)
        self.ids = [batch.ids for batch in self.builder.facts]
        self.patients = self.builder.facts.patient_ids

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
        unit = self.scope.numbers(batch.subjects[facts], batch.sheet)
        return Records(
            unit,
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
                return self.hashed.get(values, name, lambda: hash_values(self.key, name, values))[codes[facts]]
            case Person():
                salt = hash_values(self.key, name, ["person"]) | np.uint64(1)
                with np.errstate(over="ignore"):
                    return id_words(self.patients[column.subjects[facts]]) * salt
            case Reference():
                index = column.index[facts]
                there = (index >= 0) & (column.renderings[facts] >= 0)
                salt = hash_values(self.key, name, ["reference"])
                words = np.zeros(len(facts), dtype=np.uint64)
                if there.any():
                    with np.errstate(over="ignore"):
                        places = column.renderings[facts][there]
                        target = id_words(self.ids[column.batch][index[there]])
                        # a row that moves to another table gets another integer: those that point to it change with it
                        target += self.kinds(column.batch)[places, index[there]] * np.uint64(257)
                        words[there] = (target + places.astype(np.uint64)) * (salt | np.uint64(1))
                return words

    def kinds(self, number: int) -> NDArray[np.uint64]:
        """The kind of table of each fact's row, by rendering, of one batch."""
        built = self.builder.batch(number)
        renderings = max((one.rendering for one in built), default=0) + 1
        found = np.zeros((renderings, len(self.ids[number])), dtype=np.uint64)
        for one in built:
            found[one.rendering, one.mask] = self.kind_of[one.table.name]
        return found

    def spans(self) -> dict[int, tuple[str, str]]:
        """The first and last day of each unit that has dated rows."""
        first = np.full(len(self.scope.units), FAR, dtype=np.int64)
        last = -first
        for number, batch in enumerate(self.builder.facts):
            for built in self.builder.batch(number):
                for name in (built.table.date, built.table.end_date):
                    column = built.columns.get(name) if name else None
                    if isinstance(column, Constant) and isinstance(column.value, str):
                        column = Lookup(np.zeros(len(batch), dtype=np.int32), [column.value])
                    if not isinstance(column, Lookup):
                        continue
                    facts = np.flatnonzero(built.mask & column.filled())
                    days = self.days.get(column.values, "", partial(_days, column.values))[column.codes[facts]]
                    unit = self.scope.numbers(batch.subjects[facts], batch.sheet)
                    np.minimum.at(first, unit, days)
                    np.maximum.at(last, unit, days)
        dated = np.flatnonzero(first <= last)
        told = (one[dated].astype("datetime64[D]").astype(str).tolist() for one in (first, last))
        return dict(zip(dated.tolist(), zip(*told, strict=True), strict=True))

    # writing

    def compare(self, ledger: Ledger) -> Difference:
        """Say what has to happen; comes before anything else is asked of the builder, which has to know who is held."""
        self.held, others = ledger.read(self.scope.subjects), ledger.others(self.scope.subjects)
        self.builder.held_persons = self.persons(self.held, others)
        self.builder.frozen = self.scope.frozen
        self.made = self.records()
        return self.keep_persons(ledger, compare(self.made, self.scope, self.held, others))

    def keep_persons(self, ledger: Ledger, change: Difference) -> Difference:
        """A person stays, whatever this run says, while rows of other sheets or streams point to it."""
        gone = change.vanished.kind == self.kind_of["person"]
        if not gone.any():
            return change
        units = self.scope.units
        names = np.array([units[n][0] for n in change.vanished.unit.tolist()])
        needed = {units[n][0] for part in (change.new, change.changed, change.stays) for n in np.unique(part.unit)}
        needed |= {unit[0] for unit, held in self.held.items() if held.records and unit not in set(units)}
        needed |= ledger.told_elsewhere(names[gone].tolist())
        stay = gone & np.isin(names, list(needed))
        stays = concatenate([change.stays, change.vanished.take(stay)])
        return replace(change, vanished=change.vanished.take(~stay), stays=stays)

    def write(self, database: Database, ledger: Ledger, change: Difference) -> None:
        """Bring the database to what the run says; the caller commits."""
        given = self.give_integers(database, self.made, change, self.held)
        new, changed = (self.rows(one, given.integers, database.null) for one in (given.new, change.changed))
        self.written += put_rows(database, change, new, changed)
        confirm_rows(database, given.new)
        wanted = concatenate([given.new, change.changed])
        spans = self.spans()
        after = concatenate([wanted, change.stays])
        ledger.write(self.ledger_rows(after, change, self.held, spans))
        write_periods(database, ledger, self.person_integers(given.integers, change), self.period_type)
        self.tie(database, change, given.integers)
        self.cut(database, change)
        # what vanished goes last: nothing points to it any longer
        delete_rows(database, change.vanished, with_key=True)

    def tie(self, database: Database, change: Difference, integers: IntegerMap) -> None:
        """Rows that didn't change point to rows that came (again): they are written with their new integers."""
        if not self.held or not len(change.new):
            return
        found = pointing_to(self.builder, self.made, change.new)
        found = found.take((find(found, change.new) < 0) & (find(found, change.changed) < 0))
        old = self.held_of({self.scope.units[n][0] for n in np.unique(found.unit)})
        match = find(found, old)
        found = found.take(match >= 0).with_integers(old.integer[match[match >= 0]])
        for table_name, columns, rows, _ in self.rows(found, integers, database.null):
            if table_name not in FOUND_BY:
                database.update(table_name, columns, rows)

    def cut(self, database: Database, change: Difference) -> None:
        """Rows of sheets of which the run doesn't speak let go of those that vanish."""
        subjects = {self.scope.units[n][0] for n in np.unique(change.vanished.unit)}
        inside = set(self.scope.units)
        outside = [unit for unit in self.held if unit[0] in subjects and unit not in inside]
        ours = concatenate([change.stays, unpack([(-1, self.held[unit].records) for unit in outside])])
        concepts = self.field_concepts()
        cut(database, self.tables, ours, change.vanished,
            {table.name: int(concepts[n]) for n, table in enumerate(self.tables) if concepts[n]})  # fmt: skip

    def held_of(self, subjects: Collection[str]) -> Records:
        """The records that the ledger holds of some patients, by the units of the run."""
        units = enumerate(self.scope.units)
        return unpack([(n, self.held[unit].records) for n, unit in units if unit in self.held and unit[0] in subjects])

    def persons(self, held: Mapping[Unit, Held], others: Records) -> dict[str, int]:
        """The integers of patients whom the database knows: from other streams by their fact ids, from this by name."""
        kind = self.kind_of["person"]
        elsewhere = others.take(others.kind == kind)
        numbers = {raw.tobytes(): number for raw, number in zip(elsewhere.ids, elsewhere.integer.tolist(), strict=True)}
        subjects = zip(self.builder.facts.subjects, self.patients, strict=True)
        known = {name: numbers[raw.tobytes()] for name, raw in subjects if raw.tobytes() in numbers}
        units = sorted(held)
        here = unpack([(n, held[unit].records) for n, unit in enumerate(units)], kind)
        return known | {units[n][0]: one for n, one in zip(here.unit.tolist(), here.integer.tolist(), strict=True)}

    def give_integers(
        self, database: Database, records: Records, change: Difference, held: Mapping[Unit, Held]
    ) -> _Given:
        known = self.builder.held_persons
        persons = np.array([known.get(name, 0) for name in self.builder.facts.subjects], dtype=np.int32)
        sizes = {n: len(batch) for n, batch in enumerate(self.builder.facts)}
        integers = IntegerMap(sizes, persons, self.field_concepts())
        above = {
            kind: database.largest(table.name, table.id_column)
            for kind, table in enumerate(self.tables)
            if table.id_column and (change.new.kind == kind).any()
        }
        new = change.new.with_integers(allocate(change.new, above))
        integers.put(new)
        integers.put(change.changed)
        integers.put(change.stays.take(change.stays.batch >= 0))
        self.put_persons(new, integers)
        if held:
            # rows that stay are pointed to by rows that come: their integers are the ledger's
            old = self.held_of({self.scope.units[n][0] for n in change.touched.tolist()})
            match = find(records, old)
            again = np.flatnonzero(match >= 0)
            integers.put(records.take(again).with_integers(old.integer[match[again]]))
        new = self.found_by(new, integers)
        integers.put(new)
        return _Given(new, integers)

    def put_persons(self, new: Records, integers: IntegerMap) -> None:
        """Add the persons of this run to those that the database knows."""
        found = new.take(new.kind == self.kind_of["person"])
        for batch, fact, number in zip(found.batch.tolist(), found.fact.tolist(), found.integer.tolist(), strict=True):
            integers.persons[self.builder.facts.batches[batch].subjects[fact]] = number

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
                    if built.table.name == name and isinstance(column, Reference | Person) and len(chosen):
                        integer[chosen] = integers.follow(column, records.fact[chosen])
        return records.with_integers(integer)

    def field_concepts(self) -> NDArray[np.int32]:
        conventions = self.builder.settings.concepts.conventions
        return np.array(
            [conventions.get(FIELD_CONCEPTS.get(table.name, ""), 0) for table in self.tables], dtype=np.int32
        )

    def rows(self, wanted: Records, integers: IntegerMap, null: float | None = None) -> Iterator[Rows]:
        """Yield (table, columns, rows, count) for the records that are to be written, parents before children."""
        maker = RowMaker(self.builder, integers, null)
        for name in self.order:
            records = wanted.take(wanted.kind == self.kind_of[name])
            if len(records):
                table = self.builder.settings.shapes.tables[name]
                key = None if name in FOUND_BY else table.id_column
                # a database appends what comes in the order of its keys, and nothing else as fast
                records = records.take(np.argsort(records.integer, kind="stable"))
                columns = maker.columns(table, key, records)
                yield name, columns, maker.rows(table, key, columns, records), len(records)

    def ledger_rows(
        self, after: Records, change: Difference, held: Mapping[Unit, Held], spans: Mapping[int, tuple[str, str]]
    ) -> Iterator[tuple[Unit, Held]]:
        """The touched units as the ledger is to hold them."""
        digests = digest_bytes(unit_digests(after, len(self.scope.units)))
        for unit, packed in pack(after, change.touched.tolist()):
            key = self.scope.units[unit]
            days = list(spans.get(unit, ()))
            if key[1] in self.scope.keep and key in held:
                days += [day for day in (held[key].first_date, held[key].last_date) if day]
            yield key, Held(digests[unit], min(days, default=None), max(days, default=None), packed)

    @property
    def period_type(self) -> int:
        return self.builder.settings.concepts.conventions["case-report-form"]

    def person_integers(self, integers: IntegerMap, change: Difference) -> dict[str, int]:
        """The persons whose rows were touched, those who are gone among them; 0 for one who never had a row."""
        touched = {self.scope.units[n][0] for n in change.touched.tolist()}
        subjects = self.builder.facts.subjects
        now = {subjects[n]: int(integers.persons[n]) for n in range(len(subjects)) if subjects[n] in touched}
        return {**{subject: self.builder.held_persons.get(subject, 0) for subject in touched}, **now}


@dataclass(frozen=True)
class _Given:
    new: Records
    integers: IntegerMap


def _days(values: Sequence[object]) -> NDArray[np.int64]:
    """Dates, as they are written, as numbers of days."""
    return np.array([value or "NaT" for value in values], dtype="datetime64[D]").astype(np.int64)
