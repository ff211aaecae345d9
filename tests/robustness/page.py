"""Write docs/reference/bad-cells.md from the table of faults: `python -m tests.robustness.page`."""

from __future__ import annotations

import datetime
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.robustness.operators import GROUPS, OPERATORS
from tests.robustness.operators.book import Error, Formula, Raw
from tests.robustness.operators.table import Operator, Said

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "bad-cells.md"
TITLES = {
    "layout": "Sheets, headers, rows",
    "text": "Texts",
    "numbers": "Numbers",
    "dates": "Dates",
    "identity": "Patients and rows",
    "codes": "Codes",
    "cells": "Cells",
    "files": "Files",
}
LONGEST = 60


def page() -> str:
    """The page as it should be."""
    outcomes = Counter(one.outcome for one in OPERATORS)
    counts = ", ".join(f"{outcomes[one]} {one}" for one in ("accepted", "message", "warning", "error", "refused"))
    lines = [
        "# What Caseweave does with a bad cell",
        "",
        f"{len(OPERATORS)} ways in which a filled form of the study `breast` goes wrong, and what must come of each:",
        f"{counts}. Made by `make docs` from the table in `tests/robustness/operators`, which the tests run.",
        "Every finding stands in the right cell. What is accepted gives the same FHIR resources and OMOP rows as the",
        "same form typed with care; what is rejected gives those of a form in which the cell is blank.",
        "",
        "What no reader of one form can see: a plausible number that is the wrong one, a column that slipped by a row,",
        "two patients' ids exchanged on all sheets.",
    ]
    for name, operators in GROUPS.items():
        lines += ["", f"## {TITLES[name]}", "", "| fault | what stands there | what comes of it |", "|---|---|---|"]
        lines += [f"| {_fault(name, one)} | {_typed(one)} | {_outcome(one)} |" for one in operators]
    return "\n".join(lines) + "\n"


def _fault(group: str, one: Operator) -> str:
    return one.name.removeprefix(f"{group}-").replace("-", " ")


def _typed(one: Operator) -> str:
    return _plain(one.does) or ", ".join(f"`{_shown(value)}`" for value in one.typed.values())


def _shown(value: Any) -> str:
    match value:
        case None:
            return "(blank)"
        case Error(text):
            return f"{text} (an error cell)"
        case Formula(text, cached):
            return f"={text}".replace("`", "'") + (" (never computed)" if cached is None else f" (shows {cached})")
        case Raw():
            return "(rich text)" if "<r>" in value.inside else f"{value.inside[3:-4]} (in the format of a date)"
        case bool():
            return f"{str(value).upper()} (a truth value)"
        case datetime.date():
            return f"{value} (a true date)"
        case str():
            shown = "".join(_visible(letter) for letter in value[:LONGEST])
            return shown + (f"... ({len(value)} letters)" if len(value) > LONGEST else "") or "(empty text)"
        case _:
            return f"{value!r} (a number)"


def _visible(letter: str) -> str:
    if letter in " |`":
        return {"|": "\\|", "`": "'"}.get(letter, letter)
    hidden = unicodedata.category(letter)[0] in "CZM"
    return f"<U+{ord(letter):04X}>" if hidden else letter


def _outcome(one: Operator) -> str:
    said = f"refused: {one.refused.__name__}" if one.refused else "; ".join(_grouped(one)) or _read(one)
    return said + (f". {_plain(one.why[0].upper() + one.why[1:])}" if one.why else "")


def _read(one: Operator) -> str:
    values = [value for value in one.reads.values() if value]
    if values:
        reason = values[0].removeprefix("missing:")
        return f"missing ({reason})" if reason != values[0] else f"read as {values[0]}"
    return "counts as blank" if one.reads else "read as it was meant"


def _grouped(one: Operator) -> Iterator[str]:
    """The findings; of those that follow in other rows only how many there are."""
    counts = Counter((said.severity, said.rule) for said in one.says)
    for (severity, rule), count in counts.items():
        first = next(said for said in one.says if (said.severity, said.rule) == (severity, rule))
        yield f"{severity} `{rule}`{_suggestion(first)}" + (f" ({count} times)" if count > 1 else "")


def _suggestion(said: Said) -> str:
    return f", perhaps {_plain(said.suggests)}" if said.suggests else ""


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(OPERATORS)} faults")
