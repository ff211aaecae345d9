"""The main job: sources in, FHIR and OMOP out, every cell accounted for; a second run writes only the difference."""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from caseweave.identity.keyfile import ProjectKey, project_key
from caseweave.run.account import account, write_account
from caseweave.run.convert import Conversion, convert
from caseweave.run.database import OmopDelivery, OmopServer, known_key, remembered
from caseweave.run.guards import (
    Retraction,
    age_of,
    disagreements,
    loaded,
    refuse_mass_retraction,
    refuse_older,
    retractions,
    spoken_of,
)
from caseweave.run.handback import hand_back
from caseweave.run.increments import absences, refuse_uncorrectable
from caseweave.run.lineage import write_lineage
from caseweave.run.moved import moved, remember_concepts
from caseweave.run.queries import Asked, ask
from caseweave.run.sides import side_by_side
from caseweave.run.validate import refuse_invalid
from caseweave.run.workspace import LAYOUT, Workspace, write_json
from caseweave.shapes.omop import OmopShapes
from caseweave.sources import read_sources
from caseweave.spec.models import Study
from caseweave.targets.fhir.write import FhirWriter
from caseweave.targets.ledger import Difference, Ledger
from caseweave.targets.scope import Scope
from caseweave.terms import open_terms
from caseweave.values.grid import Source


@dataclass
class Clock:
    """Seconds per step, in the order in which they came."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


@dataclass(frozen=True)
class Options:
    """How a run is to go.

    Arguments: `key_file` of the project; `vocabulary`, an Athena download; `site` of all patients; `stream` of sources
    that speak for themselves; `password` of protected workbooks; `today`, after which dates lie in the future; `as_of`,
    the age of the sources; `increment`, whether they hold only what is new; `complete`, whether they hold everybody;
    `retract`, "all" to allow a mass retraction; `omop`, a CDM that is written instead of DIR/omop.sqlite, by default
    the one that earlier runs wrote; `force`, to take older sources after newer ones; `verify`, to
    compare the database's rows one by one and to write those anew that somebody changed or deleted; `validate`, what is
    held against FHIR before it is written: "none", "templates" (one resource of each variant) or "all"; `language` of
    report and annotated workbooks, "" for that of the templates.
    """

    key_file: Path | None = None
    vocabulary: Path | None = None
    site: str = ""
    stream: str = "main"
    password: str | None = None
    today: datetime.date | None = None
    as_of: datetime.datetime | None = None
    increment: bool = False
    complete: bool = False
    retract: str = ""
    omop: OmopServer | None = None
    force: bool = False
    verify: bool = False
    validate: str = "none"
    language: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the manifest as written, and the exit code of DESIGN 6."""

    manifest: Mapping[str, Any]
    exit_code: int


@dataclass(frozen=True)
class Delivered:
    """What a target was sent: numbers of new, changed, vanished and unchanged records, per type or table."""

    new: int
    changed: int
    vanished: int
    same: int
    written: Mapping[str, int]
    total: Mapping[str, int]
    vanished_by_sheet: Mapping[str, int] = field(default_factory=dict)
    conflicts: Sequence[tuple[int, int]] = ()


