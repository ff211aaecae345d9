"""`caseweave omop check` in words: how many checks of each category came to what, then each that didn't pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caseweave.cli.show import entry, number, say, table

if TYPE_CHECKING:
    from caseweave.quality.junit import Suite
    from caseweave.quality.omop import Result
    from caseweave.run.omopcheck import OmopReport
    from caseweave.run.workspace import Workspace

SHOWN = 20
HEAD = ("", "passed", "failed", "not applicable", "could not run", "passed %")


def check(
    target: str,
    cdm: str,
    imaging: bool,
    schema: str,
    vocabulary_schema: str | None,
    thresholds: Path | None,
    json_file: Path | None,
    junit_file: Path | None,
) -> int:
    """Run the suite and tell; 0 where all passed, 1 where a check failed or could not run."""
    from caseweave.run.omopcheck import check_omop
    from caseweave.run.workspace import write_json

    report = check_omop(
        target, cdm=cdm, imaging=imaging, schema=schema, vocabulary_schema=vocabulary_schema, thresholds=thresholds
    )
    if json_file:
        write_json(json_file, report.as_json())
    if junit_file:
        from caseweave.quality.junit import junit

        junit_file.write_bytes(junit(f"omop {report.cdm}", suites_of(report)))
    say(describe(report))
    return 0 if report.sound else 1


def ask_omop(workspace: Workspace, quiet: bool) -> bool:
    """Ask the database of a workspace after a run; whether it is sound. Its figures are in DIR/omop-check.json."""
    from caseweave.run.omopcheck import check_omop
    from caseweave.run.workspace import write_json

    report = check_omop(str(workspace.root))
    write_json(workspace.root / "omop-check.json", report.as_json())
    if not quiet:
        say(f"\n{describe(report)}")
    return report.sound


def describe(report: OmopReport) -> str:
    """The report as a terminal shows it."""
    from caseweave.quality.omop import STATUSES, summary

    found = summary(report.results)
    rows = [[name.capitalize(), *_figures([counts[one] for one in STATUSES])] for name, counts in found.items()]
    sums = [sum(counts[one] for counts in found.values()) for one in STATUSES]
    rows.append(["All", *_figures(sums)])
    lines = [f"{report.database}, {report.cdm}: {number(len(report.results))} checks", "", table(HEAD, rows), ""]
    wrong = [one for one in report.results if one.status in ("failed", "could not run")]
    for one in wrong[:SHOWN]:
        lines.append(entry("Failed" if one.status == "failed" else "Not run", _told(one)))
    if len(wrong) > SHOWN:
        lines.append(entry("", f"and {number(len(wrong) - SHOWN)} more: --json FILE has them all"))
    lines.append(entry("Exit code", "0: all passed." if report.sound else "1: a check failed or could not run."))
    return "\n".join(lines)


def _figures(counts: list[int]) -> list[str]:
    passed, failed, _, unable = counts
    asked = passed + failed + unable
    # rounded down: 100 % is said only of all
    share = f"{int(1000 * passed / asked) / 10:.1f}" if asked else "-"
    return [*map(number, counts), share]


def _told(one: Result) -> str:
    if one.status == "could not run":
        return f"{one.check.id}: {one.why}"
    if not one.check.source:
        return f"{one.check.id}: it isn't there"
    where = ", ".join(_rows(one))
    return (
        f"{one.check.id}: {number(one.violated)} of {number(one.total)} ({one.share:.1f} %), not what was asked: "
        f"{one.check.asks}{f'; {where}' if where else ''}"
    )


def _rows(one: Result) -> list[str]:
    """The rows that are named, each with its cells where they are known."""
    return [f"{row} ({', '.join(one.places[row])})" if one.places.get(row) else row for row in one.rows]


def suites_of(report: OmopReport) -> list[Suite]:
    """A suite for each kind of check, a case for each field that it is asked of."""
    from caseweave.quality.junit import Case, Suite

    kinds: dict[str, list[Case]] = {}
    for one in report.results:
        spot = one.check.id.removeprefix(f"{one.check.name}.")
        cases = kinds.setdefault(f"{one.check.category}.{one.check.name}", [])
        if one.status == "failed":
            message = f"{one.violated} of {one.total} rows: {one.check.asks}"
            cases.append(Case(spot, "failure", message, one.check.name, _rows(one)))
        elif one.status == "could not run":
            cases.append(Case(spot, "error", one.why, "could not run"))
        elif one.status == "not applicable":
            cases.append(Case(spot, "skipped", one.why))
        else:
            cases.append(Case(spot))
    return [Suite(name, cases) for name, cases in kinds.items()]
