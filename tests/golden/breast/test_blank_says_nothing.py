"""A follow-up without disease status contradicts nothing, whatever is said of evidence."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

import caseweave
from caseweave.spec.loader import load_study
from caseweave.targets.template import write_template


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("form") / "example.xlsx"
    write_template(load_study("breast"), path, example=True)
    return path


@pytest.mark.parametrize("evidence", ["yes", "no"])
@pytest.mark.parametrize("status", [None, "NA"])
def test_a_visit_without_disease_status(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: str, status: str | None
) -> None:
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "keys" / "breast.key"))
    book = openpyxl.load_workbook(example)
    sheet = book["Follow-up"]
    header = next(row for row in sheet.iter_rows() if any("Evidence of disease" in str(one.value) for one in row))
    column = {str(one.value).rstrip(" *"): one.column for one in header}
    rows = [n for n in range(header[0].row + 1, sheet.max_row + 1) if sheet.cell(n, 1).value]
    assert rows
    for n in rows:
        sheet.cell(n, column["Evidence of disease"]).value = evidence
        sheet.cell(n, column["Disease status"]).value = status
        for name in [one for one in column if one.startswith("Metastatic site")]:
            sheet.cell(n, column[name]).value = None
    form = tmp_path / "form.xlsx"
    book.save(form)
    found = caseweave.load_study("breast").convert(form).findings
    assert not set(found["rule"]) & {"no-evidence-with-disease", "evidence-with-remission"}
