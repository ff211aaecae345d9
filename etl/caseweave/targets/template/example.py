"""Example patients: `example.yaml` in a study's folder, local values by sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caseweave.errors import UsageError
from caseweave.spec.faults import Faults
from caseweave.spec.models import Study
from caseweave.spec.readers import written
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
            way_out=f"Write them into {EXAMPLE_FILE} in its folder: sheets: {{SHEET: [{{FIELD: value}}]}}.",
        )
    label = f"{path.parent.name}/{path.name}"
    tree, _ = read_yaml(path, label)
    sheets = tree.get("sheets")
    if not isinstance(sheets, Map):
        At(label, 1).fail("an example without 'sheets'", "Write sheets: {sheet: [rows]}.")
    found: dict[str, list[dict[str, Any]]] = {}
    faults = Faults()
    for key, rows in sheets.items():
        at = At(label, sheets.at(key))
        with faults:
            if key not in study.sheet_keys:
                raise at.unknown("sheet", key, study.sheet_keys)
            if not isinstance(rows, Seq):
                at.fail(f"sheet '{key}' holds no list of rows", "Write one - {field: value} for each row.")
            found[key] = []
            for place, row in enumerate(rows):
                with faults:
                    found[key].append(_row(study, key, row, At(label, rows.at(place))))
    faults.tell()
    return found


def _row(study: Study, key: str, row: Any, place: At) -> dict[str, Any]:
    if not isinstance(row, Map):
        place.fail(f"sheet '{key}' has a row that is no mapping", "Write - {field: value, ...}.")
    fields = study.sheet(key).fields
    faults = Faults()
    for name, value in row.items():
        at = place.key(row, name)
        with faults:
            if name not in fields:
                raise at.unknown(f"field of sheet '{key}'", name, fields)
            valueset, local = fields[name].valueset, written(value)
            if valueset is not None and local not in valueset.values and local not in study.missing.codes:
                raise at.unknown(f"value of value set '{valueset.name}'", local, valueset.values)
    faults.tell()
    return dict(row)
