"""What a server refused: laid into quarantine, with the cells that it was made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from caseweave.errors import TargetError, UsageError
from caseweave.run.trace import trace
from caseweave.run.workspace import Workspace
from caseweave.targets.fhir.server.client import TooLarge, Unreachable
from caseweave.targets.fhir.server.judge import Judge
from caseweave.targets.fhir.server.ledger import ServerLedger
from caseweave.targets.fhir.server.quarantine import Quarantine, culprits, issue_words
from caseweave.targets.fhir.server.send import Refused

MOST_CELLS = 40


@dataclass
class Refusals:
    """Takes what the server won't have.

    Arguments: `at` is the time of the delivery; `found` gathers, of each patient's sheet, its folder in quarantine, the
    server's status and the cells.
    """

    workspace: Workspace
    quarantine: Quarantine
    ledger: ServerLedger
    at: str
    found: list[dict[str, Any]] = field(default_factory=list)

    def take(self, refused: Refused, judge: Judge) -> None:
        """Lay down what was refused, and find out which cells it comes from."""
        lines = judge.line
        blame = culprits(refused, lines)
        if len(blame) == len(refused.changes) > 1:
            blame = self.invalid(refused, judge) or blame
        cells = self.quarantine.put(refused, lines, self.cells, self.at, blame)
        self.found += [
            {
                "subject": refused.subject,
                "sheet": sheet,
                "stream": stream,
                "status": refused.status,
                "why": issue_words(refused.because),
                "cells": sorted(set(cells))[:MOST_CELLS],
                "folder": str(self.quarantine.folder(refused.subject, (sheet, stream))),
            }
            for sheet, stream in refused.units
        ]

    def invalid(self, refused: Refused, judge: Judge) -> list[str]:
        """Those that the server itself calls invalid, each asked alone: its answer to a bundle doesn't say which."""
        try:
            return [change.ref for change in refused.changes if not change.delete and judge.errors(change)]
        except (Unreachable, TooLarge, TargetError):
            return []

    def cells(self, ref: str) -> list[str]:
        """The cells that a resource was made of."""
        try:
            ways = trace(self.workspace, ref).ways
        except UsageError:
            return []
        return sorted({f"{way.source}:{use.sheet}!{use.cell}" for way in ways for use in way.cells})

    def clean(self) -> None:
        """Take out of quarantine what the workspace doesn't tell any more."""
        for reason in self.quarantine.reasons():
            subject, unit = reason["subject"], (reason["sheet"], reason["stream"])
            if not any(unit in parcel.units for parcel in self.ledger.parcels([subject])):
                self.quarantine.release(subject, [unit])
