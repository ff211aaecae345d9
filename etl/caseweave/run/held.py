"""What the targets of a workspace hold, as their ledgers say: units, and the resources and rows of a fact."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from caseweave.errors import UsageError
from caseweave.run.database import remembered
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import OmopShapes, omop_shapes
from caseweave.targets.ledger import PACKED, Statements

FHIR_LEDGER = "fhir"
OMOP_LEDGER = "caseweave_ledger"
CONFIGURATIONS = (("5.4", False, True), ("5.4", False, False), ("5.3", True, True), ("5.3", True, False))


@dataclass(frozen=True, slots=True)
class Held:
    """One record of a target: `name` is `Observation/...` or `measurement:12`, the rest says whose it is."""

    name: str
    fact: bytes
    subject: str
    sheet: str
    stream: str


@dataclass(frozen=True)
class Holdings:
    """One target's ledger, open for reading.

    Arguments: `names` gives the resource type (with the suffix of its ids) or the table of a kind.
    """

    connection: Statements
    table: str
    names: Mapping[int, str]
    contains: ClassVar[str] = "instr(records, ?)"

    def units(self) -> dict[tuple[str, str], int]:
        """How many patients' sheets are held, by sheet and stream."""
        query = f"SELECT sheet, stream, count(*) FROM {self.table} GROUP BY sheet, stream"
        return {(sheet, stream): count for sheet, stream, count in self.connection.execute(query)}

    def of_fact(self, fact: bytes, subject: str = "") -> list[Held]:
        """What is held of a fact, given its raw id; of one patient only, where it is known whose it is."""
        return [one for one in self.containing(fact, subject) if one.fact == fact]

    def of_integer(self, kind: int, integer: int) -> list[Held]:
        """The rows of a table that an integer finds."""
        name = f"{self.names[kind]}:{integer}"
        needle = bytes([kind]) + integer.to_bytes(4, "little", signed=True)
        return [one for one in self.containing(needle) if one.name == name]

    def containing(self, needle: bytes, subject: str = "") -> Iterator[Held]:
        """The records of all units whose packed bytes hold these; the database searches, Python opens what it finds."""
        query = f"SELECT subject, sheet, stream, records FROM {self.table} WHERE {self.contains}"
        mine = " AND subject = ?" if subject else ""
        for name, sheet, stream, records in self.connection.execute(query + mine, (needle, subject)[: 1 + bool(mine)]):
            for one in np.frombuffer(records, dtype=PACKED):
                fact = one["id"].tobytes()
                yield Held(self.name(fact, int(one["kind"]), int(one["integer"])), fact, name, sheet, stream)

    def name(self, fact: bytes, kind: int, integer: int) -> str:
        """What a record is called outside."""
        return f"{self.names.get(kind, 'unknown')}:{integer}"


class FhirHoldings(Holdings):
    """The ledger of DIR/fhir."""

    def name(self, fact: bytes, kind: int, integer: int) -> str:
        """Type and id of a resource."""
        resource_type, dash, suffix = self.names.get(kind, "unknown").partition("-")
        return f"{resource_type}/{fact_text(fact)}{dash}{suffix}"


class PostgresHoldings(Holdings):
    """The ledger of a CDM on PostgreSQL."""

    contains = "position(?::bytea IN records) > 0"


def fact_text(raw: bytes) -> str:
    """A raw fact id as 32 letters.

    >>> fact_text(bytes(20))
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
    """
    import base64

    return base64.b32encode(raw).decode("ascii").lower()


def fact_bytes(text: str) -> bytes | None:
    """The raw id behind 32 letters; None where the text is none.

    >>> fact_bytes("a" * 32) == bytes(20)
    True
    """
    import base64

    return base64.b32decode(text.upper()) if re.fullmatch("[a-z2-7]{32}", text) else None


@contextlib.contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """An SQLite file, for reading; raises UsageError where there is none."""
    if not path.is_file():
        raise UsageError(f"{path} isn't there.", way_out="Give a workspace in which a run has ended.")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def fhir_holdings(workspace: Workspace) -> Iterator[Holdings]:
    """What DIR/fhir holds."""
    with open_read_only(workspace.ledger) as connection:
        names = dict(connection.execute(f"SELECT kind, name FROM {FHIR_LEDGER}_kind").fetchall())
        yield FhirHoldings(connection, FHIR_LEDGER, names)


@contextlib.contextmanager
def omop_holdings(workspace: Workspace) -> Iterator[Holdings]:
    """What the OMOP database holds that the workspace delivers to."""
    if server := remembered(workspace.read_state()):
        with server.reading() as connection:
            yield PostgresHoldings(connection, OMOP_LEDGER, dict(enumerate(server.look().shapes.tables)))
        return
    with open_read_only(workspace.omop) as connection:
        yield Holdings(connection, OMOP_LEDGER, dict(enumerate(shapes_of(connection).tables)))


def shapes_of(connection: sqlite3.Connection) -> OmopShapes:
    """Which CDM an SQLite database was made with, told by its tables and columns."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = _columns(connection, "measurement")
    for cdm, oncology, imaging in CONFIGURATIONS:
        shapes = omop_shapes(cdm, oncology=oncology, imaging=imaging)
        if shapes.tables.keys() <= there and columns == [one.name for one in shapes.tables["measurement"].fields]:
            return shapes
    raise UsageError("The database holds no CDM that Caseweave made.", way_out="Give the workspace of a run.")


def _columns(connection: sqlite3.Connection, table: str) -> Sequence[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
