"""The ledger: what a target holds for each patient, sheet and stream; and the difference to what a run made of it.

One row per unit: a digest, the span of dates, and its records packed in 34 bytes each. An unchanged unit costs one
comparison; only a changed one is opened (DESIGN 4). It lies in the target itself where that has transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caseweave.targets.records import Records, concatenate, unit_digests

PACKED = np.dtype([("id", "V20"), ("place", "u1"), ("kind", "u1"), ("integer", "<i4"), ("hash", "<u8")])
SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (
    subject TEXT NOT NULL, sheet TEXT NOT NULL, study TEXT NOT NULL, stream TEXT NOT NULL, digest BLOB NOT NULL,
    first_date TEXT, last_date TEXT, records BLOB NOT NULL, PRIMARY KEY (subject, sheet, study, stream))
"""

Unit = tuple[str, str]


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

    Arguments: `new` and `changed` are records of the run, `vanished` of the ledger; `same` counts the others; `touched`
    are the units whose ledger row has to be written.
    """

    new: Records
    changed: Records
    vanished: Records
    same: int
    touched: NDArray[np.int32]

    def __bool__(self) -> bool:
        return bool(len(self.new) or len(self.changed) or len(self.vanished))


@dataclass
class Ledger:
    """The ledger of one study and stream in one table of an SQLite database."""

    connection: sqlite3.Connection
    table: str
    study: str
    stream: str

    def __post_init__(self) -> None:
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

    def write(self, rows: Iterable[tuple[Unit, Held]]) -> None:
        """Set units; one that holds nothing is taken out."""
        kept, gone = [], []
        for (subject, sheet), held in rows:
            key = (subject, sheet, self.study, self.stream)
            if held.records:
                kept.append((*key, held.digest, held.first_date, held.last_date, held.records))
            else:
                gone.append(key)
        self.connection.executemany(f"INSERT OR REPLACE INTO {self.table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)
        self.connection.executemany(
            f"DELETE FROM {self.table} WHERE subject = ? AND sheet = ? AND study = ? AND stream = ?", gone
        )


def pack(records: Records, units: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each unit's records as bytes."""
    order = np.argsort(records.unit, kind="stable")
    records = records.take(order)
    packed = np.empty(len(records), dtype=PACKED)
    packed["id"] = np.ascontiguousarray(records.ids).view("V20").reshape(-1)
    packed["place"], packed["kind"] = records.place, records.kind
    packed["integer"], packed["hash"] = records.integer, records.hash
    data, size = packed.tobytes(), PACKED.itemsize
    wanted = np.fromiter(units, dtype=np.int64)
    starts, ends = (np.searchsorted(records.unit, wanted, side=side) * size for side in ("left", "right"))
    for unit, start, end in zip(wanted.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield unit, data[start:end]


def unpack(held: Sequence[tuple[int, bytes]]) -> Records:
    """Records out of the ledger's bytes; `held` are numbers of units with theirs."""
    parts = []
    for unit, data in held:
        packed = np.frombuffer(data, dtype=PACKED)
        size = len(packed)
        ids = np.frombuffer(packed["id"].tobytes(), dtype=np.uint8).reshape(-1, 20)
        none = np.full(size, -1, dtype=np.int32)
        parts.append(
            Records(
                np.full(size, unit, dtype=np.int32),
                ids,
                packed["place"].copy(),
                packed["kind"].copy(),
                packed["integer"].astype(np.int32),
                packed["hash"].astype(np.uint64),
                none,
                none,
            )
        )
    return concatenate(parts)


def digest_bytes(digests: NDArray[np.uint64]) -> list[bytes]:
    """Digests as the ledger keeps them."""
    data = digests.astype("<u8").tobytes()
    return [data[i : i + 8] for i in range(0, len(data), 8)]


def compare(
    records: Records, units: Sequence[Unit], held: dict[Unit, Held], keep: frozenset[int] = frozenset()
) -> Difference:
    """The difference between what a run made and what the ledger holds, unit by unit.

    Arguments: `units` by number, those without any record now among them; `keep` are units from which nothing may be
    retracted (an increment).
    """
    digests = digest_bytes(unit_digests(records, len(units)))
    opened = [
        n
        for n, unit in enumerate(units)
        if (held[unit].digest if unit in held else None) != digests[n]
        and not (unit not in held and digests[n] == b"\x00" * 8)
    ]
    is_open = np.zeros(len(units) + 1, dtype=bool)
    is_open[opened] = True
    mine = np.flatnonzero(is_open[records.unit])
    theirs = unpack([(n, held[units[n]].records) for n in opened if units[n] in held])
    place = {key: n for n, key in enumerate(theirs.keys().tolist())}
    match = (
        np.array([place.get(key, -1) for key in records.take(mine).keys().tolist()], dtype=np.int64)
        if len(theirs)
        else np.full(len(mine), -1, dtype=np.int64)
    )
    known = match >= 0
    old = theirs.take(match[known])
    again = records.take(mine[known]).with_integers(old.integer)
    differs = again.hash != old.hash
    gone = np.ones(len(theirs), dtype=bool)
    gone[match[known]] = False
    for unit in keep:
        gone &= theirs.unit != unit
    return Difference(
        records.take(mine[~known]),
        again.take(differs),
        theirs.take(gone),
        len(records) - int((~known).sum()) - int(differs.sum()),
        np.array(opened, dtype=np.int32),
    )
