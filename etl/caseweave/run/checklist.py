"""private/checks.csv: every check of every record, written as it is made."""

from __future__ import annotations

import csv
import datetime
import os
from pathlib import Path
from typing import Any

from caseweave.quality.checks import COLUMNS, Tally, all_checks
from caseweave.run.convert import Conversion
from caseweave.run.reports import safe
from caseweave.terms.presence import presence


def write_checks(private: Path, conversion: Conversion, today: datetime.date) -> dict[str, Any]:
    """Write checks.csv whole or not at all; returns how many were made, failed or could not run, and the scores.

    Arguments: `today` is the day after which dates lie in the future.
    """
    tally, path = Tally(), private / "checks.csv"
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        made = all_checks(conversion.study, conversion.applied.sheets, presence(), today=today, tally=tally)
        writer.writerows([safe(cell) for cell in one.row()] for one in made)
    os.replace(part, path)
    return {
        "made": tally.made.total(),
        "failed": tally.failed,
        "not_run": tally.unmade,
        "scores": tally.scores(),
    }
