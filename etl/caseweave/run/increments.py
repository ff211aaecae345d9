"""What forms leave out that earlier ones told: patients who stand in none, rows that an increment can't correct."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from caseweave.errors import UsageError
from caseweave.issues import Finding
from caseweave.run.convert import Conversion
from caseweave.run.workspace import Workspace


def absences(workspace: Workspace, conversion: Conversion, stream: str) -> Iterator[Finding]:
    """Say of how many patients earlier files of a stream told who stand in none of these; what was told of them stays.

    Arguments: `conversion` of sources that don't claim to hold everybody.
    """
    if not workspace.ledger.is_file():
        return
    present = set(conversion.applied.facts.subjects)
    query = "SELECT subject FROM fhir WHERE study = ? AND stream = ? AND sheet = ?"
    with closing(sqlite3.connect(f"{workspace.ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'fhir'").fetchone():
            return
        for sheet in conversion.sheets:
            held = connection.execute(query, (conversion.study.name, stream, sheet))
            if count := sum(subject not in present for (subject,) in held):
                told = (
                    "1 patient of earlier files stands" if count == 1 else f"{count:,} patients of earlier files stand"
                )
                yield Finding(rule="absent-patients", severity="message", sheet=sheet,
                              message=f"{told} in none of these; what was told of them stays.",
                              suggestion="Forms that hold everybody are loaded with --complete.")  # fmt: skip


def refuse_uncorrectable(conversion: Conversion) -> None:
    """Stop an increment with rows that nothing tells apart but what they say: a corrected one would stand twice.

    Raises UsageError (DESIGN 3, occurrences).
    """
    sheets = {sheet.key: sheet for sheet in conversion.study.sheets}
    found = [
        name
        for name in conversion.sheets
        if sheets[name].many_rows
        and any(not one.key for one in conversion.study.statements if one.sheet == name)
        and conversion.applied.sheets[name].table.size
    ]
    if found:
        raise UsageError(
            f"An increment can't hold {', '.join(found)}: a row has no key there, and corrected it would be one more.",
            way_out="Give the sheet a `key` in the mapping, or load all its rows, without --increment.",
        )
