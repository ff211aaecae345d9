"""Concepts that another vocabulary release says otherwise: each is told by name, since it changes many rows."""

from __future__ import annotations

import json
from pathlib import Path

from caseweave.issues import Finding
from caseweave.run.convert import Conversion
from caseweave.run.workspace import Workspace, write_json

NONE = "no standard concept"


def moved(workspace: Workspace, conversion: Conversion) -> list[Finding]:
    """What the run's vocabulary says otherwise than that of earlier runs, code by code.

    >>> moved(workspace, conversion)  # doctest: +SKIP
    [Finding(rule='concept-moved', ..., message='LNC|29463-7 (Body weight): concept 3025315 became 43025315 ...')]
    """
    before, now = _known(_file(workspace)), _concepts(conversion)
    release = conversion.terms.release
    return [
        Finding(
            rule="concept-moved",
            severity="message" if concept else "warning",
            message=f"{code}{_name(conversion, code)}: {_words(before[code])} became {_words(concept)} with vocabulary "
            f"{release}; the rows with it were changed.",
        )
        for code, concept in sorted(now.items())
        if before.get(code, concept) != concept
    ]


def remember_concepts(workspace: Workspace, conversion: Conversion) -> None:
    """Keep which concepts the codes have; codes that this run didn't ask for stay as they were."""
    path = _file(workspace)
    before = _known(path)
    now = {**before, **_concepts(conversion)}
    if now != before:
        write_json(path, dict(sorted(now.items())))


def _file(workspace: Workspace) -> Path:
    return workspace.private / "concepts.json"


def _known(path: Path) -> dict[str, int]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _concepts(conversion: Conversion) -> dict[str, int]:
    asked = conversion.omop.settings.concepts.asked
    return {str(coding): one.concept_id for coding, one in asked.items() if _vocabulary(conversion, coding.system)}


def _vocabulary(conversion: Conversion, system: str) -> str:
    """What OMOP calls a code system, "" where it doesn't know it."""
    known = conversion.systems.systems.get(system)
    return known.omop if known else ""


def _words(concept: int) -> str:
    return f"concept {concept}" if concept else NONE


def _name(conversion: Conversion, code: str) -> str:
    """What the vocabulary calls the standard concept of a code."""
    system, _, own = code.partition("|")
    standard = conversion.terms.resolve(_vocabulary(conversion, system), own).standard
    return f" ({standard[0].concept_name})" if standard else ""
