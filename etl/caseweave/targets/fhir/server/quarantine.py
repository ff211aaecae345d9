"""What the server won't have: a folder for each patient's sheet, with what was sent and why it was refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from caseweave.targets.fhir.server.answers import Issue
from caseweave.targets.fhir.server.bundles import assemble
from caseweave.targets.fhir.server.parcels import Change, Lines, UnitName
from caseweave.targets.fhir.server.send import Refused
from caseweave.targets.fhir.server.settings import Server

ENTRY = re.compile(r"\bentry\[(\d+)\]")
NAMED = re.compile(r"\b([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})")
REASON, BUNDLE = "reason.json", "bundle"
# how the server counts the entries of a bundle: FHIRPath from 0, XPath from 1
XPATH = re.compile(r"/f:|/\w+:")

Cells = Callable[[str], Sequence[str]]


def culprits(refused: Refused, line: Lines) -> list[str]:
    """The resources that a server's complaints are about, as far as they tell; else all that were sent.

    They are told by the place in the bundle, by their own reference, or by one that they make.
    """
    changes = refused.changes
    if len(changes) == 1:
        return [changes[0].ref]
    found: dict[str, None] = {}
    here = {change.ref for change in changes}
    for issue in refused.because:
        for where in issue.where:
            for number in map(int, ENTRY.findall(where)):
                place = number - 1 if XPATH.search(where) else number
                if 0 <= place < len(changes):
                    found[changes[place].ref] = None
    named = [ref for issue in refused.because for text in (issue.text, *issue.where) for ref in NAMED.findall(text)]
    found |= dict.fromkeys(ref for ref in named if ref in here)
    if not found:
        for ref in named:
            makes = b'"reference":"%b"' % ref.encode()
            found |= dict.fromkeys(one.ref for one in changes if not one.delete and makes in line(one.ref))
    return list(found) or [change.ref for change in changes]


@dataclass(frozen=True)
class Quarantine:
    """The quarantine of one server, below DIR/private.

    >>> Quarantine(Path("private/quarantine/fhir-0123"), server).folder("p1", ("main", "main")).name  # doctest: +SKIP
    'main'
    """

    root: Path
    server: Server

    def folder(self, subject: str, unit: UnitName) -> Path:
        """Where a patient's sheet lies."""
        sheet, stream = unit
        return self.root / _safe(subject) / _safe(sheet if stream == "main" else f"{sheet}@{stream}")

    def put(self, refused: Refused, line: Lines, cells: Cells, at: str, blame: Sequence[str]) -> list[str]:
        """Lay down what was refused; returns the cells that it comes from.

        Arguments: `cells` gives those of a resource; `at` is the time; `blame`, the resources at fault.
        """
        places = {ref: list(cells(ref)) for ref in blame}
        for unit in refused.units:
            mine = [change for change in refused.changes if unit in change.units]
            folder = self.folder(refused.subject, unit)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            sent = assemble(self.server, mine, line)
            (folder / f"{BUNDLE}.{self.server.format}").write_bytes(sent)
            _write(folder / REASON, self._reason(refused, unit, at, places, mine))
        return [cell for found in places.values() for cell in found]

    def _reason(
        self, refused: Refused, unit: UnitName, at: str, places: dict[str, list[str]], mine: Sequence[Change]
    ) -> dict[str, Any]:
        here = {change.ref for change in mine}
        return {
            "server": self.server.url,
            "subject": refused.subject,
            "sheet": unit[0],
            "stream": unit[1],
            "at": at,
            "status": refused.status,
            "issues": [asdict(issue) for issue in refused.because],
            "resources": [{"ref": ref, "cells": found, "here": ref in here} for ref, found in places.items()],
            "sent": [{"ref": change.ref, "method": "DELETE" if change.delete else "PUT"} for change in mine],
        }

    def release(self, subject: str, units: Iterable[UnitName]) -> None:
        """Take out what has got through."""
        patient = self.root / _safe(subject)
        if not patient.exists():
            return
        for unit in units:
            shutil.rmtree(self.folder(subject, unit), ignore_errors=True)
        if not any(patient.iterdir()):
            patient.rmdir()

    def subjects(self) -> set[str]:
        """The patients of whom something lies here."""
        return {str(reason["subject"]) for reason in self.reasons()}

    def reasons(self) -> list[dict[str, Any]]:
        """Everything that lies here, as it was written."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.root.glob(f"*/*/{REASON}"))]


def _safe(name: str) -> str:
    """A name as a file may have it; one that had to be changed can't be taken for another."""
    plain = re.sub(r"[^A-Za-z0-9_@-]", "_", name) or "_"
    return plain if plain == name else f"{plain[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _write(path: Path, content: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def issue_words(because: Sequence[Issue]) -> str:
    """Complaints in a line without what a server quotes of the content."""
    return ", ".join(sorted({issue.code or "error" for issue in because})) or "no reason given"
