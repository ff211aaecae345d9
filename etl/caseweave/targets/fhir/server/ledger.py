"""What the ledger says that a server holds, held against what the workspace says: unit by unit, in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from caseweave.targets.fhir.server.parcels import Change, Parcel, UnitName
from caseweave.targets.ledger import PACKED, SCHEMA
from caseweave.targets.records import text_ids

OWN = "fhir"
SAME = "f.subject = s.subject AND f.sheet = s.sheet AND f.study = s.study AND f.stream = s.stream"
Contents = dict[str, int]


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
        return self._count(
            f"SELECT sum(length(f.records)) FROM {OWN} f JOIN {self.name} s USING (subject, sheet, study, stream) "
            "WHERE f.digest = s.digest AND f.records = s.records"
        )

    def holds(self) -> int:
        """How many resources the server holds, as far as is known."""
        return self._count(f"SELECT sum(length(records)) FROM {self.name}")

    def _count(self, query: str) -> int:
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
        vanished: list[tuple[UnitName, str]] = []
        for unit, here, there in units:
            stand.update(here)
            vanished.extend((unit, ref) for ref in there.keys() - here.keys())
            for ref, hash_ in here.items():
                if there.get(ref) != hash_:
                    before = changes.get(ref)
                    told = (*before.units, unit) if before else (unit,)
                    changes[ref] = Change(ref, False, told, ref in there or bool(before and before.known))
        if vanished:
            stand |= self._elsewhere(subject)
        for unit, ref in sorted(vanished):
            if ref not in stand:
                before = changes.get(ref)
                changes[ref] = Change(ref, True, (*before.units, unit) if before else (unit,), True)
        patient_first = sorted(changes.values(), key=lambda one: (one.delete, one.type != "Patient"))
        return Parcel(subject, tuple(unit for unit, _, _ in units), tuple(patient_first))

    def _elsewhere(self, subject: str) -> set[str]:
        """Everything that the workspace tells of a patient."""
        kinds = self.kinds()
        rows = self.connection.execute(f"SELECT records FROM {OWN} WHERE subject = ?", (subject,))
        return {ref for (records,) in rows for ref in contents(records, kinds)}

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
