"""A patient taken out of DIR/fhir: the lines of their resources, and what the ledger holds of them."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path

from caseweave.targets.fhir.server.ledger import OWN, contents
from caseweave.targets.fhir.server.store import id_of


def refs_of(connection: sqlite3.Connection, subject: str) -> set[str]:
    """Type and id of every resource that the ledger holds of a patient."""
    rows = connection.execute(f"SELECT records FROM {OWN} WHERE subject = ?", (subject,)).fetchall()
    kinds = dict(connection.execute(f"SELECT kind, name FROM {OWN}_kind").fetchall()) if rows else {}
    return {ref for (records,) in rows for ref in contents(records, kinds)}


def retract_patient(connection: sqlite3.Connection, folder: Path, subject: str) -> Counter[str]:
    """Take a patient's resources out of a folder and out of its ledger; the caller commits.

    What FHIR servers hold of them is deleted by the next delivery, which finds it in the server's ledger and no more in
    this one. Returns the resources taken out, by type.
    """
    by_type: dict[str, set[bytes]] = {}
    for ref in refs_of(connection, subject):
        name, _, own = ref.partition("/")
        by_type.setdefault(name, set()).add(own.encode())
    for name, ids in sorted(by_type.items()):
        path, part = folder / f"{name}.ndjson", folder / f"{name}.ndjson.part"
        if path.exists():
            with path.open("rb") as old, part.open("wb") as new:
                new.writelines(line for line in old if id_of(line) not in ids)
            os.replace(part, path)
    connection.execute(f"DELETE FROM {OWN} WHERE subject = ?", (subject,))
    return Counter({name: len(ids) for name, ids in by_type.items()})
