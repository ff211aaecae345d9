"""What the ledger says that a server holds, held against what the workspace says: unit by unit, in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from caseweave.targets.fhir.server.parcels import Change, Parcel, UnitName
from caseweave.targets.ledger import PACKED, SCHEMA
from caseweave.targets.records import text_ids

OWN = "fhir"
SAME = "f.subject = s.subject AND f.sheet = s.sheet AND f.study = s.study AND f.stream = s.stream"
Contents = dict[str, int]
# instead of a hash: it was sent, but nobody knows whether the server took it; it is there, but who knows how
PERHAPS, SOMEHOW = 0, 1


@dataclass(frozen=True)
class ServerLedger:
    """The ledger of one server, beside the workspace's own in the same database, numbering kinds as that does.

    Arguments: `name` of its table.
    """

    connection: sqlite3.Connection
    name: str

    @classmethod
    def of(cls, connection: sqlite3.Connection, digest: str) -> ServerLedger:
        """The ledger of the server with this digest."""
        return cls(connection, f"fhir_at_{digest}")

    @property
    def exists(self) -> bool:
        """Whether anything was ever written of this server."""
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self.connection.execute(query, (self.name,)).fetchone() is not None

    def create(self) -> None:
        """Make the table where it is missing."""
        self.connection.execute(SCHEMA.format(table=self.name))

    def forget(self) -> None:
        """Take out everything that is known of the server."""
        self.connection.execute(f"DELETE FROM {self.name}")

    def kinds(self) -> dict[int, str]:
        """The kinds of resources by number: the type, and behind it the suffix of the ids."""
        return dict(self.connection.execute(f"SELECT kind, name FROM {OWN}_kind").fetchall())

    def unchanged(self) -> int:
        """How many resources the server holds as they are here."""
        query = (
            f"SELECT sum(length(f.records)) FROM {OWN} f JOIN {self.name} s USING (subject, sheet, study, stream) "
            "WHERE f.records = s.records"
        )
        return int(self.connection.execute(query).fetchone()[0] or 0) // PACKED.itemsize

    def subjects(self) -> list[str]:
        """The patients of whom the server lacks something, or holds it differently, in their order."""
        query = (
            f"SELECT f.subject FROM {OWN} f LEFT JOIN {self.name} s ON {SAME} WHERE s.records IS NOT f.records "
            f"UNION SELECT s.subject FROM {self.name} s LEFT JOIN {OWN} f ON {SAME} WHERE f.subject IS NULL ORDER BY 1"
        )
        return [subject for (subject,) in self.connection.execute(query)]

    def parcels(self, subjects: Iterable[str]) -> Iterator[Parcel]:
        """What each patient lacks; what another unit of the patient still tells isn't deleted.

        Each patient is looked up as their turn comes: what is settled meanwhile disturbs nothing.
        """
        query = (
            f"SELECT f.sheet, f.stream, f.records, coalesce(s.records, x'') FROM {OWN} f "
            f"LEFT JOIN {self.name} s ON {SAME} WHERE f.subject = ?1 AND s.records IS NOT f.records "
            f"UNION ALL SELECT s.sheet, s.stream, x'', s.records FROM {self.name} s "
            f"LEFT JOIN {OWN} f ON {SAME} WHERE s.subject = ?1 AND f.subject IS NULL ORDER BY 1, 2"
        )
        kinds = self.kinds()
        for subject in subjects:
            rows = self.connection.execute(query, (subject,)).fetchall()
            yield self._parcel(
                subject,
                [
                    ((sheet, stream), contents(here, kinds), contents(there, kinds))
                    for sheet, stream, here, there in rows
                ],
            )

    def _parcel(self, subject: str, units: list[tuple[UnitName, Contents, Contents]]) -> Parcel:
        changes: dict[str, Change] = {}
        stand: set[str] = set()
        vanished: list[tuple[UnitName, str, bool]] = []
        for unit, here, there in units:
            stand.update(here)
            vanished.extend((unit, ref, there[ref] != PERHAPS) for ref in there.keys() - here.keys())
            for ref, hash_ in here.items():
                if there.get(ref) != hash_:
                    before = changes.get(ref)
                    told = (*before.units, unit) if before else (unit,)
                    known = there.get(ref, PERHAPS) != PERHAPS or bool(before and before.known)
                    changes[ref] = Change(ref, False, told, known)
        if vanished:
            stand |= self._elsewhere(subject)
        for unit, ref, known in sorted(vanished):
            if ref not in stand:
                before = changes.get(ref)
                told = (*before.units, unit) if before else (unit,)
                changes[ref] = Change(ref, True, told, known or bool(before and before.known))
        patient_first = sorted(changes.values(), key=lambda one: (one.delete, one.type != "Patient"))
        return Parcel(subject, tuple(unit for unit, _, _ in units), tuple(patient_first))

    def _elsewhere(self, subject: str) -> set[str]:
        """Everything that the workspace tells of a patient."""
        kinds = self.kinds()
        rows = self.connection.execute(f"SELECT records FROM {OWN} WHERE subject = ?", (subject,))
        return {ref for (records,) in rows for ref in contents(records, kinds)}

    def intend(self, subject: str, units: Iterable[UnitName]) -> None:
        """Say that these units are about to be sent, so that nothing that the server may take is ever forgotten.

        What comes of it is unknown until it is settled; the caller commits.
        """
        query = (
            f"SELECT f.study, f.records, s.study, s.records FROM (SELECT ?1 AS subject, ?2 AS sheet, ?3 AS stream) u "
            f"LEFT JOIN {OWN} f ON f.subject = u.subject AND f.sheet = u.sheet AND f.stream = u.stream "
            f"LEFT JOIN {self.name} s ON s.subject = u.subject AND s.sheet = u.sheet AND s.stream = u.stream"
        )
        for unit in units:
            ours, here, theirs, there = self.connection.execute(query, (subject, *unit)).fetchone()
            self.put(subject, unit, ours or theirs, intended(here or b"", there or b""))

    def settle(self, subject: str, units: Iterable[UnitName]) -> None:
        """Say that the server now holds these units as the workspace does; the caller commits."""
        where = "WHERE subject = ? AND sheet = ? AND stream = ?"
        for sheet, stream in units:
            key = (subject, sheet, stream)
            self.connection.execute(f"DELETE FROM {self.name} {where}", key)
            self.connection.execute(f"INSERT INTO {self.name} SELECT * FROM {OWN} {where}", key)

    def put(self, subject: str, unit: UnitName, study: str, records: bytes) -> None:
        """Say what exactly the server holds of a unit, where that isn't what the workspace says; the caller commits."""
        row = (subject, unit[0], study, unit[1], b"", None, None, records)
        self.connection.execute(f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def contents(records: bytes, kinds: dict[int, str]) -> Contents:
    """The references of packed records with their hashes."""
    packed = np.frombuffer(records, dtype=PACKED)
    if not len(packed):
        return {}
    ids = text_ids(np.frombuffer(packed["id"].tobytes(), dtype=np.uint8).reshape(-1, 20))
    found: Contents = {}
    for text, kind, hash_ in zip(ids, packed["kind"].tolist(), packed["hash"].tolist(), strict=True):
        name, dash, suffix = kinds[kind].partition("-")
        found[f"{name}/{text}{dash}{suffix}"] = hash_
    return found


def intended(here: bytes, there: bytes) -> bytes:
    """Packed records of a unit that is about to be sent: what the server may hold from now on.

    Arguments: the unit as it is `here`, and as the ledger says that it is `there`.
    """
    ours, theirs = (np.frombuffer(records, dtype=PACKED).copy() for records in (here, there))
    known = dict(zip(_keys(theirs), theirs["hash"].tolist(), strict=True))
    kept = [known.get(key, PERHAPS) for key in _keys(ours)]
    ours["hash"] = [
        now if now == before else min(before, SOMEHOW) for now, before in zip(ours["hash"].tolist(), kept, strict=True)
    ]
    mine = set(_keys(ours))
    gone = np.array([key not in mine for key in _keys(theirs)], dtype=bool)
    left = theirs[gone]
    left["hash"] = np.minimum(left["hash"], SOMEHOW)
    return bytes(ours.tobytes() + left.tobytes())


def _keys(packed: Any) -> list[tuple[bytes, int, int]]:
    ids = [one.tobytes() for one in packed["id"]]
    return list(zip(ids, packed["place"].tolist(), packed["kind"].tolist(), strict=True))
