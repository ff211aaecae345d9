"""The figures as a page of Markdown: ratios first, then where the time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.sections import table

# what has to be shown, in the words of the plan
SIZE_COLUMNS = ("patients", "facts", "resources", "rows", "run", "facts/s", "CPU", "CPU per patient", "memory")
WANTED = {"rate": 80_000, "memory": 1536, "flat": 0.15, "objects": 20, "carrot": 1, "reload": 0.3, "help": 0.5}


def page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    machine, runs = results["machine"], results["runs"]
    largest = runs[-1]
    start = runs[0]
    lines = [
        "# Benchmarks",
        "",
        "A made-up national registry of breast cancer (`benchmarks/national`): four sheets, nine rows and 157 filled",
        "cells a patient, into FHIR (NDJSON) and OMOP (SQLite), side by side, with ledger and lineage. `make bench`",
        "measures; `python -m benchmarks --page docs/benchmarks.md` writes this page anew, too.",
        "",
        f"Measured on {machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']},",
        f"with Caseweave {results['caseweave']}; rounds, of which the best counts: {results['repeat']}.",
        f"The machine's load before was {machine['load']:.1f}: what others do there the clock counts too, CPU hardly.",
        "",
        *table(["", "measured", "wanted"], ratios(results)),
        "",
        "## By size",
        "",
        *table(SIZE_COLUMNS, [size(one, start) for one in runs]),
        "",
        "A run is timed from the opening of the workbook to the manifest. CPU is that of all its processes from start",
        f"to end, per patient without the {start['process_cpu_s']:.1f} s of {start['patients']} patients (start-up and",
        "compiling); it falls with size, since every distinct value costs once. Memory: the larger process / all",
        "together, what they share counted once (PSS). An unchanged reload reads and checks all cells again and",
        "compares hashes; it renders and writes nothing.",
        "",
        f"## Where the time goes, {largest['patients']:,} patients",
        "",
        "On the clock, the two targets side by side:",
        "",
        *table(["step", "seconds"], [(name, f"{one:.1f}") for name, one in largest["timings_s"].items()]),
        "",
        "In seconds of CPU, one after the other:",
        "",
        *table(["step", "CPU s", "each"], steps(results["steps"])),
        *carrot(results.get("carrot")),
    ]
    return "\n".join(lines) + "\n"


def ratios(results: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """What was promised, and what was found."""
    first, largest, oracle = results["runs"][0], results["runs"][-1], results["oracle"]
    memory = largest["memory_mb"]
    yield "facts per second, both targets", f"{largest['facts'] / largest['run_s']:,.0f}", f"{WANTED['rate']:,}"
    yield "the same by CPU: the steps of the longer side", f"{_by_cpu(results['steps']):,.0f}", ""
    yield (
        "memory of the larger process, MB",
        f"{max(memory['one'], largest['peak_memory_mb'] or 0):,}",
        f"{WANTED['memory']:,}",
    )
    yield "memory of both together, MB", f"{memory['together']:,}", ""
    each = [_each(one, first) for one in results["runs"][1:]]
    yield "cost per patient, dearest to cheapest size", f"{max(each) / min(each) - 1:.0%}", f"{WANTED['flat']:.0%}"
    times = oracle["objects_us"] / oracle["ours_us"]
    yield "fhir.resources objects to our rendering, time each", f"{times:,.0f} times", f"{WANTED['objects']} times"
    if "carrot" in results:
        yield (
            "our OMOP rows to carrot-transform's, rate",
            f"{results['carrot']['ratio']:.1f} times",
            f"{WANTED['carrot']} time",
        )
    yield (
        "an unchanged reload to the first load",
        f"{results['reload_s'] / largest['run_s']:.2f}",
        f"{WANTED['reload']}",
    )
    yield "`caseweave --help`, seconds", f"{results['help_s']:.2f}", f"{WANTED['help']}"


def size(one: Mapping[str, Any], start: Mapping[str, Any]) -> Sequence[str]:
    """One line of the table by size."""
    return [
        f"{one['patients']:,}",
        f"{one['facts']:,}",
        f"{sum(one['fhir'].values()):,}",
        f"{sum(one['omop'].values()):,}",
        f"{one['run_s']:.1f} s",
        f"{one['facts'] / one['run_s']:,.0f}",
        f"{one['process_cpu_s']:.1f} s",
        "" if one is start else f"{_each(one, start) * 1e3:.2f} ms",
        f"{one['memory_mb']['one']:,} / {one['memory_mb']['together']:,} MB",
    ]


def steps(found: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The steps, with what each fact, resource or row of them takes."""
    for name, seconds in found["steps_s"].items():
        kind = {"FHIR": "resources", "OMOP": "rows"}.get(name.partition(":")[0], "facts")
        yield name, f"{seconds:.2f}", f"{seconds / found[kind] * 1e6:.2f} µs a {kind[:-1]}"


def carrot(found: Mapping[str, Any] | None) -> Iterable[str]:
    """The rows that both made, table by table."""
    if found is None:
        return
    rates = found["rows_per_cpu_s"]
    yield from ("", "## Beside carrot-transform", "")
    yield "The same demographics as csv, into OMOP: theirs to tab-separated text, ours to SQLite with ledger, whole"
    yield f"processes: {rates['carrot']:,.0f} rows a second of CPU theirs, {rates['ours']:,.0f} ours. The vocabulary's"
    yield "shipped subset doesn't know all four conditions; a code without standard concept becomes an observation."
    yield ""
    rows = [(name, f"{one['carrot']:,}", f"{one['ours']:,}") for name, one in found["rows"].items()]
    yield from table(["table", "rows, carrot-transform", "rows, ours"], rows)


def _by_cpu(found: Mapping[str, Any]) -> float:
    """Facts per second of CPU, of the two sides only the longer: what an idle machine with two cores comes to."""
    sides: Counter[str] = Counter()
    for name, seconds in found["steps_s"].items():
        sides[name.partition(":")[0] if ":" in name else "both"] += seconds
    return float(found["facts"] / (sides["both"] + max(sides["FHIR"], sides["OMOP"])))


def _each(one: Mapping[str, Any], start: Mapping[str, Any]) -> float:
    """Seconds of CPU for one patient, without start-up."""
    return float((one["process_cpu_s"] - start["process_cpu_s"]) / (one["patients"] - start["patients"]))
