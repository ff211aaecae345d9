"""The benchmarks: a made-up national registry of 1,000, 5,000 and 25,000 patients into FHIR and OMOP.

    python -m benchmarks                 all of it, some minutes; build/bench/results.json and a page on the screen
    python -m benchmarks --sizes 1000 --repeat 1 --no-carrot
    python -m benchmarks --page docs/benchmarks.md

Each measurement is a process of its own; of several rounds the best counts. Workbooks are made once and kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import carrot, national
from benchmarks.page import page
from benchmarks.process import Spent, spend
from benchmarks.sections import kept
from caseweave.spec.loader import load_study
from caseweave.version import __version__

ROOT = Path(__file__).parent.parent
SIZES = (1000, 5000, 25000)
START = 100  # patients: what these take is start-up and compiling


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then print the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="patients (default: 1000 5000 25000)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the best counts (default: 3)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="default: build/bench")
    parser.add_argument("--page", type=Path, help="write the page there too")
    parser.add_argument("--no-carrot", action="store_true", help="leave out carrot-transform, which pip has to fetch")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    results = measure(options.folder, sorted(options.sizes), options.repeat, with_carrot=not options.no_carrot)
    (options.folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    text = page(results)
    if options.page:
        options.page.write_text(text + kept(options.page), encoding="utf-8")
    print(text)


def measure(folder: Path, sizes: Sequence[int], repeat: int, *, with_carrot: bool) -> dict[str, Any]:
    """All figures."""
    results: dict[str, Any] = {"machine": machine(), "caseweave": __version__, "repeat": repeat}
    results["runs"] = [run(folder, patients, repeat) for patients in (START, *sizes)]
    largest = workbook(folder, sizes[-1])
    again = [_told(one("whole", largest, folder)) for _ in range(repeat)]
    results["reload_s"] = min(told["run_s"] for told in again)
    results["reload_changes"] = [told["targets"] for told in again][-1]
    results["steps"] = _told(one("steps", largest, folder))
    results["oracle"] = _told(one("oracle", workbook(folder, sizes[0]), folder))
    results["help_s"] = min(spend([sys.executable, "-m", "caseweave", "--help"]).wall for _ in range(5))
    if with_carrot:
        results["carrot"] = carrot.compare(folder / "carrot", sizes[-1], repeat)
    return results


def run(folder: Path, patients: int, repeat: int) -> dict[str, Any]:
    """The best of some first loads."""
    source = workbook(folder, patients)
    rounds: list[tuple[Mapping[str, Any], Spent]] = []
    for _ in range(repeat):
        shutil.rmtree(folder / "workspace", ignore_errors=True)
        spent = one("whole", source, folder)
        rounds.append((_told(spent), spent))
        print(f"{patients:,} patients: {spent.wall:.1f} s, {spent.cpu:.1f} s of CPU", file=sys.stderr)
    told, spent = min(rounds, key=lambda each: each[1].wall)
    return {
        "patients": patients,
        "process_s": spent.wall,
        "process_cpu_s": min(each.cpu for _, each in rounds),
        "memory_mb": {"one": spent.memory.one, "together": spent.memory.together},
        **told,
    }


def one(kind: str, source: Path, folder: Path) -> Spent:
    """A measurement in a process of its own."""
    return spend([sys.executable, "-m", "benchmarks.one", kind, source, folder])


def workbook(folder: Path, patients: int) -> Path:
    """The workbook of a registry, made if it isn't there."""
    path = folder / f"national-{patients}.xlsx"
    if not path.exists():
        study = load_study(national.STUDY)
        part = path.with_suffix(".part")
        national.write(part, {sheet.key: list(sheet.fields) for sheet in study.sheets}, patients)
        os.replace(part, path)
    return path


def machine() -> dict[str, Any]:
    """Where this was measured."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"load": load, "cpu": name, "cores": cpus, "system": platform.system(), "python": platform.python_version()}


def _told(spent: Spent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(spent.output.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
