"""What a run leaves to read: findings for everyone (without what was typed), findings at home, the work list."""

from __future__ import annotations

import base64
import csv
import functools
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from caseweave.identity.keyfile import ProjectKey
from caseweave.issues import Finding
from caseweave.run.convert import Conversion
from caseweave.run.workspace import write_json

PUBLIC = ("id", "severity", "rule", "source", "sheet", "cell", "field", "subject", "expected", "message")
PRIVATE = (
    "id",
    "severity",
    "rule",
    "file",
    "sheet",
    "cell",
    "field",
    "subject",
    "found",
    "expected",
    "message",
    "suggestion",
)
# the wide ones too: a spreadsheet in Japanese takes them for the others
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
ORDER = {"error": 0, "warning": 1, "message": 2}


def finding_id(key: ProjectKey, finding: Finding, row: str = "") -> str:
    """An id that stays the same while the problem does: of patient, sheet, field and rule, never of source or cell.

    A finding that names no patient is told apart by its cell, a column or sheet by what it is called, since others may
    be put in front of it; one of several rows of a patient by `row`, its key.
    """
    import hashlib

    who = finding.subject or (finding.found if not finding.field else "") or finding.cell
    sheet = "" if finding.rule == "unknown-sheet" else finding.sheet
    said = "\x1f".join((sheet, finding.field, who, finding.rule, *([row] if row else []))).encode()
    digest = hashlib.blake2b(said, key=key.subkey("finding"), digest_size=10).digest()
    return base64.b32encode(digest).decode("ascii").lower()


def row_keys(conversion: Conversion) -> Callable[[Finding], str]:
    """What tells the row of a finding from the patient's other rows, where the sheet has a key for it."""

    @functools.cache
    def keys_of(sheet: str) -> dict[tuple[str, str], str]:
        facts = conversion.applied.sheets[sheet]
        if facts.keys is None or not facts.sheet.row_key:
            return {}
        table, texts = facts.table, [facts.keys.texts[code] for code in facts.keys.codes.tolist()]
        parts = [(one.source, (one.rows + 1).tolist()) for one in table.parts]
        places = zip(table.part_of.tolist(), table.row_in_part.tolist(), texts, strict=True)
        return {(parts[part][0], str(parts[part][1][row])): text for part, row, text in places}

    def row_key(one: Finding) -> str:
        if not one.subject or one.sheet not in conversion.applied.sheets:
            return ""
        return keys_of(one.sheet).get((one.source, one.cell.lstrip(ascii_uppercase)), "")

    return row_key


def identified(conversion: Conversion) -> list[tuple[str, Finding]]:
    """Findings with their ids, in the order of their places; equal problems in one row are counted on.

    The severity has no part in it: a warning that was confirmed keeps its id as a message.
    """
    seen: Counter[str] = Counter()
    found = []
    row_key = row_keys(conversion)
    for one in sorted(conversion.findings, key=lambda one: (one.source, one.sheet, _place(one.cell), one.rule)):
        base = finding_id(conversion.key, one, row_key(one))
        seen[base] += 1
        found.append((base if seen[base] == 1 else f"{base}-{seen[base]}", one))
    return found


def rows_of(conversion: Conversion, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Findings as rows, the gravest first."""
    rows = []
    for name, one in sorted(identified(conversion), key=lambda found: ORDER[found[1].severity]):
        rows.append(
            {
                "id": name,
                "severity": one.severity,
                "rule": one.rule,
                "source": one.source,
                "file": names.get(one.source, ""),
                "sheet": one.sheet,
                "cell": one.cell,
                "field": one.field,
                "subject": one.subject,
                "found": one.found,
                "expected": one.expected,
                "message": one.message,
                "suggestion": one.suggestion,
            }
        )
    return rows


def _place(cell: str) -> tuple[int, str]:
    letters = cell.rstrip("0123456789")
    return int(cell[len(letters) :] or 0), letters.rjust(4)


def write_findings(root: Path, private: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write findings.csv and findings.json, and private/findings.csv with what was typed."""
    write_csv(root / "findings.csv", PUBLIC, rows)
    write_json(root / "findings.json", [{name: row[name] for name in PUBLIC} for row in rows])
    write_csv(private / "findings.csv", PRIVATE, rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a csv whole or not at all; a text that a spreadsheet would take for a formula is kept a text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([safe(str(row[name])) for name in columns] for row in rows)
    part = path.with_name(path.name + ".part")
    part.write_text(text.getvalue(), encoding="utf-8", newline="")
    os.replace(part, path)


def safe(text: str) -> str:
    """A text as a csv may hold it: what a spreadsheet would take for a formula stays a text."""
    return "'" + text if text.startswith(FORMULAS) else text
