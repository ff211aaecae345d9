"""The work list: values that no value set knows and codes that OMOP doesn't, each with candidates, to be answered."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from caseweave.run.convert import Conversion
from caseweave.run.reports import write_csv
from caseweave.terms import displays_of

COLUMNS = ("kind", "sheet", "field", "value", "count", "cells", "candidates")
SHOWN_CELLS = 5


def write_worklist(private: Path, conversion: Conversion) -> None:
    """Write private/worklist.csv; it holds what was typed, so it stays at home."""
    write_csv(private / "worklist.csv", COLUMNS, [*unknown_values(conversion), *unmapped_codes(conversion)])


def unknown_values(conversion: Conversion) -> list[dict[str, object]]:
    """Values outside their value set: how often, where, and what they are like."""
    cells: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    near: dict[tuple[str, str, str], str] = {}
    for finding in conversion.findings:
        if finding.rule == "not-in-value-set":
            spot = (finding.sheet, finding.field, finding.found)
            cells[spot].append(f"{finding.source}:{finding.cell}")
            near[spot] = finding.suggestion
    return [
        {
            "kind": "value",
            "sheet": sheet,
            "field": field,
            "value": value,
            "count": len(found),
            "cells": " ".join(found[:SHOWN_CELLS]),
            "candidates": near[sheet, field, value],
        }
        for (sheet, field, value), found in sorted(cells.items())
    ]


def unmapped_codes(conversion: Conversion) -> list[dict[str, object]]:
    """Codes without a standard concept, with standard concepts of a like name."""
    known = displays_of(conversion.study)
    rows = []
    for code, resolved in conversion.omop.settings.concepts.seen.items():
        if resolved.concept_id or not code.codings or code.codings[0].system == "LOCAL":
            continue
        first = code.codings[0]
        shown = known.get((first.system, first.code))
        text = code.label or (shown.text if shown else "")
        near = conversion.terms.candidates(text) if text else ()
        rows.append(
            {
                "kind": "code",
                "sheet": "",
                "field": "",
                "value": str(first),
                "count": 1,
                "cells": "",
                "candidates": " or ".join(f"{one.vocabulary_id}|{one.concept_code} {one.concept_name}" for one in near),
            }
        )
    return sorted(rows, key=lambda row: str(row["value"]))
