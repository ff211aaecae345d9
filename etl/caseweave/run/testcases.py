"""Findings as JUnit XML: a suite for each sheet, a case for each field and each rule of the study."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from caseweave.quality.junit import Case, Suite, junit
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import Rule
from caseweave.quality.runnable import unable_because
from caseweave.run.convert import Conversion

Row = Mapping[str, str]
# the rest stands in findings.csv
MOST_LINES = 100
FAILING = ("error", "warning")
NOWHERE = "sources"


def write_testcases(path: Path, conversion: Conversion, rows: Sequence[Row]) -> None:
    """Write findings.junit.xml whole or not at all.

    Arguments: `rows`, the findings as `reports.rows_of` gives them; what was typed is not taken from them.
    """
    part = path.with_name(path.name + ".part")
    part.write_bytes(junit(conversion.study.name, suites_of(conversion, rows)))
    os.replace(part, path)


def suites_of(conversion: Conversion, rows: Sequence[Row]) -> list[Suite]:
    """One suite for each sheet of the study, and one for what is wrong with the sources as a whole.

    A case fails where it has an error or a warning. A rule of a sheet that isn't in the sources is skipped; one that
    looks at a column or sheet that isn't there could not run, which is an error of the case and never passed.
    """
    rules = conversion.rules
    named = {one.id for one in rules}
    by_case: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        case = row["rule"] if row["rule"] in named or not row["field"] else row["field"]
        by_case.setdefault((row["sheet"], case), []).append(row)
    sheets = conversion.applied.sheets
    suites = []
    for sheet in conversion.study.sheets:
        cases = dict.fromkeys(name for name, one in sheet.fields.items() if not one.ignore)
        skipped = "" if sheet.key in sheets else "the sheet isn't in the sources"
        made = [_case(name, by_case.pop((sheet.key, name), ()), skipped) for name in cases]
        for rule in rules:
            if rule.sheet == sheet.key:
                unable = "" if skipped else unable_because(rule, sheets)
                why = skipped or ("a criterion, whose verdict the report gives" if _is_criterion(rule) else "")
                made.append(_case(rule.id, by_case.pop((sheet.key, rule.id), ()), why, unable))
        rest = [key for key in by_case if key[0] == sheet.key]
        suites.append(Suite(sheet.key, [*made, *(_case(key[1], by_case.pop(key)) for key in rest)]))
    left = [_case(": ".join(filter(None, key)), found) for key, found in by_case.items()]
    return [*suites, Suite(NOWHERE, left or [Case("readable")])]


def _case(name: str, rows: Sequence[Row], skipped: str = "", unable: str = "") -> Case:
    wrong = [row for row in rows if row["severity"] in FAILING]
    if wrong:
        rules = ", ".join(dict.fromkeys(row["rule"] for row in wrong))
        lines = [f"{_place(row)}: {row['severity']}: {row['message']} [{row['rule']}, {row['id']}]" for row in wrong]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more, see findings.csv"]
        count = f"{len(wrong)} finding{'s' * (len(wrong) > 1)}"
        return Case(name, "failure", f"{count}: {rules}", wrong[0]["severity"], lines)
    if unable:
        return Case(name, "error", unable, "could not run")
    return Case(name, "skipped", skipped) if skipped else Case(name)


def _place(row: Row) -> str:
    spot = "!".join(filter(None, (row["sheet"], row["cell"])))
    return ":".join(filter(None, (row["source"], spot))) or "everywhere"


def _is_criterion(rule: Rule) -> bool:
    return KINDS[rule.kind].rows == "patient"
