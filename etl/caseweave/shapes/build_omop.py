"""Write vocabularies/shapes/omop_fields.csv from OHDSI's field lists gathered in one file.

Run by hand: python -m caseweave.shapes.build_omop OMOP_FIELDS_CSV
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from caseweave.assets import data_path

COLUMNS = (
    "module",
    "table",
    "field",
    "datatype",
    "required",
    "primary_key",
    "fk_table",
    "fk_field",
    "fk_domain",
)


def build(source: Path, target: Path) -> int:
    """Write the product's field list; returns how many fields it has.

    Arguments: `source`, a csv with COLUMNS for the modules cdm5.3, cdm5.4, oncology5.3 and imaging.
    Raises OSError or KeyError: a developer's tool.
    """
    with source.open(encoding="utf-8", newline="") as lines:
        rows = [_row(row) for row in csv.DictReader(lines)]
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _row(row: dict[str, str]) -> dict[str, str]:
    kept = {column: row[column].strip() for column in COLUMNS}
    kept["field"] = kept["field"].strip('"')
    if kept["datatype"] == "int":
        kept["datatype"] = "integer"
    if kept["fk_table"] and not kept["fk_field"]:
        # the imaging extension names the table only; a key always points to the other table's id
        kept["fk_field"] = f"{kept['fk_table']}_id"
    return kept


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), data_path("vocabularies") / "shapes" / "omop_fields.csv"))
