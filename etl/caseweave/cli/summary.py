"""A run or a check in words, under a screen: what was read, what came of it, what is wrong, where to look."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caseweave.cli.show import LABEL, WIDTH, count, counts, entry, number, wrap
from caseweave.issues import SEVERITIES

SHOWN_KINDS = 4
SHOWN_PLACES = 3
SHOWN_SOURCES = 3
OUTCOMES = ("loaded", "ignored", "missing", "rejected")
ENDINGS = {
    0: "0: all loaded.",
    1: "1: finished; what has an error was not loaded.",
}


def describe_run(manifest: Mapping[str, Any], root: Path, exit_code: int) -> str:
    """A run as the terminal shows it."""
    study = manifest["study"]
    lines = [
        f"{study['name']} {study['version']}, run {manifest['run']}, in {root}",
        "",
        *_read(manifest),
        entry("FHIR", f"{count(sum(manifest['fhir'].values()), 'resource')}: {counts(manifest['fhir'])}"),
        entry("OMOP", f"{count(sum(manifest['omop'].values()), 'row')}: {counts(manifest['omop'])}"),
        entry("", _told(manifest["parity"])),
        entry("Concepts", _concepts(manifest["concepts"])),
        entry("This run", "; ".join(_target(name, one) for name, one in manifest["targets"].items())),
        *_findings(manifest["findings"], root),
        "",
        entry("Look at", f"{root / 'fhir'}, {_database(manifest, root)}, {root / 'manifest.json'}"),
        entry("Exit code", ENDINGS[exit_code]),
    ]
    return "\n".join(lines)


def describe_check(content: Mapping[str, Any], root: Path, exit_code: int) -> str:
    """A check as the terminal shows it."""
    study = content["study"]
    lines = [
        f"{study['name']} {study['version']}, checked; nothing was loaded",
        "",
        *_read(content),
        entry("Concepts", _concepts(content["concepts"])),
        *_checks(content, root),
        *_findings(content["findings"], root),
        _report(content["findings"], root),
        "",
        entry(
            "Exit code",
            ENDINGS[exit_code].replace("all loaded", "all could be loaded").replace("was not", "would not be"),
        ),
    ]
    return "\n".join(lines)


def describe_preview(content: Mapping[str, Any], root: Path, exit_code: int) -> str:
    """What a run would do, as the terminal shows it."""
    study, findings = content["study"], content["findings"]
    told = ", ".join(count(findings[one], one) for one in SEVERITIES if findings[one]) or "none"
    endings = {
        0: "0: all would be loaded.",
        1: "1: what has an error would not be loaded.",
        4: "4: the run would be refused.",
    }
    lines = [
        f"{study['name']} {study['version']}, run {content['run']} as it would be, in {root}; nothing was written",
        "",
        *_read(content),
        *(line for name, one in content["targets"].items() for line in ["", *_difference(name, one)]),
        "",
        entry("Findings", told if told == "none" else f"{told}; `caseweave check` lists them"),
        *([entry("Refused", content["refused"])] if content["refused"] else []),
        entry("Exit code", endings[exit_code]),
    ]
    return "\n".join(lines)


def _difference(name: str, one: Mapping[str, Any]) -> list[str]:
    shown = {"fhir": "FHIR", "omop": "OMOP"}.get(name, name)
    changes = [
        entry(label.capitalize(), f"{number(sum(one[label].values()))}: {counts(one[label])}")
        for label in ("new", "changed", "retracted")
        if one[label]
    ]
    return [f"{shown}: {number(one['unchanged'])} unchanged{'' if changes else ', nothing to do'}", *changes]


def _checks(content: Mapping[str, Any], root: Path) -> list[str]:
    """The list of all checks in a few lines, where it was asked for."""
    found = content.get("checks")
    if not found:
        return []
    unmade = f"; {number(found['not_run'])} could not run, the column isn't there" if found["not_run"] else ""
    made, failed = number(found["made"]), number(found["failed"])
    lines = [entry("Checks", f"{made} made, {failed} failed{unmade}: {root / 'private' / 'checks.csv'}")]
    if found["scores"]:
        scores = ", ".join(f"{sheet} {score:.4f}" for sheet, score in found["scores"].items())
        lines.append(entry("Scores", scores))
    return lines


def _database(manifest: Mapping[str, Any], root: Path) -> str:
    name = str(manifest["omop_database"])
    return str(root / name) if name.endswith(".sqlite") else name


def _read(content: Mapping[str, Any]) -> list[str]:
    sources: Sequence[Mapping[str, Any]] = content["sources"]
    named = ", ".join(f"{one['alias']} {count(one['rows'], 'row')}" for one in sources[:SHOWN_SOURCES])
    rest = len(sources) - SHOWN_SOURCES
    if rest > 0:
        named += (
            f", and {count(rest, 'more file')} with {count(sum(one['rows'] for one in sources[SHOWN_SOURCES:]), 'row')}"
        )
    balance = content["balance"]
    cells = " + ".join(f"{number(balance[one])} {one}" for one in OUTCOMES)
    return [
        entry("Read", named),
        entry("Cells", f"{number(balance['cells'])} = {cells}"),
        entry("Facts", f"{number(content['facts'])} of {count(content['subjects'], 'patient')}"),
    ]


def _told(parity: Mapping[str, Any]) -> str:
    if parity["omop"] == parity["facts"]:
        return "every fact has its row"
    return f"{number(parity['omop'])} of {count(parity['facts'], 'fact')} have a row; why not, by reason: manifest.json"


def _concepts(concepts: Mapping[str, int]) -> str:
    without = concepts["codes"] - concepts["standard"]
    said = f"{number(concepts['standard'])} of {count(concepts['codes'], 'code')} have a standard concept"
    more = [
        f"{number(without)} without: private/worklist.csv" if without else "",
        f"{number(concepts['local'])} of the study's own" if concepts.get("local") else "",
    ]
    return "; ".join([said, *filter(None, more)])


def _target(name: str, change: Mapping[str, int]) -> str:
    shown = {"fhir": "FHIR", "omop": "OMOP"}.get(name, name)
    words = ", ".join(
        f"{number(change[one])} {one}" for one in ("new", "changed", "retracted", "unchanged") if change[one]
    )
    return f"{shown} {words or 'nothing'}"


def _report(found: Mapping[str, int], root: Path) -> str:
    marked = f"; forms with their problems marked: {root / 'private'}" if found["error"] or found["warning"] else ""
    return entry("Report", f"{root / 'report.html'}{marked}")


def _findings(found: Mapping[str, int], root: Path) -> list[str]:
    told = ", ".join(count(found[one], one) for one in SEVERITIES if found[one])
    if not told:
        return [entry("Findings", "none")]
    rows = json.loads((root / "findings.json").read_text(encoding="utf-8"))
    alike: dict[tuple[str, ...], list[str]] = {}
    several = len({row["source"] for row in rows}) > 1
    for row in rows:
        spot = f"{row['sheet']}!{row['cell']}" if row["cell"] else row["sheet"] or row["source"]
        kind = (row["severity"], row["field"], row["message"])
        alike.setdefault(kind, []).append(f"{row['source']}:{spot}" if several and spot != row["source"] else spot)
    lines = [entry("Findings", f"{told}: {root / 'findings.csv'}")]
    for (severity, field, message), places in list(alike.items())[:SHOWN_KINDS]:
        where = ", ".join(places[:SHOWN_PLACES]) + (
            f" and {number(rest)} more" if (rest := len(places) - SHOWN_PLACES) > 0 else ""
        )
        lines.extend(_lines(f"  {severity:<{LABEL - 2}}", f"{where}{' ' + field if field else ''}: {message}"))
    if len(alike) > SHOWN_KINDS:
        lines.append(entry("", f"and {count(len(alike) - SHOWN_KINDS, 'kind')} more"))
    return lines


def _lines(label: str, text: str) -> list[str]:
    first, *more = wrap(text, WIDTH - LABEL)
    return [label + first, *(" " * LABEL + one for one in more)]
