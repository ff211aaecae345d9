"""Example patients: `example.yaml` in a study's folder, local values by sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caseweave.errors import UsageError
from caseweave.spec.models import Study
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Seq, read_yaml

EXAMPLE_FILE = "example.yaml"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def example_of(study: Study) -> Rows:
    """The example patients of a study, checked against its fields and value sets.

    >>> from caseweave.spec.loader import load_study
    >>> len(example_of(load_study("breast"))["demographics"])
    3

    Raises UsageError where the study has none, MappingError, with file and line, for what the study hasn't got.
    """
    path = Path(study.folder) / EXAMPLE_FILE
    if not path.is_file():
        raise UsageError(
            f"The study {study.name!r} has no example patients.",
            way_out=f"Write them into {EXAMPLE_FILE} in its folder.",
        )
    label = f"{path.parent.name}/{path.name}"
    tree, _ = read_yaml(path, label)
    sheets = tree.get("sheets")
    if not isinstance(sheets, Map):
        At(label, 1).fail("an example without 'sheets'", "Write sheets: {sheet: [rows]}.")
    found: dict[str, list[dict[str, Any]]] = {}
    for key, rows in sheets.items():
        at = At(label, sheets.at(key))
        if key not in study.sheet_keys:
            raise at.unknown("sheet", key, study.sheet_keys)
        if not isinstance(rows, Seq):
            at.fail(f"sheet '{key}' holds no list of rows", "Write one - {field: value} for each row.")
        found[key] = [_row(study, key, row, label) for row in rows]
    return found


def _row(study: Study, key: str, row: Any, label: str) -> dict[str, Any]:
    if not isinstance(row, Map):
        At(label, 1).fail(f"sheet '{key}' has a row that is no mapping", "Write - {field: value, ...}.")
    fields = study.sheet(key).fields
    for name, value in row.items():
        at = At(label, row.at(name))
        if name not in fields:
            raise at.unknown(f"field of sheet '{key}'", name, fields)
        valueset = fields[name].valueset
        if valueset is not None and str(value) not in valueset.values and str(value) not in study.missing.codes:
            raise at.unknown(f"value of value set '{valueset.name}'", str(value), valueset.values)
    return dict(row)
