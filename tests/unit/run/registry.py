"""The small registry, filled, run and looked at: what a workspace holds, by fact."""

from __future__ import annotations

import datetime
import decimal
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import openpyxl

from caseweave.run.database import OmopServer, remembered
from caseweave.run.pipeline import Options, Outcome, run
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import omop_shapes
from caseweave.spec.loader import load_study
from caseweave.targets.ledger import Ledger, unpack
from caseweave.targets.omop.ddl import VOCABULARY_TABLES
from caseweave.targets.records import concatenate, text_ids

STUDY = Path(__file__).parents[2] / "fixtures" / "registry"
TODAY = datetime.date(2024, 1, 1)
HEADERS = {
    "Patients": ["patient_id", "sex", "birth_date", "diagnosis_date", "er", "hemoglobin", "comments"],
    "Visits": ["patient_id", "visit", "visit_date", "ki67", "weight"],
}
Rows = Mapping[str, Sequence[Sequence[Any]]]


def filled() -> dict[str, list[list[Any]]]:
    """Thirty patients with two visits each."""
    patients = [
        [f"P{n:03d}", "f" if n % 7 else "m", f"19{40 + n}-02-03", f"2020-03-{n % 28 + 1:02d}",
         ("pos", "neg", "NA", None)[n % 4], 10 + n % 5, "called twice" if n == 3 else None]
        for n in range(30)
    ]  # fmt: skip
    visits = [
        [f"P{n:03d}", visit, f"2021-0{visit + 1}-{n % 28 + 1:02d}", 5 + n, 60.5 + n]
        for n in range(30)
        for visit in (1, 2)
    ]
    return {"Patients": patients, "Visits": visits}


def workbook(path: Path, rows: Rows, headers: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Write a filled form."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for sheet, found in rows.items():
        tab = book.create_sheet(sheet)
        tab.append(list((headers or HEADERS)[sheet]))
        for row in found:
            tab.append(list(row))
    book.save(path)
    return path


def deliver(folder: Path, *sources: Path, **options: Any) -> Outcome:
    """Run the registry's study into a workspace of this folder."""
    key = folder.parent / "registry.key"
    settings = Options(key_file=key, today=TODAY, **options)
    return run(load_study(STUDY), list(sources), Workspace(folder), settings)


def fhir(folder: Path) -> dict[str, bytes]:
    """The lines of all resources by type and id."""
    found = {}
    for path in (folder / "fhir").glob("*.ndjson"):
        for line in path.read_bytes().splitlines():
            name = f"{path.stem}/{json.loads(line)['id']}"
            assert name not in found, f"{name} stands twice"
            found[name] = line
    return found


class Answers(Protocol):
    """A database that answers queries as the ledger asks them."""

    def execute(self, query: str, arguments: Sequence[Any] = ..., /) -> Any: ...
    def executemany(self, query: str, rows: Any, /) -> Any: ...


@dataclass
class PostgresAnswers:
    """A CDM on PostgreSQL, as SQLite would answer."""

    cursor: Any

    def execute(self, query: str, arguments: Sequence[Any] = (), /) -> Any:
        self.cursor.execute(query.replace("?", "%s"), arguments)
        return ([_plain(cell) for cell in row] for row in self.cursor.fetchall())

    def executemany(self, query: str, rows: Any, /) -> None:
        raise NotImplementedError


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    return bytes(cell) if isinstance(cell, memoryview) else cell


class HeldLedger(Ledger):
    """The ledger of a database that stands."""

    def create(self) -> None:
        pass

    def among(self, subjects: Iterable[str]) -> tuple[str, object]:
        return ("subject = ANY (?)", list(subjects)) if self.on_postgres else super().among(subjects)

    @property
    def on_postgres(self) -> bool:
        return isinstance(self.connection, PostgresAnswers)


@contextmanager
def opened(folder: Path, server: OmopServer | None = None) -> Iterator[Answers]:
    """The OMOP database that a workspace delivers to, or a server that is named."""
    server = server or remembered(Workspace(folder).read_state())
    if server is None:
        connection = sqlite3.connect(folder / "omop.sqlite")
        yield connection
        connection.close()
        return
    import psycopg2

    remote = psycopg2.connect(server.dsn)
    with remote.cursor() as cursor:
        cursor.execute(f"SET search_path TO {server.schema}")
        yield PostgresAnswers(cursor)
    remote.close()


def omop(folder: Path, study: str = "registry", server: OmopServer | None = None) -> dict[str, dict[str, Any]]:
    """All rows by table and fact, integers of facts written as the facts themselves; others' rows are left out."""
    with opened(folder, server) as database:
        return dict(_rows(database, study))


def _rows(database: Answers, study: str) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = list(omop_shapes("5.4", imaging=True).tables.values())
    ledger = HeldLedger(database, "caseweave_ledger", study, "main")
    subjects = ledger.subjects()
    mine = unpack([(0, held.records) for held in ledger.read(subjects).values()])
    records = concatenate([mine, ledger.others(subjects)])
    fact_of = {
        (tables[kind].name, number): f"{text}.{place}"
        for kind, number, text, place in zip(records.kind.tolist(), records.integer.tolist(), text_ids(records.ids),
                                             records.place.tolist(), strict=True)
    }  # fmt: skip
    for table in tables:
        if table.name in ("cdm_source", "metadata", *VOCABULARY_TABLES):
            continue
        names = [one.name for one in table.fields]
        quoted = ", ".join(f'"{name}"' for name in names)
        for row in database.execute(f"SELECT {quoted} FROM {table.name}"):
            cells = dict(zip(names, row, strict=True))
            own = cells.get(table.id_column or "")
            fact = fact_of.get((table.name, own))
            if fact is None:
                continue
            cells.pop(str(table.id_column))
            if "person_id" in cells:
                cells["person_id"] = fact_of["person", cells["person_id"]]
            if cells.get("measurement_event_id"):
                cells["measurement_event_id"] = fact_of["condition_occurrence", cells["measurement_event_id"]]
            yield f"{table.name}/{fact}", cells


def periods(folder: Path) -> list[tuple[str, str]]:
    """The observation periods, by their days."""
    query = "SELECT observation_period_start_date, observation_period_end_date FROM observation_period ORDER BY 1, 2"
    with opened(folder) as database:
        return [(start, end) for start, end in database.execute(query)]
