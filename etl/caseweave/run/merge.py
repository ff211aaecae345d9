"""Two patients found to be one, or a corrected patient id: what stood under the old pseudonym goes, for good.

The workspace remembers who stands for whom: rows with the old id become facts of the new patient in every later run.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caseweave.errors import UsageError
from caseweave.identity.keyfile import project_key
from caseweave.plan.rows import site_of
from caseweave.quality.annotate import CLOSED
from caseweave.run.convert import resolver_of
from caseweave.run.database import OmopServer, remembered
from caseweave.run.held import OMOP_LEDGER, fact_bytes, open_read_only, shapes_of
from caseweave.run.lineage import runs
from caseweave.run.queries import Asked, read_queries, write_queries
from caseweave.run.workspace import Workspace, write_json
from caseweave.spec.loader import load_study
from caseweave.targets.fhir.retract import refs_of
from caseweave.targets.fhir.retract import retract_patient as retract_fhir
from caseweave.targets.ledger import Ledger
from caseweave.targets.omop.retract import retract_patient as retract_omop
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import conventions

if TYPE_CHECKING:
    from caseweave.targets.omop.postgres import PostgresDatabase

Merged = Mapping[str, str]


@dataclass(frozen=True)
class Patient:
    """One of the two of a merge: a pseudonym, and whether it was made from an id that somebody typed."""

    name: str
    typed: bool = False


def patient_of(
    workspace: Workspace,
    patient_id: str,
    *,
    study: str | None = None,
    studies: Sequence[Path] = (),
    site: str = "",
    key_file: Path | None = None,
) -> Patient:
    """The patient of an id as it stands in the forms.

    >>> patient_of(Workspace(Path("caseweave-breast")), "AA-00001").typed  # doctest: +SKIP
    True

    Arguments: `study`, its name or folder, where it isn't found by the workspace's; `studies`, a user's own folders;
    `site` of the patient, where the study doesn't tell it by the id. Raises UsageError, Refusal for another key; no
    message repeats the id.
    """
    state = _state(workspace)
    spec = load_study(study or state["study"], studies=list(studies))
    if spec.name != state["study"]:
        raise UsageError(
            f"{workspace.root} is the workspace of study {state['study']}, not of {spec.name}.",
            way_out="Name that study's folder with --study or --studies.",
        )
    key = project_key(state["project"], key_file=key_file, known=state["key"], workspace=workspace.root)
    return Patient(resolver_of(spec, key).resolve(site or site_of(spec, patient_id), patient_id), typed=True)


def merge(
    workspace: Workspace, old: Patient, new: Patient, *, undo: bool = False, dry_run: bool = False
) -> dict[str, Any]:
    """Let one patient be another: take out all that stood under the old pseudonym, and remember whose it is.

    >>> merge(Workspace(Path("caseweave-breast")), Patient("..."), Patient("..."))["fhir"]  # doctest: +SKIP
    {'Observation': 12, 'Patient': 1}

    The workspace and the OMOP database that it writes change at once, FHIR servers by the next delivery. Arguments:
    `undo` takes a merge back: then what goes is what stood under the new pseudonym, for it is mixed; `dry_run` only
    tells. Returns what was retracted, and in which runs' forms it stood: run again, they bring it back under the right
    patient. Raises UsageError where a pseudonym is unknown or was merged already; then nothing is changed.
    """
    _state(workspace)
    with workspace.locked():
        state = workspace.read_state()
        merged: dict[str, str] = state.get("merged", {})
        after = _undone(merged, old, new) if undo else _merged(merged, old, new, lambda one: _knows(workspace, one))
        gone = new.name if undo else old.name
        with _ledger(workspace, state) as connection:
            refs = refs_of(connection, gone)
        subjects = [one for one in state.get("subjects", ()) if one != gone]
        remembers = {**state, "merged": after, "subjects": subjects}
        if not dry_run and not undo:
            # first: whatever dies from here on, no later run brings the old patient back
            write_json(workspace.state, remembers)
        rows, total, elsewhere = _retract_rows(workspace, state, gone, dry_run)
        if after == merged and not refs and not rows:
            raise UsageError(
                "The one was merged into the other before, and nothing is left to retract.",
                way_out="Run the forms again, should facts be missing; --undo takes a merge back.",
            )
        summary: dict[str, Any] = {
            "old": old.name,
            "new": new.name,
            "undo": undo,
            "dry_run": dry_run,
            "fhir": dict(Counter(ref.partition("/")[0] for ref in sorted(refs))),
            "omop": dict(rows),
            "elsewhere": [f"study {study}, stream {stream}" for study, stream in elsewhere],
            "forms": _forms(workspace, refs),
        }
        if not dry_run:
            with _ledger(workspace, state) as connection:
                retract_fhir(connection, workspace.fhir, gone)
            _close_queries(workspace, gone)
            write_json(workspace.state, remembers)
            _tell(workspace, summary, total)
    return summary


def _state(workspace: Workspace) -> dict[str, Any]:
    state = workspace.read_state()
    if not state.get("runs"):
        raise UsageError(
            f"{workspace.root} is no workspace in which a run has ended.",
            way_out="Give the folder that `caseweave run` wrote, which is caseweave-STUDY if -o wasn't given.",
        )
    return state


def _merged(merged: Merged, old: Patient, new: Patient, knows: Callable[[str], bool]) -> dict[str, str]:
    """Who stands for whom after a merge; those who were merged into `old` follow it."""
    problem = ""
    if old.name == new.name:
        problem, way_out = "A patient can't be merged into itself.", "Name two patients."
    elif merged.get(old.name) == new.name:
        return dict(merged)  # what died on the way is finished
    elif merged.get(new.name) == old.name:
        problem = f"{old.name} is what {new.name} was merged into; back again, they would go in a circle."
        way_out = "Take that merge back with --undo, the patients in the order in which they were given then."
    elif old.name in merged:
        problem, way_out = (
            f"{old.name} was merged into {merged[old.name]} already.",
            "Take that back first, with --undo.",
        )
    elif new.name in merged:
        problem = f"{new.name} was itself merged into {merged[new.name]}."
        way_out = f"Merge into {merged[new.name]}."
    elif not knows(old.name):
        # what was given may be an id and no pseudonym: it isn't repeated
        problem = "No patient of this workspace has the pseudonym that is to go."
        way_out = "Take a pseudonym from findings.csv or DIR/fhir/Patient.ndjson, or type the id with `-`."
    elif not new.typed and not knows(new.name):
        problem = "No patient of this workspace has the pseudonym that is to stay."
        way_out = "Give `-` and type the corrected id, if its rows are still to come."
    if problem:
        raise UsageError(problem, way_out=way_out)
    return {**{one: new.name if of == old.name else of for one, of in merged.items()}, old.name: new.name}


def _undone(merged: Merged, old: Patient, new: Patient) -> dict[str, str]:
    if merged.get(old.name) != new.name:
        raise UsageError(
            f"{old.name} was not merged into {new.name}.",
            way_out="Give the two as they were given then, the one that went first.",
        )
    return {one: of for one, of in merged.items() if one != old.name}


def _knows(workspace: Workspace, name: str) -> bool:
    """Whether a pseudonym is one of this workspace's, in any target."""
    state = workspace.read_state()
    if name in state.get("subjects", ()) or name in state.get("merged", {}).values():
        return True
    with _ledger(workspace, state) as connection:
        if refs_of(connection, name):
            return True
    query = f"SELECT count(*) FROM {OMOP_LEDGER} WHERE study = ? AND subject = ?"
    if server := remembered(state):
        with server.reading() as there:
            return any(count for (count,) in there.execute(query, (state["study"], name)))
    if not workspace.omop.is_file():
        return False
    with open_read_only(workspace.omop) as here:
        return any(count for (count,) in here.execute(query, (state["study"], name)))


