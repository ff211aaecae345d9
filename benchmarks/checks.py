"""What checking costs: a hundred rules on the national workbook, and the same rules by Great Expectations.

    python -m benchmarks.checks                    25,000 patients; build/bench/checks.json and a section on the screen
    python -m benchmarks.checks --patients 5000 --repeat 1
    python -m benchmarks.checks --page docs/benchmarks.md

The whole run with and without the rules, each a process of its own, one after the other; then, in one process on the
same sheets, the rules by our own engine, by Great Expectations in the fast way that we have for it, and as it documents
itself: context, data source, batch, a validation definition for each suite. Of several rounds the best counts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import national
from benchmarks.__main__ import ROOT, machine, workbook
from benchmarks.one import KEY
from benchmarks.process import spend
from benchmarks.sections import put_section, table
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.expectations.build import expectation
from caseweave.quality.expectations.plan import plan_rule
from caseweave.quality.expectations.planned import Planned, column_name
from caseweave.quality.expectations.tables import CheckedTable
from caseweave.quality.expectations.validate import validate
from caseweave.quality.judge import contradictions
from caseweave.quality.rules import Rule, read_rules
from caseweave.run.convert import convert
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.terms import open_terms
from caseweave.terms.presence import presence

RULES = Path(__file__).parent / "national-rules.yaml"
TODAY = datetime.date(2026, 1, 1)
TITLE = "Checks"
Failure = tuple[str, str, str, str]


def with_rules(folder: Path) -> Path:
    """The national study with its hundred rules, in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(national.STUDY, folder)
    shutil.copy(RULES, folder / "rules.yaml")
    return folder


def whole(study: str, source: Path, folder: Path) -> dict[str, Any]:
    """A run as the command makes it, into a new workspace."""
    shutil.rmtree(folder / "workspace", ignore_errors=True)
    start = time.perf_counter()
    options = Options(key_file=folder / "national.key", today=TODAY)
    outcome = run(load_study(study), [source], Workspace(folder / "workspace"), options)
    kept = {name: outcome.manifest[name] for name in ("timings_s", "facts", "findings")}
    return {"run_s": time.perf_counter() - start, **kept}


def compare(source: Path, repeat: int) -> dict[str, Any]:
    """The rules by our engine, by Great Expectations in our way and in its own: seconds, and whether cells agree."""
    study = load_study(str(national.STUDY))
    every = read_rules(RULES, study)
    applied = convert(study, read_sources([source]), key=KEY, terms=open_terms(), today=TODAY).applied
    sheets, sites = applied.sheets, applied.subjects.sites
    # a validation definition writes its results as JSON, which the values that our own expectations see are not
    made = {rule.id: plan_rule(rule, study, presence()) for rule in every}
    rules = [rule for rule in every if not any(one.custom for one in made[rule.id])]
    planned = [one for rule in rules for one in made[rule.id]]
    import great_expectations.expectations  # noqa: F401  seconds of import, of which only the first way would tell

    expectation(planned[0])
    ways: dict[str, Callable[[], set[Failure]]] = {
        "ours": lambda: by_ours(rules, sheets, sites),
        "fast": lambda: by_fast(planned, study, rules, sheets, sites),
        "documented": lambda: by_documented(planned, study, sheets, sites),
    }
    seconds: dict[str, float] = {}
    found: dict[str, set[Failure]] = {}
    for _ in range(repeat):
        for name, way in ways.items():
            found[name], spent = timed(way)
            seconds[name] = min(spent, seconds.get(name, spent))
            print(f"{name}: {spent:.1f} s", file=sys.stderr)
    return {
        "rules": len(every),
        "core": len(rules),
        "expectations": len(planned),
        "rows": {key: facts.table.size for key, facts in sheets.items()},
        "seconds": seconds,
        "cells": {name: len(some) for name, some in found.items()},
        "same": found["ours"] == found["fast"] == found["documented"],
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and the seconds of this process's CPU that it takes: other processes are left out."""
    start = time.process_time()
    return call(), time.process_time() - start


def by_ours(rules: Sequence[Rule], sheets: dict[str, SheetFacts], sites: Sequence[str]) -> set[Failure]:
    """Our own engine."""
    return {(one.source, one.sheet, one.cell, one.rule) for one in contradictions(rules, sheets, presence(), sites)}


def by_fast(
    planned: Sequence[Planned], study: Study, rules: Sequence[Rule], sheets: dict[str, SheetFacts], sites: Sequence[str]
) -> set[Failure]:
    """Great Expectations, each expectation on its own columns only."""
    found: set[Failure] = set()
    for one in validate(planned, study, sheets, today=TODAY, rules=rules, sites=sites):
        assert not one.unable, one
        found |= {(*cell, one.rule) for cell in one.cells}
        if one.fails and not one.cells:
            found.add(("", one.sheet, "", one.rule))
    return found


def by_documented(
    planned: Sequence[Planned], study: Study, sheets: dict[str, SheetFacts], sites: Sequence[str]
) -> set[Failure]:
    """Great Expectations as it documents itself: one suite, batch and validation definition for each sheet."""
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_pandas("forms")
    found: set[Failure] = set()
    for key, facts in sheets.items():
        mine = [one for one in planned if one.sheet == key]
        made = CheckedTable(study, facts, sheets, TODAY, sites)
        columns = dict.fromkeys(column for one in mine for column in one.needs)
        frame = made.frame({column_name(column): column for column in columns})
        frame["place"] = made.rows(everywhere=False)
        batch = source.add_dataframe_asset(key).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=key, expectations=[expectation(one) for one in mine]))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=key, data=batch, suite=suite))
        # the rows that fail are asked for by a column that names them, as the documentation has it
        wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["place"]}
        for one in definition.run(batch_parameters={"dataframe": frame}, result_format=wanted).results:
            if one.success:
                continue
            about = one.expectation_config.meta
            rows = [each["place"] for each in one.result.get("unexpected_index_list") or ()]
            if "mostly" in one.expectation_config.kwargs or "share" in one.expectation_config.type:
                found.add(("", key, "", about["rule"]))
            else:
                found |= {(*facts.table.origin(int(row), about["field"]), about["rule"]) for row in rows}
    return found


