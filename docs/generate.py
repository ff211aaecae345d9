"""Write docs/patterns.md from mappings/patterns: `make docs`; `--check` says whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "patterns.md"
HEAD = """# Patterns

Each kind of clinical statement that a form can make, with what fills it and what it becomes. Made by
`make docs` from `mappings/patterns/`; change it there. A profile is claimed only where all its rules hold for
the values at hand; otherwise the plain resource goes out.
"""


def page() -> str:
    """The page as it should be."""
    reader = YAML(typ="safe", pure=True)
    patterns = [reader.load(path) for path in sorted((ROOT / "mappings" / "patterns").glob("*.yaml"))]
    index = [f"[{p['pattern']}](#{p['pattern']})" for p in patterns]
    return "\n".join([HEAD, " · ".join(index), "", *(line for p in patterns for line in section(p))])


def section(pattern: dict[str, Any]) -> Iterator[str]:
    """One pattern: what it is, its slots, its renderings."""
    yield from (f"## {pattern['pattern']}", "", sentence(pattern["about"]), "")
    yield from ("| slot | |", "|---|---|")
    yield from (f"| `{name}` | {slot(what)} |" for name, what in (pattern.get("slots") or {}).items())
    yield from ("", "| becomes | where | when |", "|---|---|---|")
    for target, label in (("fhir", "FHIR"), ("omop", "OMOP")):
        yield from (f"| {label} | {where} | {when} |" for where, when in renderings(pattern, target))
    yield ""
    for note in pattern.get("notes") or []:
        yield f"- {sentence(note)}"
    if pattern.get("notes"):
        yield ""


def slot(what: Any) -> str:
    """What may fill a slot, in words."""
    if not isinstance(what, dict):
        return str(what or "optional")
    words = ["required" if what.get("required") else "optional"]
    if "fact" in what:
        facts = what["fact"] if isinstance(what["fact"], list) else [what["fact"]]
        words.append("a link to " + " or ".join(f"[{fact}](#{fact})" for fact in facts))
    if "kind" in what:
        words.append(" or ".join(what["kind"]))
    return ", ".join(words)


def renderings(pattern: dict[str, Any], target: str) -> Iterator[tuple[str, str]]:
    """Each rendering of one target: where it goes, and on which condition."""
    found = pattern.get(target)
    if found in (None, "none"):
        yield "nothing", sentence(pattern.get("because", ""))
        return
    for one in found if isinstance(found, list) else [found]:
        where = resource(one) if target == "fhir" else table(one["table"])
        yield where, f"`{one['when']}`".replace("|", "\\|") if "when" in one else "always"


def resource(rendering: dict[str, Any]) -> str:
    """The FHIR resource with the profiles that it can claim."""
    profiles = rendering.get("profile") or []
    parts = profiles if isinstance(profiles, list) else [profiles]
    named = [name for part in parts for name in ([part] if isinstance(part, str) else part)]
    return f"{rendering['resourceType']} ({', '.join(named)})" if named else str(rendering["resourceType"])


def table(value: Any) -> str:
    """The OMOP table, or the slot whose domain picks it."""
    if not isinstance(value, dict):
        return f"`{value}`"
    slot_name = str(value["domain-of"]).lstrip("$")
    return f"by the domain of `{slot_name}`, else `{value.get('default', 'observation')}`"


def sentence(text: str) -> str:
    """Text as one line of a table or list."""
    return " ".join(str(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(
            0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page() else "docs/patterns.md is old: make docs"
        )
    PAGE.write_text(page(), encoding="utf-8")
