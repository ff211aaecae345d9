"""LibreOffice opens a workbook and gives its values back."""

from __future__ import annotations

from pathlib import Path

from tests.services.office import Convert, Type


def test_a_workbook_becomes_csv(soffice: Convert, tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["patient_id", "weight"])  # type: ignore[union-attr]
    book.active.append(["AA-00001", 61.5])  # type: ignore[union-attr]
    book.save(tmp_path / "form.xlsx")
    made = soffice(tmp_path / "form.xlsx", "csv")
    assert made.read_text(encoding="utf-8") == "patient_id,weight\nAA-00001,61.5\n"


def test_texts_are_typed_into_cells(type_in_office: Type, tmp_path: Path) -> None:
    from openpyxl import Workbook, load_workbook

    book = Workbook()
    book.active.append(["patient_id", "weight"])  # type: ignore[union-attr]
    book.save(tmp_path / "form.xlsx")
    made = type_in_office(tmp_path / "form.xlsx", {("Sheet", "A2"): "Ñandú, 'quoted'", ("Sheet", "B2"): "61.5"})
    page = load_workbook(made)["Sheet"]
    assert [cell.value for cell in page[2]] == ["Ñandú, 'quoted'", 61.5]
