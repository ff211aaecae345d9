"""What an import says of itself: how much was taken over, and each thing that was not, with its place."""

from __future__ import annotations

from collections.abc import Mapping

from caseweave.importers.draft import Draft
from caseweave.importers.write import Written


def report(draft: Draft, name: str, made: Written) -> str:
    """import-report.md of a draft.

    >>> print(report(Draft("Trial", "a test"), "trial", Written()).splitlines()[0])
    # trial: what was imported
    """
    counts: Mapping[str, int] = {
        "sheets": len(draft.forms),
        "fields": made.fields,
        "value sets": sum(path.startswith("valuesets/") for path in made.files),
        "conditions parsed": made.conditions,
        "checks": made.checks,
        "rules": made.rules,
    }
    lines = [
        f"# {name}: what was imported",
        "",
        f"From {draft.source}. It is a draft: fields stand under the study's own local codes (pattern `answer`) until",
        "somebody gives them the codes that they mean. `caseweave lint` names what is wrong in it.",
        "",
        "| what | how many |",
        "|---|---:|",
        *(f"| {what} | {count:,} |" for what, count in counts.items()),
        "",
        "## What could not be taken over, or not as it stands",
        "",
    ]
    lines += [f"- {place}: {_escaped(what)}" for place, what in draft.notes] or ["Everything was."]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")
