"""Rows into PostgreSQL: ours with integers, merge and ledger, COPY alone into the same tables, and pandas.to_sql; then
`caseweave run SOURCE --omop DSN` as a whole, first and unchanged.

    python -m benchmarks.postgres --page docs/benchmarks.md

Each round makes its databases anew and takes all ways one after the other; the best of each counts, and the median of
the rounds' ratios. A server of its own is started, with PostgreSQL's own settings (fsync on). --page writes the figures
into a page of Markdown, in a section of their own.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from tests.services.postgres import Postgres, running

from benchmarks import national
from benchmarks.__main__ import machine, workbook
from benchmarks.process import spend
from benchmarks.sections import put_section
from benchmarks.sections import table as markdown
from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.shapes.omop import OmopShapes
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.targets.omop.copying import CopyText
from caseweave.targets.omop.ddl import VOCABULARY_TABLES, parents_first
from caseweave.targets.omop.postgres import PostgresDatabase
from caseweave.targets.omop.server import create_cdm
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import open_terms

Table = tuple[str, list[str], list[tuple[Any, ...]]]
TO_SQL_ROWS = 20_000


def made(source: Path) -> Conversion:
    """A national registry's facts."""
    study = load_study(national.STUDY)
    return convert(study, read_sources([source]), key=temporary_key("national"), terms=open_terms())


def anew(conversion: Conversion) -> Conversion:
    """The same facts, of which no row has been made yet."""
    parts = (conversion.study, conversion.layout, conversion.applied, conversion.key, conversion.terms)
    return Conversion(*parts, conversion.systems, conversion.cdm)


def tables_of(conversion: Conversion, shapes: OmopShapes) -> list[Table]:
    """All rows that a first load writes, the vocabulary first, parents before children."""
    with SqliteDatabase(None, shapes) as database:
        write_to(database, conversion)
        found = []
        for name in (*sorted(VOCABULARY_TABLES & shapes.tables.keys()), *parents_first(shapes)):
            names = [one.name for one in shapes.tables[name].fields]
            rows = database.select(f"SELECT {', '.join(map(_quoted, names))} FROM {name}")
            if rows:
                found.append((name, names, rows))
    return found


def _quoted(name: str) -> str:
    return f'"{name}"'


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def copy_alone(dsn: str, schema: str, tables: Sequence[Table]) -> float:
    """COPY of text that is made beforehand, in one transaction; the vocabulary is there already, and not timed."""
    texts = [(name, names, b"".join(iter(CopyText(rows).read, b""))) for name, names, rows in tables]
    connection = psycopg2.connect(dsn)

    def copy(wanted: bool) -> None:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL search_path TO {schema}")
            for name, names, text in texts:
                if (name in VOCABULARY_TABLES) is wanted:
                    columns = ", ".join(map(_quoted, names))
                    cursor.copy_expert(f"COPY {name} ({columns}) FROM STDIN", _Whole(text))

    copy(True)
    seconds = timed(lambda: copy(False))
    connection.close()
    return seconds


class _Whole:
    """A text as a file."""

    def __init__(self, text: bytes) -> None:
        self.text, self.place = memoryview(text), 0

    def read(self, size: int = -1) -> bytes:
        # as large pieces as those of CopyText, so that neither way has more calls
        piece = self.text[self.place : self.place + 500_000]
        self.place += len(piece)
        return bytes(piece)

    readline = read


def to_sql(dsn: str, schema: str, table: Table) -> tuple[int, float]:
    """pandas.to_sql of some rows of the largest table; returns how many, and seconds."""
    import pandas
    from sqlalchemy import create_engine

    name, names, rows = table
    frame = pandas.DataFrame(rows[:TO_SQL_ROWS], columns=names)
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg2://"))
    seconds = timed(lambda: frame.to_sql(name, engine, schema=schema, if_exists="append", index=False))
    engine.dispose()
    return len(frame), seconds


def ours(dsn: str, schema: str, conversion: Conversion) -> float:
    """From facts to committed rows: rows made, compared, integers given, COPY, periods, ledger."""

    def load() -> None:
        with PostgresDatabase(dsn, conversion.omop.settings.shapes, schema) as database:
            database.require(conversion.key.project, conversion.key.check_value)
            write_to(database, conversion)

    return timed(load)


@dataclass(frozen=True)
class Whole:
    """What a whole run took: on the clock, of CPU in all its processes, and of CPU in the server's."""

    wall: float
    cpu: float
    server: float

    @property
    def both(self) -> float:
        """All CPU, which what else runs on the machine hardly touches."""
        return self.cpu + self.server


def whole(server: Postgres, dsn: str, source: Path, folder: Path) -> Whole:
    """`caseweave run`: reading, checking and applying, FHIR files, PostgreSQL, report; a first one or again."""
    words = ["run", source, "--study", national.STUDY, "-o", folder / "out", "--key", folder / "national.key"]
    before = server_cpu(server)
    spent = spend([sys.executable, "-m", "caseweave", *words, "--omop", dsn, "--omop-schema", "whole"])
    return Whole(spent.wall, spent.cpu, server_cpu(server) - before)


