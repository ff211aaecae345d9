"""Concepts that are conventions of OMOP, by name, so that no mapping holds a concept id."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import MappingError

CONVENTIONS_FILE = "omop_conventions.csv"
COLUMNS = ("name", "concept_id", "source")


@dataclass(frozen=True, slots=True)
class Convention:
    """A named concept id and where it was seen; `source` says what isn't verified."""

    name: str
    concept_id: int
    source: str


def conventions(path: Path | None = None) -> dict[str, int]:
    """The concept id of each convention.

    >>> conventions()["case-report-form"]
    32809

    Arguments: `path`, another file of the same form. Raises MappingError where a row is wrong.
    """
    return {one.name: one.concept_id for one in read_conventions(path)}


def read_conventions(path: Path | None = None) -> tuple[Convention, ...]:
    """The conventions with their sources, in the order of the file."""
    path = path or data_path("vocabularies") / CONVENTIONS_FILE
    found: dict[str, Convention] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise MappingError(
                path.name, 1, "not a list of conventions", way_out=f"The columns are {', '.join(COLUMNS)}."
            )
        for row in reader:
            name, number = row["name"] or "", row["concept_id"] or ""
            if not name or name in found or not number.isdigit() or not row["source"]:
                raise MappingError(
                    path.name,
                    reader.line_num,
                    f"convention '{name}' is incomplete, or stands here twice",
                    way_out="Give each name once, with its concept id in digits and its source.",
                )
            found[name] = Convention(name, int(number), row["source"])
    return tuple(found.values())