@contextmanager
def _ledger(workspace: Workspace, state: Mapping[str, Any]) -> Iterator[Any]:
    """The ledger's database in one transaction, with tables to ask even where the ledger was lost."""
    with workspace.open_ledger() as connection:
        Ledger(connection, "fhir", state["study"], "main").kinds(())
        yield connection


@contextmanager
def _database(workspace: Workspace, state: Mapping[str, Any]) -> Iterator[SqliteDatabase | PostgresDatabase | None]:
    """The OMOP database that the workspace writes, in one transaction; None where no run has made one."""
    server: OmopServer | None = remembered(state)
    if server is not None:
        from caseweave.targets.omop.postgres import PostgresDatabase

        shapes = server.look().shapes
        with PostgresDatabase(server.dsn, shapes, server.schema, server.vocabulary_schema) as remote:
            remote.require(state["project"], state["key"])
            yield remote
    elif workspace.omop.is_file():
        with open_read_only(workspace.omop) as source:
            shapes = shapes_of(source)
        with SqliteDatabase(workspace.omop, shapes) as embedded:
            yield embedded
    else:
        yield None


def _retract_rows(
    workspace: Workspace, state: Mapping[str, Any], gone: str, dry_run: bool
) -> tuple[Counter[str], dict[str, int], Sequence[tuple[str, str]]]:
    """The rows retracted, those that are there then, and who else tells of the patient."""
    streams = {"main", *state.get("streams", {})}
    with _database(workspace, state) as database:
        if database is None:
            return Counter(), {}, ()
        found = retract_omop(database, state["study"], streams, gone, conventions())
        total = database.count()
        if dry_run:
            database.undo()
    return found.rows, total, found.elsewhere


def _forms(workspace: Workspace, refs: set[str]) -> list[dict[str, Any]]:
    """The sources in which the retracted facts stood, each fact in the last run that read it."""
    wanted = {raw for ref in refs if (raw := fact_bytes(ref.partition("/")[2].partition("-")[0]))}
    found: dict[tuple[int, str], set[str]] = defaultdict(set)
    for run in runs(workspace.lineage):
        met = set()
        for trail in run.trails():
            place = trail.places[0]
            parts = run.about["sheets"][place.sheet]["parts"]
            for n, raw in enumerate(map(bytes, trail.ids)):
                if raw in wanted:
                    met.add(raw)
                    found[run.number, parts[place.parts[n]]["source"]].add(place.sheet)
        wanted -= met
    return [{"run": run, "source": source, "sheets": sorted(sheets)} for (run, source), sheets in sorted(found.items())]


def _close_queries(workspace: Workspace, gone: str) -> None:
    """Nobody is to answer questions about a patient who isn't there; what is still wrong is asked of the other one."""
    records = {
        name: replace(one, status=CLOSED, decision="merged") if one.subject == gone and one.status != CLOSED else one
        for name, one in read_queries(workspace).items()
    }
    write_queries(workspace, Asked(records, []))


def _tell(workspace: Workspace, summary: Mapping[str, Any], rows: Mapping[str, int]) -> None:
    """Bring the manifest's totals to what is held now, and add what was done."""
    if not workspace.manifest.exists():
        return
    manifest = json.loads(workspace.manifest.read_text(encoding="utf-8"))
    left = Counter(manifest["fhir"])
    left.subtract(summary["fhir"])
    manifest |= {"fhir": {name: n for name, n in left.items() if n > 0}, "omop": dict(rows)}
    manifest["merges"] = [*manifest.get("merges", []), dict(summary)]
    write_json(workspace.manifest, manifest)
