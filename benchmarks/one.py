"""One measurement in a process of its own, as JSON on standard output; `python -m benchmarks` starts it.

python -m benchmarks.one whole WORKBOOK WORKSPACE     a run as the command makes it, both targets side by side
python -m benchmarks.one steps WORKBOOK WORKSPACE     its steps one after the other, in seconds of CPU
python -m benchmarks.one omop CSV WORKSPACE           a csv of one sheet into OMOP alone
python -m benchmarks.one oracle WORKBOOK WORKSPACE    a sample of its resources as fhir.resources objects
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import national
from caseweave.identity.keyfile import ProjectKey
from caseweave.run.account import account, write_account
from caseweave.run.convert import Conversion, compare_with, convert
from caseweave.run.lineage import write_lineage
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.targets.fhir.write import FhirWriter
from caseweave.targets.ledger import Held, Ledger
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.omop.write import OmopWriter
from caseweave.targets.records import Records
from caseweave.targets.scope import Unit
from caseweave.terms import open_terms

SAMPLE = 300  # resources of each type
KEY = ProjectKey("national", bytes(32))


@dataclass
class Clock:
    """Seconds of CPU per step; what a step inside another takes is taken off the outer one."""

    seconds: dict[str, float] = field(default_factory=dict)
    inside: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start, before = cpu(), self.inside
        self.inside = 0.0
        yield
        spent = cpu() - start
        self.seconds[name] = self.seconds.get(name, 0.0) + spent - self.inside
        self.inside = before + spent


def cpu() -> float:
    """Seconds of CPU of this process and of the children that it has waited for."""
    import resource

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def whole(workbook: Path, folder: Path) -> dict[str, Any]:
    """Run a workbook into a workspace, new or not."""
    study = load_study(national.STUDY)
    start = time.perf_counter()
    outcome = run(study, [workbook], Workspace(folder / "workspace"), Options(key_file=folder / "national.key"))
    kept = ("timings_s", "facts", "balance", "fhir", "omop", "targets", "peak_memory_mb")
    return {"run_s": time.perf_counter() - start, **{name: outcome.manifest[name] for name in kept}}


def converted(source: Path) -> Conversion:
    """The facts of a source."""
    return convert(load_study(national.STUDY), read_sources([source]), key=KEY, terms=open_terms())


def steps(workbook: Path, folder: Path) -> dict[str, Any]:
    """Do the parts of a run one after the other."""
    clock = Clock()
    study = load_study(national.STUDY)
    with clock.step("read"):
        sources = read_sources([workbook])
    with clock.step("apply"):
        conversion = convert(study, sources, key=KEY, terms=open_terms())
    counts = {"facts": len(conversion.applied.facts)}
    counts["resources"] = fhir_steps(conversion, folder, clock)
    counts["rows"] = omop_steps(conversion, folder, clock)
    with clock.step("report"):
        account(conversion, sources)
        write_account(Workspace(folder / "steps"), conversion, sources)
        write_lineage(folder / "steps" / "lineage", 1, conversion, sources)
    return {"steps_s": clock.seconds, **counts}


def fhir_steps(conversion: Conversion, folder: Path, clock: Clock) -> int:
    """Into NDJSON; returns the number of resources."""

    class Timed(FhirWriter):
        def resources(self, wanted: Records) -> Iterator[tuple[str, list[bytes]]]:
            blocks = super().resources(wanted)
            while True:
                with clock.step("FHIR: render"):
                    block = next(blocks, None)
                if block is None:
                    return
                yield block

    shutil.rmtree(folder / "steps", ignore_errors=True)
    workspace = Workspace(folder / "steps")
    workspace.create()
    with clock.step("FHIR: compile and compare"):
        writer = Timed(conversion.fhir, conversion.content_key, conversion.scope())
    with workspace.open_ledger() as connection:
        ledger = timed_ledger(Ledger(connection, "fhir", "national", "main"), "FHIR: ledger", clock)
        with clock.step("FHIR: compile and compare"):
            change = writer.compare(ledger)
        with clock.step("FHIR: write"):
            written = writer.write(workspace.fhir, ledger, change)
    return sum(written.values())


def omop_steps(conversion: Conversion, folder: Path, clock: Clock) -> int:
    """Into SQLite; returns the number of rows."""

    class Timed(SqliteDatabase):
        def ledger(self, study: str, stream: str) -> Ledger:
            return timed_ledger(super().ledger(study, stream), "OMOP: ledger", clock)

        def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
            with clock.step("OMOP: rows"):
                made = list(rows)
            with clock.step("OMOP: SQLite"):
                super().insert(table, columns, made)

    (folder / "steps.sqlite").unlink(missing_ok=True)
    with Timed(folder / "steps.sqlite", conversion.omop.settings.shapes) as database:
        writer = OmopWriter(conversion.omop, conversion.content_key, conversion.scope())
        ledger = database.ledger("national", "main")
        with clock.step("OMOP: build and compare"):
            change = writer.compare(ledger)
        with clock.step("OMOP: integers"):
            writer.write(database, ledger, change)
    return sum(writer.written.values())


def timed_ledger(ledger: Ledger, name: str, clock: Clock) -> Ledger:
    """The same ledger, its writing timed."""
    plain = ledger.write

    def write(rows: Iterable[tuple[Unit, Held]]) -> None:
        with clock.step(name):
            plain(rows)

    ledger.write = write  # type: ignore[method-assign]
    return ledger


def omop(source: Path, folder: Path) -> dict[str, Any]:
    """A csv of one sheet into OMOP alone."""
    conversion = converted(source)
    (folder / "omop.sqlite").unlink(missing_ok=True)
    with SqliteDatabase(folder / "omop.sqlite", conversion.omop.settings.shapes) as database:
        written = compare_with(database, conversion).write()
        concepts = database.select(
            "SELECT measurement_source_value, measurement_concept_id FROM measurement "
            "UNION SELECT condition_source_value, condition_concept_id FROM condition_occurrence "
            "UNION SELECT observation_source_value, observation_concept_id FROM observation"
        )
    return {"rows": dict(written), "concepts": {str(code): concept for code, concept in concepts}}


def oracle(workbook: Path, folder: Path) -> dict[str, Any]:
    """Build a sample of the resources of each type as objects, dump them; and render all with our own templates."""
    from fhir.resources.R4B import get_fhir_model_class

    conversion = converted(workbook)
    renderer = conversion.fhir
    start, counts = time.process_time(), Counter[str]()
    sample: dict[str, list[dict[str, Any]]] = {}
    for number in range(len(renderer.facts.batches)):
        for name, _, lines in renderer.resources(number):
            counts[name] += len(lines)
            of_type = sample.setdefault(name, [])
            of_type.extend(map(json.loads, lines[: SAMPLE - len(of_type)]))
    ours = (time.process_time() - start) / counts.total()
    for name in sample:
        get_fhir_model_class(name)(**sample[name][0])  # what is made on first use isn't what is measured
    objects = 0.0
    for name, trees in sample.items():
        model = get_fhir_model_class(name)
        start = time.process_time()
        for tree in trees:
            model(**tree).model_dump_json()
        objects += (time.process_time() - start) / len(trees) * counts[name] / counts.total()
    return {"resources": counts.total(), "ours_us": ours * 1e6, "objects_us": objects * 1e6}


KINDS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "whole": whole, "steps": steps, "omop": omop, "oracle": oracle,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
