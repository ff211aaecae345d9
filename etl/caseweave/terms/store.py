"""The local index of an Athena download: SQLite, made once, opened in milliseconds."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from caseweave.errors import SourceDamaged, UsageError
from caseweave.terms.athena import AGAIN, Athena
from caseweave.terms.concept import Concept, Link, Resolved, rank, resolve, telling

# goes into the name of the file: an index of another layout is made anew
VERSION = 2
LINKS: tuple[Link, ...] = ("Maps to", "Maps to value")
SCHEMA = """
CREATE TABLE concept (
    concept_id INTEGER PRIMARY KEY, concept_name TEXT, domain_id TEXT, vocabulary_id TEXT, concept_class_id TEXT,
    standard_concept TEXT, concept_code TEXT, invalid_reason TEXT, valid_start_date TEXT, valid_end_date TEXT
);
CREATE VIEW usable AS SELECT concept_id FROM concept WHERE standard_concept = 'S' AND invalid_reason = '';
CREATE TABLE link (
    concept_id INTEGER, kind INTEGER, target INTEGER, PRIMARY KEY (concept_id, kind, target)
) WITHOUT ROWID;
CREATE TABLE about (release TEXT);
CREATE VIRTUAL TABLE name USING fts5(concept_name, content='concept', content_rowid='concept_id', detail='none');
"""
# after the rows: faster than keeping it while they come
INDEXES = (
    "CREATE INDEX concept_code ON concept (concept_code, vocabulary_id)",
    "INSERT INTO name (rowid, concept_name) SELECT concept_id, concept_name FROM concept WHERE concept_id IN usable",
    "INSERT INTO name (name) VALUES ('optimize')",
)
SELECT = (
    "SELECT concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, standard_concept, concept_code,"
    " invalid_reason, valid_start_date, valid_end_date FROM concept"
)
# how many names the index picks for each that is asked for, before they are ranked by likeness
PICKED = 40


def cache_folder() -> Path:
    """Where indexes lie: CASEWEAVE_CACHE, else caseweave in the user's folder for caches."""
    given = os.environ.get("CASEWEAVE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "caseweave" if base else Path.home() / ".cache" / "caseweave"


def build_index(folder_or_zip: Path, cache: Path) -> Path:
    """Make the index of an Athena download, unless it is there already; it appears whole or not at all.

    Arguments: `folder_or_zip` with CONCEPT, CONCEPT_RELATIONSHIP and VOCABULARY; `cache`, the folder for indexes.
    Raises SourceUnsupported or SourceDamaged where the download isn't what Athena gives, UsageError where the index
    can't be written.
    """
    with Athena(folder_or_zip) as athena:
        path = cache / f"vocabulary-{VERSION}-{athena.digest()}.sqlite"
        if path.exists():
            return path
        try:
            cache.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".vocabulary-", suffix=".part", dir=cache)
            os.close(handle)
            part = Path(name)
            try:
                _fill(part, athena)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except (sqlite3.OperationalError, OSError) as problem:
            raise UsageError(
                f"The index of the vocabularies can't be written to {cache} ({problem}).",
                way_out="Make room there, or name another folder in CASEWEAVE_CACHE.",
            ) from None
    return path


def _fill(part: Path, athena: Athena) -> None:
    with closing(sqlite3.connect(part, isolation_level=None)) as database:
        # nobody sees the file before it is complete: no journal is needed
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        database.execute("BEGIN")
        _insert(database, "INSERT INTO concept VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _concepts(athena))
        _insert(database, "INSERT OR IGNORE INTO link VALUES (?, ?, ?)", _links(athena))
        database.execute("INSERT INTO about VALUES (?)", (_release(athena),))
        for statement in INDEXES:
            database.execute(statement)
        database.execute("COMMIT")


def _insert(database: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    try:
        database.executemany(statement, rows)
    except sqlite3.IntegrityError as problem:
        raise SourceDamaged("CONCEPT.csv", f"a concept stands there twice ({problem})", way_out=AGAIN) from None


def _concepts(athena: Athena) -> Iterator[tuple[object, ...]]:
    for concept_id, *rest in athena.rows("CONCEPT.csv"):
        yield (_integer(concept_id, "CONCEPT.csv"), *rest)


def _links(athena: Athena) -> Iterator[tuple[object, ...]]:
    name = "CONCEPT_RELATIONSHIP.csv"
    kinds: dict[str, int] = {kind: number for number, kind in enumerate(LINKS)}
    for one, other, relationship, invalid in athena.rows(name):
        kind = kinds.get(relationship)
        if kind is not None and not invalid and (one != other or kind):
            yield _integer(one, name), kind, _integer(other, name)


def _integer(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SourceDamaged(name, f"concept id {text!r} isn't a number", way_out=AGAIN) from None


def _release(athena: Athena) -> str:
    """Athena keeps the version of the whole in the row of the vocabulary `None`."""
    versions = (row[1] for row in athena.rows("VOCABULARY.csv") if row[0] == "None" and row[1])
    return next(versions, "unknown")


@dataclass(frozen=True)
class IndexTerms:
    """Terms over the index."""

    database: sqlite3.Connection
    release: str

    def concept(self, vocabulary_id: str, code: str) -> Concept | None:
        """The concept of a code; of several the standard, valid, oldest one."""
        found = self._select("WHERE concept_code = ? AND vocabulary_id = ?", (code, vocabulary_id))
        return min(found, key=lambda one: (not one.standard, one.invalid_reason, one.concept_id), default=None)

    def concept_by_id(self, concept_id: int) -> Concept | None:
        """The concept of an id, or None."""
        return next(iter(self._select("WHERE concept_id = ?", (concept_id,))), None)

    def links(self, concept_id: int, link: Link) -> tuple[int, ...]:
        """Where a concept points to."""
        rows = self.database.execute(
            "SELECT target FROM link WHERE concept_id = ? AND kind = ? ORDER BY target",
            (concept_id, LINKS.index(link)),
        )
        return tuple(target for (target,) in rows)

    def resolve(self, vocabulary_id: str, code: str) -> Resolved:
        """Follow a code to its standard concepts."""
        return resolve(self, vocabulary_id, code)

    def candidates(self, text: str, domain: str | None = None, limit: int = 5) -> tuple[Concept, ...]:
        """Standard concepts that share a word with a text, the likest first."""
        match = " OR ".join(f'"{word}"' for word in telling(text))
        if not match:
            return ()
        clause = "JOIN name ON name.rowid = concept.concept_id WHERE name MATCH ?"
        arguments: tuple[object, ...] = (match,)
        if domain is not None:
            clause, arguments = f"{clause} AND domain_id = ?", (match, domain)
        picked = SELECT.replace("concept_name", "concept.concept_name") + f" {clause} ORDER BY rank LIMIT ?"
        rows = self.database.execute(picked, (*arguments, limit * PICKED))
        return rank(text, [Concept(*row) for row in rows], limit)

    def _select(self, clause: str, arguments: tuple[object, ...]) -> list[Concept]:
        return [Concept(*row) for row in self.database.execute(f"{SELECT} {clause}", arguments)]


def open_index(path: Path) -> IndexTerms:
    """Open an index for reading.

    Raises UsageError where the file isn't one.
    """
    try:
        # immutable: nobody writes it any more, so no locks are taken
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        (release,) = database.execute("SELECT release FROM about").fetchone()
    except (sqlite3.DatabaseError, TypeError) as problem:
        raise UsageError(
            f"{path} is no index of vocabularies ({problem}).",
            way_out="Delete the file; it is made again on the next run.",
        ) from None
    return IndexTerms(database, release)
