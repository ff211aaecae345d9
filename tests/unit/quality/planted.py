"""A breast form with two dozen patients of three sites, and problems planted in known cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import openpyxl

from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.targets.template import Check, write_template

SITES = ("AA", "BB", "CC")
# sheet, patient, field, what is planted there
PLANTED: list[tuple[str, str, str, Any]] = [
    ("demographics", "AA-00001", "height", 16.4),
    ("demographics", "AA-00002", "weight", 160),
    ("demographics", "BB-00003", "sex_at_birth", "woman?"),
    ("demographics", "BB-00005", "birth_date", "03/04/1961"),
    ("demographics", "CC-00007", "birth_date", None),
    ("diagnosis", "BB-00003", "diagnosis_date", "2019-02-31"),
    ("diagnosis", "BB-00005", "laterality", "port side"),
    ("diagnosis", "BB-00005", "ki67", 140),
    ("diagnosis", "CC-00007", "er_status", "=1+1 very"),
    ("follow-up", "CC-00008", "visit_date", "soon"),
]


def planted_form(path: Path, patients: int = 24, planted: bool = True, rules: Iterable[Check] = ()) -> Path:
    """Write the form: the three example patients over and over, under ids of three sites."""
    study = load_study("breast")
    write_template(study, path, "en", example=True, rules=rules)
    book = openpyxl.load_workbook(path)
    for sheet in study.sheets:
        tab = book[sheet.title["en"]]
        first = header_of(tab) + 1
        rows = [[cell.value for cell in row] for row in tab.iter_rows(min_row=first) if row[0].value]
        own = {cell.column for cell in tab[first - 1] if "UID" in str(cell.value)}
        by_id: dict[str, list[list[Any]]] = {}
        for row in rows:
            by_id.setdefault(str(row[0]), []).append(row)
        names = list(dict.fromkeys(("AA-00001", "AA-00002", "BB-00003")))
        number = first
        for n in range(patients):
            old = names[n % 3]
            who = old if n < 3 else f"{SITES[n // 3 % 3]}-{n + 1:05d}"
            for values in by_id[old]:
                if n % 8 == 5 and sheet.key == "follow-up":
                    continue
                for c, value in enumerate([who, *values[1:]], start=1):
                    left_out = n > 2 and c > 8 and (n * 7 + c * 5) % 19 == 0
                    # two patients don't share their images
                    value = f"{value}.{n}" if c in own and value and n > 2 else value
                    tab.cell(number, c).value = None if left_out else value
                number += 1
    for key, patient, field, value in PLANTED if planted else ():
        cell = cell_of(book, study, key, patient, field)
        cell.value = value
        if isinstance(value, str):
            cell.data_type = "s"
    book.save(path)
    return path


def cell_of(book: Any, study: Study, sheet: str, patient: str, field: str) -> Any:
    """The first cell of a patient in a field."""
    page = book[study.sheet(sheet).title["en"]]
    header = header_of(page)
    label = study.sheet(sheet).fields[field].label["en"]
    columns = {str(cell.value).rstrip("* "): cell.column for cell in page[header] if cell.value}
    row = next(row for row in range(header, page.max_row + 1) if page.cell(row, 1).value == patient)
    return page.cell(row, columns[label])


def header_of(tab: Any) -> int:
    """The row of the headers."""
    return next(row for row in range(1, 30) if str(tab.cell(row, 1).value).startswith("Patient ID"))
