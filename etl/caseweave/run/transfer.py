"""What a workspace holds in DIR/omop.sqlite, to a CDM on PostgreSQL: the difference alone, in one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caseweave.errors import UsageError
from caseweave.run.database import OmopServer, remembered
from caseweave.run.held import open_read_only, shapes_of
from caseweave.run.workspace import Workspace
from caseweave.targets.records import Records
from caseweave.terms import conventions

if TYPE_CHECKING:
    from caseweave.shapes.omop import OmopShapes
    from caseweave.targets.omop.postgres import PostgresDatabase
    from caseweave.targets.omop.transfer import Transfer

# table -> the column by which its rows are found again
VOCABULARY = {"vocabulary": "vocabulary_id", "domain": "domain_id", "concept_class": "concept_class_id",
              "concept": "concept_id"}  # fmt: skip


def transfer(
    workspace: Workspace, server: OmopServer, *, dry_run: bool = False, verify: bool = False
) -> dict[str, Any]:
    """Bring a CDM on PostgreSQL to what omop.sqlite holds.

    >>> transfer(Workspace(Path("caseweave-breast")), OmopServer("service=cdm"))["unchanged"]  # doctest: +SKIP
    312

    Arguments: `dry_run` tells the difference and writes nothing; `verify` compares the rows that should be there
    already, and writes those anew that somebody changed or deleted. Returns numbers of rows by table under new, changed
    and retracted, with `verify` under verified, and of those unchanged. Raises UsageError for a workspace without
    omop.sqlite or another CDM, Refusal for another key, TargetError where the database refuses; then nothing changes.
    """
    from caseweave.targets.omop.postgres import PostgresDatabase

    state = workspace.read_state()
    own = remembered(state)
    if own:
        raise UsageError(f"Runs of {workspace.root} write {own.name} themselves.",
                         way_out="Run the forms again: the next run finishes what one left open.")  # fmt: skip
    with open_read_only(workspace.omop) as source:
        shapes = shapes_of(source)
        _require_same_cdm(server, shapes)
        with (
            workspace.locked(),
            PostgresDatabase(server.dsn, shapes, server.schema, server.vocabulary_schema) as database,
        ):
            database.require(state.get("project") or state["study"], state["key"])
            known = [(str(state["study"]), stream) for stream in state.get("streams", {})]
            found = _transfer(source, database, known, dry_run, verify)
            total = database.count()
            if dry_run:
                database.undo()
    return {"database": server.name, "dry_run": dry_run, **found, "omop": total}


def _require_same_cdm(server: OmopServer, shapes: OmopShapes) -> None:
    there = server.look().shapes
    if there != shapes:
        raise UsageError(
            f"The workspace holds {shapes.name} and {server.name} {there.name}.",
            way_out="Run the forms with --omop, which asks the database what it is, or make a CDM like this one with "
            "`caseweave omop init`.",
        )


def _transfer(
    source: sqlite3.Connection,
    database: PostgresDatabase,
    known: Sequence[tuple[str, str]],
    dry_run: bool,
    verify: bool,
) -> dict[str, Any]:
    from caseweave.targets.omop.transfer import LEDGER, Transfer, copy_missing, used_concepts
    from caseweave.targets.omop.verify import Verified, repair
    from caseweave.targets.omop.vocabulary import present

    counts: dict[str, Counter[str]] = {name: Counter() for name in ("new", "changed", "retracted")}
    unchanged = 0
    # the stream that says most comes first: rows of others can belong to its patients
    query = f"SELECT study, stream FROM {LEDGER} GROUP BY study, stream ORDER BY sum(length(records)) DESC"
    parts = [(str(study), str(stream)) for study, stream in source.execute(query)]
    parts += [one for one in known if one not in parts]  # a stream whose last patient went says that too
    lacking: list[int] = []
    if not dry_run and database.vocabulary == "own":
        for table, key in VOCABULARY.items():
            copy_missing(source, database, table, key)
    elif not dry_run and database.vocabulary == "foreign":
        used = sorted(used_concepts(source, list(database.shapes.tables.values())))
        lacking = sorted(set(used) - {int(str(one)) for one in present(database, "concept", "concept_id", used)})
        if lacking:
            database.refuse_lacking(lacking)
    verified = Verified()
    for study, stream in parts:
        part = Transfer(source, database, study, stream, conventions())
        if verify:
            verified.add(repair(part, dry_run=dry_run))
        _count(counts, part)
        unchanged += part.change.same
        if part.change and not dry_run:
            part.write()
    if not dry_run:
        _describe(source, database)
    told = {"verified": verified.as_dict()} if verify else {}
    return {**{name: dict(found) for name, found in counts.items()}, "unchanged": unchanged, "lacking": lacking, **told}


def _count(counts: dict[str, Counter[str]], part: Transfer) -> None:
    def by_table(records: Records) -> Counter[str]:
        return Counter(part.tables[kind].name for kind in records.kind.tolist())

    change = part.change
    for name, records in (("new", change.new), ("changed", change.changed), ("retracted", change.vanished)):
        counts[name] += by_table(records)


def _describe(source: sqlite3.Connection, database: PostgresDatabase) -> None:
    """CDM_SOURCE, where there is none, and what METADATA says of studies."""
    from caseweave.targets.omop.transfer import copy_missing

    if not database.select("SELECT 1 FROM cdm_source"):
        copy_missing(source, database, "cdm_source", "cdm_source_abbreviation")
    copy_missing(source, database, "metadata", "name")
