"""What stands below the rows of a sheet: the headers once more, or another table; neither is read as patients."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from tests.unit.quality.small import small_study

from caseweave.identity.keyfile import ProjectKey
from caseweave.run.convert import Conversion, convert
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.terms import open_terms

FIRST = [["patient_id", "sex", "weight"], ["AA-1", "m", 70], ["AA-2", "m", 80]]


def _read(folder: Path, rows: list[list[object]]) -> Conversion:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = "Patients"
    for row in rows:
        page.append(row)
    book.save(folder / "form.xlsx")
    study = load_study(str(small_study(folder)))
    return convert(
        study, read_sources([folder / "form.xlsx"]), key=ProjectKey("prostate", bytes(32)), terms=open_terms()
    )


def _told(conversion: Conversion) -> set[tuple[str, str, str]]:
    at_home = ("repeated-headers", "second-table", "not-an-id", "not-a-number", "not-in-value-set", "no-subject")
    return {(one.rule, one.severity, one.cell) for one in conversion.findings if one.rule in at_home}


def test_headers_at_every_page_are_left_out(tmp_path: Path) -> None:
    again = [*FIRST, FIRST[0], ["AA-3", "f", 60], ["patient_id", "Sex", None], ["AA-4", "f", 61]]
    conversion = _read(tmp_path, again)
    assert _told(conversion) == {("repeated-headers", "message", "A4"), ("repeated-headers", "message", "A6")}
    assert len(conversion.applied.subjects.names) == 4


@pytest.mark.parametrize("heads", [["patient_id", "weight", "psa"], ["patient_id", "sex", "weight", "seen by"]])
def test_another_table_below_is_not_read_into_the_first_ones_columns(tmp_path: Path, heads: list[object]) -> None:
    """A weight under `sex` would be told; one under `psa` would be loaded as what it isn't."""
    below: list[list[object]] = [[None], heads, ["AA-3", 60, 4.2, "MG"], ["AA-4", 61, 0.4, "MG"]]
    conversion = _read(tmp_path, [*FIRST, *below])
    assert ("second-table", "error", "A5") in _told(conversion)
    assert not {cell for _, _, cell in _told(conversion)} & {"A6", "B6", "A7", "B7"}
    assert {typed for _, typed in conversion.applied.subjects.by_id} == {"AA-1", "AA-2"}
    cells = conversion.balance
    assert cells["cells"] == sum(count for name, count in cells.items() if name != "cells")