def measure(folder: Path, patients: int, repeat: int) -> dict[str, Any]:
    """All figures."""
    source, checked = workbook(folder, patients), with_rules(folder / "national")
    results: dict[str, Any] = {"machine": machine(), "patients": patients, "repeat": repeat}
    studies = {"without": str(national.STUDY), "with": str(checked)}
    for _ in range(repeat):
        for name, study in studies.items():
            spent = spend([sys.executable, "-m", "benchmarks.checks", "--one", study, source, folder])
            told = json.loads(spent.output.splitlines()[-1]) | {"cpu_s": spent.cpu, "wall_s": spent.wall}
            print(f"{name} rules: {spent.wall:.1f} s, {spent.cpu:.1f} s of CPU", file=sys.stderr)
            before = results.setdefault(name, told)
            results[name] = {**told, **{key: min(before[key], told[key]) for key in ("cpu_s", "wall_s", "run_s")}}
    spent = spend([sys.executable, "-m", "benchmarks.checks", "--compare", str(repeat), source])
    return results | {"compare": json.loads(spent.output.splitlines()[-1])}


def section(results: dict[str, Any]) -> list[str]:
    """The figures in words."""
    without, checked, found = results["without"], results["with"], results["compare"]
    seconds, cells, where = found["seconds"], found["cells"], results["machine"]
    cpu, wall = (checked[one] / without[one] for one in ("cpu_s", "wall_s"))
    about = (
        f"{found['rules']} rules (`benchmarks/national-rules.yaml`) on the {results['patients']:,}-patient workbook, "
        f"{sum(found['rows'].values()):,} rows; best of {results['repeat']}, {where['cores']} cores of "
        f"{where['cpu']}, load {where['load']:.1f} before the start."
    )
    plain = (
        f"The {found['core']} of these rules that Great Expectations can say in its own words, {found['expectations']} "
        "expectations, on the same sheets in one process; its documented way is context, batch and a validation "
        "definition for each sheet."
    )
    told = "All three find the same cells." if found["same"] else "They do not find the same cells."
    ways = {"ours": "our own engine", "fast": "Great Expectations, our fast way",
            "documented": "Great Expectations, as documented"}  # fmt: skip
    runs = {"without rules": without, f"with {found['rules']} rules": checked}
    return [
        about,
        "",
        *table(
            ["whole run, first load", "on the clock", "CPU", "findings"],
            [
                [name, f"{one['wall_s']:.1f} s", f"{one['cpu_s']:.1f} s", f"{sum(one['findings'].values()):,}"]
                for name, one in runs.items()
            ],
        ),
        "",
        f"With the rules a run takes {wall:.2f} times the time, and {cpu:.2f} times the CPU, of one without.",
        "",
        plain,
        "",
        *table(
            ["rules alone", "CPU", "times ours", "cells that fail"],
            [
                [name, f"{seconds[key]:.2f} s", f"{seconds[key] / seconds['ours']:.1f}", f"{cells[key]:,}"]
                for key, name in ways.items()
            ],
        ),
        "",
        told,
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then print the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--patients", type=int, default=25000)
    parser.add_argument("--repeat", type=int, default=2, help="rounds, of which the best counts (default: 2)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="default: build/bench")
    parser.add_argument("--page", type=Path, help="write the section there too")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(whole(options.one[0], Path(options.one[1]), Path(options.one[2]))))
        return
    if options.compare:
        print(json.dumps(compare(Path(options.compare[1]), int(options.compare[0]))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    results = measure(options.folder, options.patients, options.repeat)
    (options.folder / "checks.json").write_text(json.dumps(results, indent=2) + os.linesep)
    lines = section(results)
    if options.page:
        put_section(options.page, TITLE, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
