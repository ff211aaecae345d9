"""The lists in validators/omop: arguments and thresholds of checks, plausible values, what only one gender has."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import UsageError
from caseweave.spec.yamlfile import read_yaml

FOLDER = "omop"
ANY = "*"


@dataclass(frozen=True)
class Given:
    """What fields.csv says of kinds of checks: arguments and thresholds, by check, table and field."""

    rows: Mapping[tuple[str, str, str], Mapping[str, str]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]]) -> Given:
        """What rows say together; a later one goes before an earlier one in what it fills."""
        found: dict[tuple[str, str, str], dict[str, str]] = {}
        for row in rows:
            told = {name: text for name, text in row.items() if text}
            found.setdefault((row["check"], row["table"], row["field"]), {}).update(told)
        return cls(found)

    def get(self, what: str, check: str, table: str, field: str) -> str:
        """An argument or a threshold, the nearest first: of the field, the table, all; "" where none is given."""
        for key in ((check, table, field), (check, table, ANY), (check, ANY, ANY)):
            if found := self.rows.get(key, {}).get(what, ""):
                return found
        return ""


@lru_cache(maxsize=8)
def read_list(name: str) -> tuple[Mapping[str, str], ...]:
    """The rows of one of the lists in validators/omop."""
    with (data_path("validators") / FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


def read_thresholds(path: Path) -> list[dict[str, str]]:
    """A site's own list of thresholds; raises UsageError where it can't be read or names what there is not."""
    columns = {"check", "table", "field", "threshold"}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} can't be read: {type(error).__name__}.", way_out="Give a csv in UTF-8.") from None
    if columns - set(reader.fieldnames or ()):
        raise UsageError(f"{path} is no list of thresholds.", way_out=f"Its columns: {', '.join(sorted(columns))}.")
    kinds, _ = read_yaml(data_path("validators") / FOLDER / "checks.yaml", "omop/checks.yaml")
    for number, row in enumerate(rows, 2):
        if row["check"] not in kinds["checks"]:
            raise UsageError(f"{path}:{number}: there is no such check.", way_out="`--json FILE` lists all checks.")
        if not _is_share(row["threshold"]):
            raise UsageError(f"{path}:{number}: that is no share.", way_out="Give a number from 0 to 100.")
    return rows


def _is_share(text: str | None) -> bool:
    digits = (text or "").replace(".", "", 1)
    return not text or (digits.isascii() and digits.isdigit() and float(text) <= 100)
