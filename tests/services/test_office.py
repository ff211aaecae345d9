"""LibreOffice opens a workbook and gives its values back."""

from __future__ import annotations

from pathlib import Path

from tests.services.office import Convert


def test_a_workbook_becomes_csv(soffice: Convert, tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["patient_id", "weight"])  # type: ignore[union-attr]
    book.active.append(["AA-00001", 61.5])  # type: ignore[union-attr]
    book.save(tmp_path / "form.xlsx")
    made = soffice(tmp_path / "form.xlsx", "csv")
    assert made.read_text(encoding="utf-8") == "patient_id,weight\nAA-00001,61.5\n"
