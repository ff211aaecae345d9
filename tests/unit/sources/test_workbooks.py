"""What stands in a workbook arrives as it was typed, at its address."""

from __future__ import annotations

import datetime
from pathlib import Path

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from tests.unit.sources.workbooks import MAIN, by_hand, read_one, rows_of, saved

from caseweave.values.types import CellError

NO_VALUE = CellError("formula without a cached value")


def test_each_kind_of_cell_keeps_its_type(tmp_path: Path) -> None:
    cells = [1, 1.5, True, "1", "00123", "12345678901234567", "NA", "2020-01-01", "03/04/2020", "SEPT2",
             datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5), datetime.time(3, 4),
             datetime.timedelta(hours=30), "\u00a0x ", "two\nlines", 566530, 0.3]  # fmt: skip
    (grid,) = read_one(saved(tmp_path / "a.xlsx", [[cell] for cell in cells])).grids
    found = [row[0] for row in rows_of(grid)]
    assert found == cells
    assert [type(cell) for cell in found] == [type(cell) for cell in cells]


def test_one_and_true_and_their_texts_are_four_values(tmp_path: Path) -> None:
    (grid,) = read_one(saved(tmp_path / "a.xlsx", [["v"], [1], [True], ["1"], ["TRUE"], [False], [0], [1.0]])).grids
    assert grid.columns[0].distinct == [None, "v", 1, True, "1", "TRUE", False, 0]
    assert [type(value) for value in grid.columns[0].distinct[2:4]] == [int, bool]
    assert list(grid.columns[0].codes) == [1, 2, 3, 4, 5, 6, 7, 2]


