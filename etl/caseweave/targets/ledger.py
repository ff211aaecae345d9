"""The ledger: what a target holds for each patient, sheet and stream; and the difference to what a run made of it.

One row per unit: a digest, the span of dates, and its records packed in 34 bytes each. An unchanged unit costs one
comparison; only a changed one is opened (DESIGN 4). It lies in the target itself where that has transactions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from caseweave.targets.records import Records, concatenate, unit_digests
from caseweave.targets.scope import Scope, Unit

# what SQLite deletes is overwritten in the file: a patient who was retracted stands in no free page
FORGET = "PRAGMA secure_delete = ON"
BLOCK = 16384  # units written at a time
PACKED = np.dtype([("id", "V20"), ("place", "u1"), ("kind", "u1"), ("integer", "<i4"), ("hash", "<u8")])
SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (
    subject TEXT NOT NULL, sheet TEXT NOT NULL, study TEXT NOT NULL, stream TEXT NOT NULL, digest BLOB NOT NULL,
    first_date TEXT, last_date TEXT, records BLOB NOT NULL, PRIMARY KEY (subject, sheet, study, stream))
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger says of one unit."""

    digest: bytes
    first_date: str | None
    last_date: str | None
    records: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to happen in a target.

    Arguments: `new` and `changed` are records of the run, `vanished` of the ledger; `stays` are those of the opened
    units that remain, of the run or, where it may not retract them, of the ledger; `conflicts` are records of the run
    of which another stream says something else, and which stay as that says; `same` counts what isn't written;
    `touched` are the units whose ledger row has to be written.
    """

    new: Records
    changed: Records
    vanished: Records
    stays: Records
    conflicts: Records
    same: int
    touched: NDArray[np.int32]

    def __bool__(self) -> bool:
        return bool(len(self.touched))


class Statements(Protocol):
    """What the ledger asks of a database; an SQLite connection does it as it is."""

    def execute(self, query: str, arguments: Sequence[Any] = ..., /) -> Iterable[Any]: ...
    def executemany(self, query: str, rows: Iterable[Sequence[Any]], /) -> object: ...


@dataclass
class Ledger:
    """The ledger of one study and stream in one table, of an SQLite database unless a subclass says otherwise."""

    connection: Statements
    table: str
    study: str
    stream: str

    def __post_init__(self) -> None:
        self.create()

    def create(self) -> None:
        """Make the table where it isn't there."""
        self.connection.execute(SCHEMA.format(table=self.table))

    def kinds(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of kinds of records (resource types), those of `names` made where they are missing."""
        self.connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.table}_kind (kind INTEGER PRIMARY KEY, name TEXT UNIQUE)"
        )
        self.connection.executemany(
            f"INSERT OR IGNORE INTO {self.table}_kind (name) VALUES (?)", ((one,) for one in names)
        )
        return {name: kind for kind, name in self.connection.execute(f"SELECT kind, name FROM {self.table}_kind")}

    def read(self, subjects: Iterable[str]) -> dict[Unit, Held]:
        """What is held of these patients, all sheets."""
        wanted = set(subjects)
        rows = self.connection.execute(
            f"SELECT subject, sheet, digest, first_date, last_date, records FROM {self.table} "
            "WHERE study = ? AND stream = ?",
            (self.study, self.stream),
        )
        return {
            (subject, sheet): Held(digest, first, last, records)
            for subject, sheet, digest, first, last, records in rows
            if subject in wanted
        }

    def others(self, subjects: Iterable[str]) -> Records:
        """What other streams and studies say of these patients; a fact stands while any of them says it."""
        among, argument = self.among(subjects)
        rows = self.connection.execute(
            f"SELECT records FROM {self.table} WHERE NOT (study = ? AND stream = ?) AND {among}",
            (self.study, self.stream, argument),
        )
        return unpack([(-1, records) for (records,) in rows])

    def told_elsewhere(self, subjects: Iterable[str]) -> set[str]:
        """Those of some patients of whom other streams or studies say something."""
        among, argument = self.among(subjects)
        query = f"SELECT DISTINCT subject FROM {self.table} WHERE NOT (study = ? AND stream = ?) AND {among}"
        return {subject for (subject,) in self.connection.execute(query, (self.study, self.stream, argument))}

    def holds(self) -> dict[str, int]:
        """How many records are held of each sheet, all patients together."""
        rows = self.connection.execute(
            f"SELECT sheet, sum(length(records)) FROM {self.table} WHERE study = ? AND stream = ? GROUP BY sheet",
            (self.study, self.stream),
        )
        return {sheet: size // PACKED.itemsize for sheet, size in rows}

    def spans(self, subjects: Iterable[str]) -> dict[str, tuple[str, str]]:
        """The first and last day told of some patients, all studies, sheets and streams together."""
        among, argument = self.among(subjects)
        query = f"SELECT subject, min(first_date), max(last_date) FROM {self.table} WHERE {among} GROUP BY subject"
        return {subject: (first, last) for subject, first, last in self.connection.execute(query, (argument,)) if first}

    def among(self, subjects: Iterable[str]) -> tuple[str, object]:
        """The condition that a row is of one of some patients, and its argument."""
        return "subject IN (SELECT value FROM json_each(?))", json.dumps(list(subjects))

    def subjects(self) -> set[str]:
        """All patients of whom something is held."""
        query = f"SELECT DISTINCT subject FROM {self.table} WHERE study = ? AND stream = ?"
        return {subject for (subject,) in self.connection.execute(query, (self.study, self.stream))}

    def write(self, rows: Iterable[tuple[Unit, Held]]) -> None:
        """Set units; one that holds nothing is taken out."""
        stream = iter(rows)
        while block := list(islice(stream, BLOCK)):
            kept, gone = [], []
            for (subject, sheet), held in block:
                key = (subject, sheet, self.study, self.stream)
                if held.records:
                    kept.append((*key, held.digest, held.first_date, held.last_date, held.records))
                else:
                    gone.append(key)
            self.put(kept, gone)

    def put(self, kept: Sequence[Sequence[object]], gone: Sequence[Sequence[str]]) -> None:
        """Write whole rows, by their keys; and take rows out."""
        self.connection.executemany(f"INSERT OR REPLACE INTO {self.table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)
        self.connection.executemany(
            f"DELETE FROM {self.table} WHERE subject = ? AND sheet = ? AND study = ? AND stream = ?", gone
        )


def pack(records: Records, units: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each unit's records as bytes."""
    order = np.argsort(records.unit, kind="stable")
    packed = np.empty(len(records), dtype=PACKED)
    packed["id"] = np.ascontiguousarray(records.ids).view("V20").reshape(-1)[order]
    packed["place"], packed["kind"] = records.place[order], records.kind[order]
    packed["integer"], packed["hash"] = records.integer[order], records.hash[order]
    wanted = np.fromiter(units, dtype=np.int32)
    starts, ends = (np.searchsorted(records.unit[order], wanted, side=side).tolist() for side in ("left", "right"))
    for unit, start, end in zip(wanted.tolist(), starts, ends, strict=True):
        yield unit, packed[start:end].tobytes()


def unpack(held: Sequence[tuple[int, bytes]], kind: int | None = None) -> Records:
    """Records out of the ledger's bytes, of one kind only where it is given; `held`: units by number with theirs."""
    packed = np.frombuffer(b"".join(data for _, data in held), dtype=PACKED)
    sizes = [len(data) // PACKED.itemsize for _, data in held]
    units = np.repeat(np.array([unit for unit, _ in held], dtype=np.int32), sizes)
    if kind is not None:
        units, packed = units[packed["kind"] == kind], packed[packed["kind"] == kind]
    none = np.full(len(packed), -1, dtype=np.int32)
    return Records(
        units,
        np.frombuffer(packed["id"].tobytes(), dtype=np.uint8).reshape(-1, 20),
        packed["place"].copy(),
        packed["kind"].copy(),
        packed["integer"].astype(np.int32),
        packed["hash"].astype(np.uint64),
        none,
        none,
    )


def digest_bytes(digests: NDArray[np.uint64]) -> list[bytes]:
    """Digests as the ledger keeps them."""
    data = digests.astype("<u8").tobytes()
    return [data[i : i + 8] for i in range(0, len(data), 8)]


def compare(records: Records, scope: Scope, held: Mapping[Unit, Held], others: Records) -> Difference:
    """The difference between what a run made and what the ledger holds, unit by unit; an unchanged one isn't opened.

    Arguments: `others` is what other streams hold of the same patients: what they say alike is written once, what they
    say differently stays as they say it, and what only this stream takes back stands.
    """
    digests = digest_bytes(unit_digests(records, len(scope.units)))
    nothing = b"\x00" * len(digests[0]) if digests else b""
    opened = [n for n, unit in enumerate(scope.units) if (held[unit].digest if unit in held else nothing) != digests[n]]
    is_open = np.zeros(len(scope.units) + 1, dtype=np.bool_)
    is_open[opened] = True
    mine = records.take(is_open[records.unit])
    theirs = unpack([(n, held[scope.units[n]].records) for n in opened if scope.units[n] in held])
    match = find(mine, theirs)
    known = match >= 0
    old = theirs.take(match[known])
    again = mine.take(known).with_integers(old.integer)
    frozen = np.isin(again.batch, list(scope.frozen))
    differs = (again.hash != old.hash) & ~frozen
    gone = np.ones(len(theirs), dtype=bool)
    gone[match[known]] = False
    kept = gone & scope.kept(theirs.unit)
    new, changed, vanished = mine.take(~known), again.take(differs), theirs.take(gone & ~kept)
    stays = concatenate([again.take(~differs).with_hashes(old.hash[~differs]), theirs.take(kept)])
    touched = np.unique(np.concatenate([new.unit, changed.unit, vanished.unit])).astype(np.int32)
    new, alike, against = _beside(new, others)
    changed, alike_again, against_again = _beside(changed, others)
    conflicts = concatenate([against, against_again])
    stays = concatenate([stays, alike, alike_again, conflicts])
    vanished = vanished.take(find(vanished, others) < 0)
    return Difference(new, changed, vanished, stays, conflicts, len(records) - len(new) - len(changed), touched)


def _beside(records: Records, others: Records) -> tuple[Records, Records, Records]:
    """Records that only this stream says, those that another says alike, and those that another says differently."""
    match = find(records, others)
    shared = match >= 0
    theirs = others.take(match[shared])
    mine = records.take(shared).with_integers(theirs.integer)
    alike = mine.hash == theirs.hash
    return records.take(~shared), mine.take(alike), mine.take(~alike).with_hashes(theirs.hash[~alike])


def find(records: Records, known: Records) -> NDArray[np.int64]:
    """For each record the place of the one with its key among `known`; -1 where there is none."""
    if not len(known):
        return np.full(len(records), -1, dtype=np.int64)
    place = {key: n for n, key in enumerate(known.keys().tolist())}
    return np.array([place.get(key, -1) for key in records.keys().tolist()], dtype=np.int64)