def run(
    study: Study,
    paths: Sequence[Path],
    workspace: Workspace,
    options: Options = Options(),
    *,
    sources: Sequence[Source] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Run a study's sources into its workspace.

    Arguments: `sources`, if they were read already; `clock` is told of every step.

    Raises SourceError for a file that can't be read, MappingError for a study that can't be compiled, Refusal where
    the workspace belongs to another study or key; then nothing is changed.
    """
    clock = clock or Clock()
    if sources is None:
        with clock.step("read"):
            sources = read_sources(paths, password=options.password, study=study)
    workspace.create()
    with workspace.locked():
        ready = prepare(study, sources, workspace, options, clock)
        state, number, server, conversion = ready.state, ready.number, ready.server, ready.conversion
        asked, sources, age, scope = ready.asked, ready.asked.sources, ready.age, ready.scope
        fhir = FhirDelivery(conversion, workspace, options.stream, scope)
        with OmopDelivery(workspace, conversion, options.stream, scope, server, options.verify) as omop:
            # a database can hold what another workspace, or one that was lost, delivered
            there: Delivered | None = None
            if options.retract != "all" and (number > 1 or omop.holds_some()):
                with clock.step("compare"):
                    (retraction, there), rows = side_by_side(fhir.compare, omop.compare)
                    refuse_mass_retraction(retraction, rows)
            remember(workspace, conversion, state, number - 1)
            with clock.step("write"):
                # FHIR that differs is compared anew there: a difference is large, and stays in its process
                if there:
                    sent_fhir, sent_omop = there, _delivered(*omop.deliver())
                else:
                    sent_fhir, sent_omop = side_by_side(fhir.deliver, lambda: _delivered(*omop.deliver()))
        conversion.findings.extend(retractions(sent_fhir.vanished_by_sheet))
        conversion.findings.extend(disagreements(conversion.applied, {*sent_fhir.conflicts, *sent_omop.conflicts}))
        conversion.findings.extend(moved(workspace, conversion))
        with clock.step("report"):

            def tell() -> dict[str, Any]:
                if number == 1 or any(one.new or one.changed or one.vanished for one in (sent_fhir, sent_omop)):
                    write_lineage(workspace.lineage, number, conversion, sources)
                return report(conversion, workspace, sources, number, sent_fhir, sent_omop, clock, server)

            manifest = hand_back(workspace, conversion, asked, tell, language=options.language)
        remember_concepts(workspace, conversion)
        remember(workspace, conversion, loaded(state, sources, spoken_of(conversion), age, options), number)
    return Outcome(manifest, 1 if manifest["findings"]["error"] else 0)


@dataclass(frozen=True)
class Ready:
    """A run before it is held against what the targets hold."""

    state: Mapping[str, Any]
    number: int
    server: OmopServer | None
    conversion: Conversion
    asked: Asked
    age: datetime.datetime
    scope: Scope


def prepare(
    study: Study,
    sources: Sequence[Source],
    workspace: Workspace,
    options: Options,
    clock: Clock,
    find_key: Callable[..., ProjectKey] = project_key,
) -> Ready:
    """Make the facts of a run, and refuse what may not be run; only `find_key` may write, a project's first key."""
    state = workspace.read_state()
    project, server = study.project or study.name, options.omop or remembered(state)
    cdm = server.look() if server else None
    known = state.get("key") or known_key(cdm, project)
    key = find_key(project, key_file=options.key_file, known=known, workspace=workspace.root)
    known_key(cdm, project, key)
    state = {**workspace.require(study.name, key), "omop": server and server.as_state()}
    conversion, asked = made(study, sources, workspace, state, key, options, clock, cdm.shapes if cdm else None)
    if options.validate != "none":
        with clock.step("validate"):
            refuse_invalid(conversion, options.validate)
    age = age_of(asked.sources, options.as_of)
    refuse_older(state, asked.sources, spoken_of(conversion), age, options)
    if options.increment or study.source == "increment":
        if state.get("runs"):
            refuse_uncorrectable(conversion)
    elif not options.complete:
        conversion.findings.extend(absences(workspace, conversion, options.stream))
    absent = state.get("subjects", ()) if options.complete else ()
    scope = conversion.scope(increment=options.increment, absent=absent)
    return Ready(state, int(state.get("runs", 0)) + 1, server, conversion, asked, age, scope)


def made(
    study: Study,
    sources: Sequence[Source],
    workspace: Workspace,
    state: Mapping[str, Any],
    key: ProjectKey,
    options: Options,
    clock: Clock,
    cdm: OmopShapes | None = None,
) -> tuple[Conversion, Asked]:
    """The facts of sources as the workspace knows their patients, with what was answered to its queries."""
    with clock.step("terms"):
        terms = open_terms(options.vocabulary)
    make = partial(
        convert,
        study,
        key=key,
        terms=terms,
        today=options.today,
        site=options.site,
        known_subjects=frozenset(state.get("subjects", ())),
        merged=state.get("merged", {}),
        cdm=cdm,
    )
    with clock.step("apply"):
        return ask(make, sources, workspace, options.language)


def remember(workspace: Workspace, conversion: Conversion, state: Mapping[str, Any], runs: int) -> None:
    """Write what the workspace remembers; before anything is delivered too, so that a run that dies can be repeated."""
    subjects = {*state.get("subjects", ()), *(conversion.patients if runs else ())}
    write_json(
        workspace.state,
        {
            "layout": LAYOUT,
            "study": conversion.study.name,
            "project": conversion.study.project or conversion.study.name,
            "key": conversion.key.check_value,
            "runs": runs,
            "subjects": sorted(subjects),
            "streams": state.get("streams", {}),
            "omop": state.get("omop"),
            "merged": state.get("merged", {}),
        },
    )


@dataclass
class FhirDelivery:
    """DIR/fhir on its way to what the run says."""

    conversion: Conversion
    workspace: Workspace
    stream: str
    scope: Scope

    @cached_property
    def writer(self) -> FhirWriter:
        return FhirWriter(self.conversion.fhir, self.conversion.content_key, self.scope)

    def ledger(self, connection: sqlite3.Connection) -> Ledger:
        return Ledger(connection, "fhir", self.conversion.study.name, self.stream)

    def compare(self) -> tuple[Retraction, Delivered | None]:
        """Say what the run would retract; and what was delivered already, where nothing at all differs."""
        with self.workspace.open_ledger() as connection:
            ledger = self.ledger(connection)
            change = self.writer.compare(ledger)
            return Retraction.of(change, self.scope, ledger), None if change else self.delivered(change, Counter())

    def vanished(self, change: Difference) -> dict[str, int]:
        return dict(Counter(self.scope.units[unit][1] for unit in change.vanished.unit.tolist()))

    def deliver(self) -> Delivered:
        """Write what differs."""
        with self.workspace.open_ledger() as connection:
            change = self.writer.compare(self.ledger(connection))
            written = self.writer.write(self.workspace.fhir, self.ledger(connection), change)
        return self.delivered(change, written)

    def delivered(self, change: Difference, written: Counter[str]) -> Delivered:
        files = sorted(self.workspace.fhir.glob("*.ndjson"))
        total = {path.name.removesuffix(".ndjson"): _lines(path) for path in files}
        return _delivered(change, written, {name: n for name, n in total.items() if n}, self.vanished(change))


def _delivered(
    change: Difference,
    written: Counter[str],
    total: Mapping[str, int],
    vanished_by_sheet: Mapping[str, int] | None = None,
) -> Delivered:
    counts = (len(change.new), len(change.changed), len(change.vanished), change.same)
    conflicts = tuple(zip(change.conflicts.batch.tolist(), change.conflicts.fact.tolist(), strict=True))
    return Delivered(*counts, dict(written), dict(total), dict(vanished_by_sheet or {}), conflicts)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def report(
    conversion: Conversion,
    workspace: Workspace,
    sources: Sequence[Source],
    number: int,
    fhir: Delivered,
    omop: Delivered,
    clock: Clock,
    server: OmopServer | None,
) -> dict[str, Any]:
    """Write findings, work list and manifest; returns the manifest."""
    write_account(workspace, conversion, sources)
    manifest = {
        "run": number,
        **account(conversion, sources),
        "fhir": fhir.total,
        "omop": omop.total,
        "omop_database": server.name if server else workspace.omop.name,
        "targets": {
            name: {"new": one.new, "changed": one.changed, "retracted": one.vanished, "unchanged": one.same}
            for name, one in (("fhir", fhir), ("omop", omop))
        },
        "timings_s": clock.seconds,
        "peak_memory_mb": peak_memory_mb(),
    }
    write_json(workspace.manifest, manifest)
    return manifest


def peak_memory_mb() -> int | None:
    """The most memory that this process or a child of its has held; None where the platform doesn't tell."""
    try:
        import resource
    except ImportError:
        return None
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) // 1024