def test_addresses_count_from_a1_whatever_is_blank(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active["C3"] = "x"  # type: ignore[index]
    workbook.save(tmp_path / "a.xlsx")
    (grid,) = read_one(tmp_path / "a.xlsx").grids
    assert (grid.height, grid.width, grid.cell(2, 2), grid.cell(0, 0)) == (3, 3, "x", None)


def test_preamble_empty_rows_and_duplicate_headers_are_kept(tmp_path: Path) -> None:
    rows = [["Registry of the hospital"], [], ["id", "size", "size"], ["007", 1, 2], [], ["Total", 1, 2]]
    (grid,) = read_one(saved(tmp_path / "a.xlsx", rows)).grids
    assert rows_of(grid)[2] == ["id", "size", "size"]
    assert rows_of(grid)[1] == [None, None, None]
    assert grid.height == 6


def test_merged_headers_come_with_their_ranges(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["Patient", None, "Tumour", None])
    sheet.append(["id", "age", "size", "grade"])
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("C1:D1")
    workbook.save(tmp_path / "a.xlsx")
    (grid,) = read_one(tmp_path / "a.xlsx").grids
    assert sorted(grid.merged) == [(0, 0, 0, 1), (0, 2, 0, 3)]
    assert rows_of(grid)[0] == ["Patient", None, "Tumour", None]


def test_hidden_sheets_are_read_and_named_so(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.create_sheet("lists").sheet_state = "hidden"
    workbook.create_sheet("deep").sheet_state = "veryHidden"
    workbook.create_chartsheet("chart")
    workbook.save(tmp_path / "a.xlsx")
    source = read_one(tmp_path / "a.xlsx")
    assert [(grid.name, grid.hidden) for grid in source.grids] == [("Sheet", False), ("lists", True), ("deep", True)]


def test_dates_of_both_systems_are_the_same_days(tmp_path: Path) -> None:
    for name, epoch in (("new.xlsx", None), ("old.xlsx", CALENDAR_MAC_1904)):
        workbook = openpyxl.Workbook()
        if epoch:
            workbook.epoch = epoch
        workbook.active["A1"] = datetime.date(2020, 2, 29)  # type: ignore[index]
        workbook.active["A2"] = datetime.datetime(1960, 1, 2, 3, 4)  # type: ignore[index]
        workbook.save(tmp_path / name)
    new, old = read_one(tmp_path / "new.xlsx"), read_one(tmp_path / "old.xlsx")
    assert rows_of(new.grids[0]) == rows_of(old.grids[0])
    assert rows_of(new.grids[0]) == [[datetime.date(2020, 2, 29)], [datetime.datetime(1960, 1, 2, 3, 4)]]
    assert (new.notes, old.notes) == ((), ("its dates count from 1904",))


def test_a_negative_number_dressed_as_a_date_stays_a_number(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    for row, number in enumerate((-5, -0.25), start=1):
        workbook.active.cell(row, 1, number).number_format = "yyyy-mm-dd"  # type: ignore[union-attr]
    workbook.save(tmp_path / "a.xlsx")
    assert rows_of(read_one(tmp_path / "a.xlsx").grids[0]) == [[-5], [-0.25]]


@pytest.mark.parametrize("text", ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"])
def test_excel_errors_stay_errors_at_their_address(tmp_path: Path, text: str) -> None:
    (grid,) = read_one(saved(tmp_path / "a.xlsx", [["id", "v"], ["007", text]])).grids
    assert grid.cell(1, 1) == CellError(text)


def test_a_formula_without_a_value_is_an_error_even_outside_of_the_data(tmp_path: Path) -> None:
    (grid,) = read_one(saved(tmp_path / "a.xlsx", [["id"], ["007", None, None, "=A1&A2"]])).grids
    assert (grid.width, grid.cell(1, 3)) == (4, NO_VALUE)


ODD_CELLS = """
<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="e"><f>1/0</f><v>#DIV/0!</v></c>
<c r="C1"><f t="shared" si="0"/><v>7</v></c><c r="D1"><f>1+1</f></c><c r="E1" t="str"><f>""</f><v></v></c>
<c r="F1"><f>1+1</f><v/></c><c r="G1" t="b"><v>1</v></c><c r="H1" t="inlineStr"><is><t>in</t></is></c></row>
"""
READ_CELLS = [[2, CellError("#DIV/0!"), 7, NO_VALUE, None, NO_VALUE, True, "in"]]


def _prefixed(xml: str) -> str:
    for tag in ("worksheet", "sheetData", "row", "c", "f", "v", "is", "t"):
        xml = (
            xml.replace(f"<{tag} ", f"<x:{tag} ").replace(f"<{tag}>", f"<x:{tag}>").replace(f"<{tag}/>", f"<x:{tag}/>")
        )
        xml = xml.replace(f"</{tag}>", f"</x:{tag}>")
    return xml.replace("xmlns=", "xmlns:x=")


USUAL = f'<worksheet xmlns="{MAIN}"><sheetData>{ODD_CELLS}</sheetData></worksheet>'


@pytest.mark.parametrize(
    "sheet",
    [
        pytest.param(USUAL, id="usual"),
        pytest.param(USUAL.replace('"', "'").replace("<f>''</f>", '<f>""</f>'), id="single quotes"),
        pytest.param(_prefixed(USUAL), id="namespace prefix"),
        pytest.param(f"<?xml version='1.0' encoding='UTF-8'?>\n<!-- made -->\n{USUAL}", id="with declaration"),
    ],
)
def test_every_dialect_of_xml_is_scanned_alike(tmp_path: Path, sheet: str) -> None:
    assert rows_of(read_one(by_hand(tmp_path / "a.xlsx", sheet)).grids[0]) == READ_CELLS


def test_cells_far_apart_in_one_stream_are_all_scanned(tmp_path: Path) -> None:
    # larger than the pieces in which the scan reads
    rows = "".join(
        f'<row r="{row}"><c r="A{row}"><v>{row}</v></c><c r="B{row}" t="e"><v>#N/A</v></c></row>'
        for row in range(1, 40_001)
    )
    (grid,) = read_one(
        by_hand(tmp_path / "a.xlsx", f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>')
    ).grids
    assert grid.height == 40_000
    assert grid.columns[1].distinct == [None, CellError("#N/A")]
    assert set(grid.columns[1].codes) == {1}


def test_the_moment_of_saving_is_told(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.save(tmp_path / "a.xlsx")
    source = read_one(tmp_path / "a.xlsx")
    assert source.modified is not None
    assert abs(source.modified - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert len(source.sha256) == 64


def test_a_percent_is_read_as_it_is_shown(tmp_path: Path) -> None:
    # typing 45% into a cell makes Excel store 0.45: as a bare number it would be a hundred times too small
    workbook = openpyxl.Workbook()
    cells = [(0.45, "0%"), (0.29, "0.00%"), (1, "0%"), (-0.005, "0.0%"), (0.45, "0.00"), (45, '0" %"'), ("NA", "0%")]
    for row, (value, format_) in enumerate(cells, start=1):
        workbook.active.cell(row, 1, value).number_format = format_  # type: ignore[union-attr]
    workbook.save(tmp_path / "a.xlsx")
    found = [row[0] for row in rows_of(read_one(tmp_path / "a.xlsx").grids[0])]
    assert found == ["45%", "29%", "100%", "-0.5%", 0.45, 45, "NA"]


def test_a_workbook_without_a_worksheet_has_no_grids(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.create_chartsheet("chart")
    workbook.remove(workbook["Sheet"])
    workbook.save(tmp_path / "a.xlsx")
    assert read_one(tmp_path / "a.xlsx").grids == ()
