"""The other formats give the same cells: xls, ods, templates, encrypted workbooks."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from tests.services.office import Convert
from tests.unit.sources.workbooks import read_one, rows_of, saved

from caseweave.errors import SourceProtected
from caseweave.values.types import CellError

ROWS = [
    ["id", "when", "size", "ok", "text", "failed"],
    ["007", datetime.date(2020, 2, 29), 1.5, True, "NA", CellError("#N/A")],
    ["12345678901234567", datetime.datetime(1960, 1, 2, 3, 4), 2, False, "\u00a0x", CellError("#DIV/0!")],
]


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Two sheets, one hidden, with merged cells and errors."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Data"
    for row in ROWS:
        sheet.append([cell.text if isinstance(cell, CellError) else cell for cell in row])
    sheet["F2"], sheet["F3"] = "=NA()", "=1/0"
    sheet["A5"] = "merged"
    sheet["G2"] = 0.45
    sheet["G2"].number_format = "0%"
    sheet.merge_cells("A5:B6")
    book.create_sheet("lists").sheet_state = "hidden"
    book["lists"]["A1"] = "pos"
    book.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


@pytest.mark.parametrize("kind", ["xls", "ods", "xlsx", "xlsm"])
def test_libreoffices_copies_hold_the_same_cells(workbook: Path, soffice: Convert, kind: str) -> None:
    filters = {"xlsm": "xlsm:Calc MS Excel 2007 VBA XML"}
    source = read_one(soffice(workbook, filters.get(kind, kind)))
    data, lists = source.grids
    assert source.kind == kind
    assert [row[:6] for row in rows_of(data)[:3]] == ROWS
    assert (4, 0, 5, 1) in data.merged
    assert data.cell(1, 6) == "45%"
    assert (lists.name, lists.hidden, lists.cell(0, 0)) == ("lists", True, "pos")
    assert source.modified is not None


@pytest.mark.parametrize("kind", ["xls", "ods", "xlsx"])
def test_dates_that_count_from_1904_survive_every_format(tmp_path: Path, soffice: Convert, kind: str) -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    assert book.active is not None
    book.active["A1"] = datetime.date(2020, 2, 29)
    book.save(tmp_path / "old.xlsx")
    assert rows_of(read_one(soffice(tmp_path / "old.xlsx", kind)).grids[0]) == [[datetime.date(2020, 2, 29)]]


def encrypted(path: Path, password: str) -> Path:
    """An encrypted copy of a workbook."""
    from msoffcrypto.format.ooxml import OOXMLFile

    out = io.BytesIO()
    OOXMLFile(io.BytesIO(path.read_bytes())).encrypt(password, out)
    copy = path.with_name("locked.xlsx")
    copy.write_bytes(out.getvalue())
    return copy


def test_an_encrypted_workbook_opens_with_its_password(tmp_path: Path) -> None:
    locked = encrypted(saved(tmp_path / "a.xlsx", [["id"], ["007"]]), "geheim")
    source = read_one(locked, password="geheim")
    assert (source.kind, rows_of(source.grids[0])) == ("xlsx", [["id"], ["007"]])


@pytest.mark.parametrize(("password", "reason"), [(None, "it is encrypted"), ("falsch", "the password that was given")])
def test_without_the_right_password_the_way_out_is_told(tmp_path: Path, password: str | None, reason: str) -> None:
    locked = encrypted(saved(tmp_path / "a.xlsx", [["id"]]), "geheim")
    with pytest.raises(SourceProtected, match=f"locked.xlsx: {reason}") as caught:
        read_one(locked, password=password)
    assert "CASEWEAVE_WORKBOOK_PASSWORD" in caught.value.way_out
    assert "falsch" not in str(caught.value)


def test_what_excel_encrypts_by_itself_opens_without_asking(tmp_path: Path) -> None:
    locked = encrypted(saved(tmp_path / "a.xlsx", [["id"]]), "VelvetSweatshop")
    assert rows_of(read_one(locked).grids[0]) == [["id"]]


def test_sheet_protection_is_no_obstacle(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "id"
    sheet.protection.sheet = True
    sheet.protection.password = "x"
    book.save(tmp_path / "a.xlsx")
    assert rows_of(read_one(tmp_path / "a.xlsx").grids[0]) == [["id"]]


def test_the_content_tells_the_kind_not_the_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.xlsx", [["id"]]).rename(tmp_path / "a.xls")
    source = read_one(path)
    assert (source.kind, rows_of(source.grids[0])) == ("xlsx", [["id"]])