def server_cpu(server: Postgres) -> float:
    """Seconds of CPU that a server's processes have taken, those that have ended among them."""
    pid = int((server.socket_folder / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = [word for one in (pid, *children) for word in _ticks(int(one), ended=one == pid)]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, ended: bool) -> list[int]:
    """utime and stime of a process, with those of its children that have ended (proc(5))."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return []
    return [int(word) for word in words[11 : 15 if ended else 13]]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--patients", type=int, default=2000)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--page", type=Path)
    given, here = words.parse_args(), machine()
    with tempfile.TemporaryDirectory() as folder:
        source = workbook(Path(folder), given.patients)
        measure(given, here, source)


def measure(given: Any, here: dict[str, Any], source: Path) -> None:
    """All rounds; prints, and writes the page."""
    conversion = made(source)
    shapes = conversion.omop.settings.shapes
    tables = tables_of(anew(conversion), shapes)
    count = sum(len(rows) for name, _, rows in tables if name not in VOCABULARY_TABLES)
    largest = max((one for one in tables if one[0] not in VOCABULARY_TABLES), key=lambda one: len(one[2]))
    print(f"{given.patients} patients, {count:,} rows, {len(conversion.applied.facts):,} facts", flush=True)
    best: dict[str, float] = {}
    ratios: dict[str, list[float]] = {"first": [], "unchanged": []}
    runs: list[tuple[Whole, Whole]] = []

    with running() as server:
        os.environ["PGPASSWORD"] = server.password
        for number in range(given.rounds):
            name = f"round{number}"
            server.execute(f"CREATE DATABASE {name}")
            dsn = server.dsn(name)
            for schema in ("alone", "pandas", "ours"):
                create_cdm(dsn, shapes, schema)
            alone = copy_alone(dsn, "alone", tables)
            first = ours(dsn, "ours", anew(conversion))
            again = ours(dsn, "ours", anew(conversion))
            copy_alone(dsn, "pandas", [one for one in tables if one[0] != largest[0]])
            rows, seconds = to_sql(dsn, "pandas", largest)
            for what, rate in (("COPY alone", count / alone), ("Caseweave, first", count / first),
                               ("Caseweave, unchanged", count / again), ("pandas.to_sql", rows / seconds)):  # fmt: skip
                best[what] = max(best.get(what, 0.0), rate)
            ratios["first"].append(alone / first)
            ratios["unchanged"].append(again / first)
            print(
                f"round {number + 1}: COPY alone {alone:.2f} s; first {first:.2f} s, {alone / first:.2f} of its speed; "
                f"unchanged {again:.2f} s, {again / first:.2f} of the first",
                flush=True,
            )
            create_cdm(dsn, shapes, "whole")
            folder = source.parent / name
            folder.mkdir()
            runs.append((whole(server, dsn, source, folder), whole(server, dsn, source, folder)))
            print(
                f"round {number + 1}: whole run {told(runs[-1][0])}; unchanged {told(runs[-1][1])}; ratio "
                f"{ratio_of(runs, 'wall', -1):.2f} on the clock, {ratio_of(runs, 'cpu', -1):.2f} of CPU",
                flush=True,
            )
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for what, rate in sorted(best.items(), key=lambda one: -one[1]):
        print(f"{what:22} {rate:10,.0f} rows/s   {rate / best['COPY alone']:5.2f} of COPY alone")
    if given.page:
        what = f"{count:,} rows of {given.patients:,}"
        put_section(given.page, "PostgreSQL", [*section(what, best, ratios, here), *whole_section(runs)])


def told(one: Whole) -> str:
    """A run's figures in words."""
    return f"{one.wall:.1f} s, {one.cpu:.1f} s of CPU, the server {one.server:.1f}"


def ratio_of(runs: Sequence[tuple[Whole, Whole]], what: str, number: int | None = None) -> float:
    """An unchanged run to the first before it: of one round, or the median of all."""
    chosen = runs if number is None else [runs[number]]
    return statistics.median(getattr(again, what) / getattr(first, what) for first, again in chosen)


def whole_section(runs: Sequence[tuple[Whole, Whole]]) -> list[str]:
    """The figures of whole runs in Markdown."""
    names = (("wall", "on the clock"), ("cpu", "CPU of the run's processes"), ("server", "CPU of the server"),
             ("both", "CPU of both"))  # fmt: skip
    best = {name: [min(getattr(pair[place], name) for pair in runs) for place in (0, 1)] for name, _ in names}
    lines = [
        (title, *(f"{seconds:.1f} s" for seconds in best[name]), f"{ratio_of(runs, name):.2f}") for name, title in names
    ]
    return [
        "",
        "The whole of `caseweave run SOURCE --omop DSN`, from start to exit: reading and checking all cells, facts,",
        "FHIR files, PostgreSQL, report. Then the same again, unchanged; the ratio is the median of the rounds'",
        "(wanted: 0.3 on the clock).",
        "",
        *markdown(["", "first", "unchanged", "unchanged to first"], lines),
    ]


def section(what: str, best: dict[str, float], ratios: dict[str, list[float]], here: dict[str, Any]) -> list[str]:
    """The figures in Markdown."""
    lines = [(way, f"{rate:,.0f}", f"{rate / best['COPY alone']:.2f}") for way, rate in best.items()]
    first, unchanged = (statistics.median(ratios[name]) for name in ("first", "unchanged"))
    return [
        f"{what} patients into tables with all keys, PostgreSQL's own settings, {here['cores']} cores",
        f"({here['cpu']}); `python -m benchmarks.postgres`, best of {len(ratios['first'])} rounds; the machine's load",
        f"was {here['load']:.1f}. Ours makes the rows out of facts, gives integers, compares, COPYs, writes",
        "observation periods and ledger, and commits; COPY alone has its text made beforehand.",
        "",
        *markdown(["", "rows a second", "to COPY alone"], lines),
        "",
        f"Round by round, ours to COPY alone: {first:.2f} (wanted: 0.6); unchanged to first: {unchanged:.2f}.",
    ]


if __name__ == "__main__":
    main()
