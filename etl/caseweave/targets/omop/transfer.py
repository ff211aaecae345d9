"""What omop.sqlite holds, to another database: the rows whose facts differ, under that database's integers.

The ledgers of both say by fact ids and content hashes what differs; rows are read where they stand and pointed anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caseweave.shapes.omop import Table
from caseweave.targets.ledger import Difference, Held, Ledger, compare, digest_bytes, find, pack, unpack
from caseweave.targets.omop.database import (
    FIELD_CONCEPTS,
    FOUND_BY,
    Database,
    Rows,
    confirm_rows,
    delete_rows,
    put_rows,
)
from caseweave.targets.omop.ddl import VOCABULARY_TABLES, parents_first
from caseweave.targets.omop.integers import allocate
from caseweave.targets.omop.periods import write_periods
from caseweave.targets.records import Records, concatenate, unit_digests
from caseweave.targets.scope import Scope, Unit

LEDGER = "caseweave_ledger"
AT_ONCE = 5000


@dataclass
class Transfer:
    """One study's stream on its way; the caller commits.

    Arguments: `source`, omop.sqlite, open for reading, of the same CDM as `database`; `conventions`, concepts by name.
    """

    source: sqlite3.Connection
    database: Database
    study: str
    stream: str
    conventions: dict[str, int]

    def __post_init__(self) -> None:
        self.tables = list(self.database.shapes.tables.values())
        self.kinds = {table.name: kind for kind, table in enumerate(self.tables)}
        self.kind_of_concept = {self.conventions[text]: self.kinds[name] for name, text in FIELD_CONCEPTS.items()
                                if name in self.kinds and text in self.conventions}  # fmt: skip
        here = Ledger(self.source, LEDGER, self.study, self.stream)
        self.ledger = self.database.ledger(self.study, self.stream)
        subjects = sorted(here.subjects() | self.ledger.subjects())
        self.here, self.there = here.read(subjects), self.ledger.read(subjects)
        self.scope = Scope(subjects, tuple(sorted({sheet for _, sheet in (*self.here, *self.there)})))
        self.made = self.records_of(self.here, subjects)
        # rows of this stream can belong to a person of another
        self.elsewhere = here.others(subjects), self.ledger.others(subjects)

    def records_of(self, held: dict[Unit, Held], subjects: Collection[str]) -> Records:
        """The records of some patients, by unit."""
        units = enumerate(self.scope.units)
        return unpack([(n, held[unit].records) for n, unit in units if unit in held and unit[0] in subjects])

    @cached_property
    def change(self) -> Difference:
        """What has to happen; nothing is written."""
        return compare(self.made, self.scope, self.there, self.elsewhere[1])

    def write(self) -> None:
        """Bring the database to what omop.sqlite says."""
        change = self.change
        above = {
            kind: self.database.largest(table.name, table.id_column)
            for kind, table in enumerate(self.tables)
            if table.id_column and (change.new.kind == kind).any()
        }
        touched = {self.scope.units[n][0] for n in change.touched.tolist()}
        mine, new = self.made.take(self.of(touched)), change.new.with_integers(allocate(change.new, above))
        known = concatenate([new, change.stays, change.changed, self.records_of(self.there, touched)])
        match = find(mine, known)
        shared = find(*self.elsewhere)
        self.learn(
            concatenate([self.elsewhere[0].take(shared >= 0), mine.take(match >= 0)]),
            np.concatenate([self.elsewhere[1].integer[shared[shared >= 0]], known.integer[match[match >= 0]]]),
        )
        new = self.found_by(new)
        # what is linked is written anew: what it leads to may have left and returned
        linked = mine.take(np.isin(mine.kind, [kind for kind, table in enumerate(self.tables) if self.links(table)]))
        again = concatenate([linked.take(find(linked, change.changed) < 0), change.changed])
        again = again.take(find(again, new) < 0)
        put_rows(self.database, change, self.rows(new), self.rows(again))
        confirm_rows(self.database, new)
        self.ledger.write(self.ledger_rows(concatenate([new, change.changed, change.stays])))
        write_periods(self.database, self.ledger, self.persons(touched), self.conventions["case-report-form"])
        delete_rows(self.database, change.vanished, with_key=True)

    def of(self, subjects: Collection[str]) -> NDArray[np.bool_]:
        wanted = np.array([unit[0] in subjects for unit in self.scope.units], dtype=np.bool_)
        return np.asarray(wanted[self.made.unit], dtype=np.bool_)

    def learn(self, records: Records, integers: NDArray[np.int32]) -> None:
        """Remember, by table, which integer stands there for which one here."""
        self.integers: dict[int, NDArray[np.int32]] = {}
        for kind in np.unique(records.kind).tolist():
            old, chosen = records.integer[records.kind == kind], integers[records.kind == kind]
            self.integers[kind] = np.zeros(int(old.max(initial=0)) + 1, dtype=np.int32)
            self.integers[kind][old] = chosen

    def integer(self, kind: int, here: int | None) -> int | None:
        """The integer there of a row here."""
        known = self.integers.get(kind)
        if here is None or known is None or here >= len(known):
            return None
        return int(known[here]) or None

    def found_by(self, records: Records) -> Records:
        """Records of tables without an integer key get that of the column by which their rows are found again."""
        integer = records.integer.copy()
        for name, column in FOUND_BY.items():
            rows = np.flatnonzero(records.kind == self.kinds.get(name, -1))
            target = self.kinds["person" if column == "person_id" else "episode"]
            for row, here in zip(rows.tolist(), self.source_integers(records.take(rows)), strict=True):
                integer[row] = self.integer(target, here) or 0
        return records.with_integers(integer)

    def source_integers(self, records: Records) -> list[int]:
        found: list[int] = self.made.integer[find(records, self.made)].tolist()
        return found

    def links(self, table: Table) -> dict[str, int | None]:
        """The columns that point to other rows than the person's, and to which kind; None where another column says."""
        links: dict[str, int | None] = {
            field.name: self.kinds[field.fk_table]
            for field in table.fields
            if field.fk_table in self.kinds.keys() - VOCABULARY_TABLES - {"person"} and field.name != table.id_column
        }
        return {**links, table.event_id: None} if table.event_id and table.event_field else links

    def rows(self, records: Records) -> Iterator[Rows]:
        """The rows of some records, pointed anew, by table."""
        for name in parents_first(self.database.shapes):
            chosen = records.take(records.kind == self.kinds[name])
            if len(chosen):
                names = [field.name for field in self.database.shapes.tables[name].fields]
                yield name, names, self.rows_of(self.database.shapes.tables[name], names, chosen), len(chosen)

    def rows_of(self, table: Table, names: Sequence[str], records: Records) -> Iterator[tuple[Any, ...]]:
        key, integers = FOUND_BY.get(table.name) or str(table.id_column), self.source_integers(records)
        quoted = ", ".join(f'"{name}"' for name in names)
        query = f"SELECT {quoted} FROM {table.name} WHERE {key} IN (SELECT value FROM json_each(?))"
        points: dict[str, int | None] = {**self.links(table)}
        if "person_id" in names:
            points["person_id"] = self.kinds["person"]
        if table.id_column:
            points[table.id_column] = self.kinds[table.name]
        for start in range(0, len(integers), AT_ONCE):
            found = self.source.execute(query, (json.dumps(integers[start : start + AT_ONCE]),))
            for row in found:
                cells = dict(zip(names, row, strict=True))
                for column, kind in points.items():
                    target = self.kind_of_concept.get(cells[str(table.event_field)], -1) if kind is None else kind
                    cells[column] = self.integer(target, cells[column])
                yield tuple(cells.values())

    def ledger_rows(self, after: Records) -> Iterator[tuple[Unit, Held]]:
        digests = digest_bytes(unit_digests(after, len(self.scope.units)))
        nothing = Held(b"", None, None, b"")
        for unit, packed in pack(after, self.change.touched.tolist()):
            key = self.scope.units[unit]
            yield key, replace(self.here.get(key, nothing), digest=digests[unit], records=packed)

    def persons(self, subjects: Collection[str]) -> dict[str, int]:
        """The persons of some patients as they stand there; those who are gone by what they were."""
        kind = self.kinds["person"]
        found = dict.fromkeys(subjects, 0)
        for held, known in ((self.there, False), (self.here, True)):
            records = self.records_of(held, subjects)
            records = records.take(records.kind == kind)
            for unit, integer in zip(records.unit.tolist(), records.integer.tolist(), strict=True):
                found[self.scope.units[unit][0]] = (self.integer(kind, integer) or 0) if known else integer
        return found


def used_concepts(source: sqlite3.Connection, tables: Sequence[Table]) -> set[int]:
    """The concepts that the rows of omop.sqlite point to."""
    found: set[int] = set()
    for table in tables:
        columns = [one.name for one in table.fields if one.fk_table == "concept"]
        for column in columns if table.name not in VOCABULARY_TABLES else ():
            query = f"SELECT DISTINCT {column} FROM {table.name} WHERE {column} IS NOT NULL"
            found |= {concept for (concept,) in source.execute(query)}
    return found


def copy_missing(source: sqlite3.Connection, database: Database, table: str, key: str) -> None:
    """Copy the rows of a table whose key the other database doesn't have."""
    names = [field.name for field in database.shapes.tables[table].fields]
    there = {str(one) for (one,) in database.select(f"SELECT {key} FROM {table}")}
    place = names.index(key)
    found = source.execute(f"SELECT {', '.join(names)} FROM {table}")
    rows = [list(row) for row in found if str(row[place]) not in there]
    own = database.shapes.tables[table].id_column
    if own and own != key:
        above = database.largest(table, own)
        for number, row in enumerate(rows, above + 1):
            row[names.index(own)] = number
    database.insert(table, names, rows)
