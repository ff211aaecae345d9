"""Marks in a workbook: only what is marked changes, and what was there before comes back."""

from __future__ import annotations

import io
import itertools
import zipfile
from array import array
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import etree
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill
from tests.services.office import Convert

from caseweave.errors import CaseweaveError
from caseweave.quality.annotate import Mark, Query, Unpatchable, annotate, fresh_workbook
from caseweave.quality.annotate.cells import Edit, add_legacy_drawing, edit_cells, restyle, tidy
from caseweave.quality.annotate.marks import cell_text
from caseweave.sources import read_sources
from caseweave.values.grid import Grid, GridColumn

ERROR, WARNING = "FFFFC2B3", "FFFFE2A8"
QUERY = Query("abc", "error", "It's me", "B2", "AA-1", "not-a-date", "=1+1", "a <date>", "No such day.", "New")
EXTRA = {
    "xl/media/image1.png": b"\x89PNG not really",
    "customXml/item1.xml": b"<?xml version='1.0'?><a  odd = 'spaces'/>",
    "xl/persons/person.xml": b"<persons/>",
}


@pytest.fixture
def form(tmp_path: Path) -> bytes:
    """A workbook with a comment, a fill, a formula, a validation, and parts that nobody knows."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = "It's me"
    page.append(["id", "date", "note"])
    page.append(["AA-1", "2020-02-31", "=1+1"])
    page["B2"].comment = Comment("Ask Ann", "Ben")
    page["A2"].fill = PatternFill("solid", fgColor="FF00FF00")
    page["B2"].number_format = "0.000"
    book.create_sheet("Other").append([1, 2])
    path = tmp_path / "form.xlsx"
    book.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in EXTRA.items():
            archive.writestr(name, content)
    return path.read_bytes()


def parts(workbook: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def opened(workbook: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(workbook))


def test_only_touched_parts_change(form: bytes) -> None:
    before, after = parts(form), parts(annotate(form, [Mark("It's me", "B2", "error", "No such day.")], [QUERY]))
    touched = {name for name in before if before[name] != after[name]}
    assert touched == {
        "[Content_Types].xml", "xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels",
        "xl/worksheets/sheet1.xml", "xl/comments/comment1.xml",
    }  # fmt: skip
    assert after.keys() - before.keys() == {"xl/worksheets/sheet3.xml"}
    old, new = before["xl/worksheets/sheet1.xml"], after["xl/worksheets/sheet1.xml"]
    start = old.index(b'<c r="B2"')
    assert new[:start] == old[:start] and new.endswith(old[old.index(b"</c>", start) :])


def test_fill_comment_and_format(form: bytes) -> None:
    marks = [Mark("It's me", "B2", "warning", "Odd."), Mark("It's me", "B2", "error", "No such day.")]
    page = opened(annotate(form, [*marks, Mark("It's me", "E9", "warning", "Blank.")], []))["It's me"]
    assert page["B2"].fill.fgColor.rgb == ERROR and page["B2"].number_format == "0.000"
    assert page["B2"].comment.text == "Ask Ann\n\nCaseweave: Odd.\nNo such day."
    assert page["E9"].fill.fgColor.rgb == WARNING and page["E9"].value is None
    assert page["A2"].fill.fgColor.rgb == "FF00FF00"


def test_a_second_time_the_first_marks_are_gone(form: bytes) -> None:
    first = annotate(form, [Mark("It's me", "A2", "error", "x"), Mark("It's me", "B2", "error", "x")], [QUERY])
    again = annotate(first, [Mark("It's me", "C2", "warning", "y")], [], old="Queries")
    book = opened(again)
    page = book["It's me"]
    assert page["A2"].fill.fgColor.rgb == "FF00FF00"
    assert page["A2"].comment is None
    assert page["B2"].fill.fill_type is None and page["B2"].number_format == "0.000"
    assert page["B2"].comment.text == "Ask Ann"
    assert page["C2"].comment.text == "Caseweave: y"
    assert book.sheetnames == ["It's me", "Other", "Queries"]
    assert book["Queries"].max_row == 1


def test_queries_are_text_with_links(form: bytes) -> None:
    page = opened(annotate(form, [], [QUERY]))["Queries"]
    assert [cell.value for cell in page[1]][-2:] == ["status", "Answer"]
    found = page["F2"]
    assert (found.value, found.data_type, found.quotePrefix) == ("=1+1", "s", True)
    assert page["C2"].hyperlink.location == "'It''s me'!B2"
    assert page["G2"].value == "a <date>"


def test_entries_leave_formulas_alone(form: bytes) -> None:
    entries = {("It's me", "B2"): "NA", ("It's me", "C2"): "NA", ("It's me", "D7"): "=x"}
    page = opened(annotate(form, [], [], entries))["It's me"]
    assert (page["B2"].value, page["C2"].value) == ("NA", "=1+1")
    assert page["D7"].data_type == "s" and page["D7"].value == "=x"


def test_a_sheet_of_theirs_called_queries_stays(form: bytes) -> None:
    book = opened(form)
    book["Other"].title = "Queries"
    out = io.BytesIO()
    book.save(out)
    made = opened(annotate(out.getvalue(), [], [QUERY]))
    assert made.sheetnames == ["It's me", "Queries", "Queries (Caseweave)"]
    assert made["Queries"]["A1"].value == 1


HEAD = b'<worksheet xmlns="x"><cols><col min="2" max="3" style="7"/></cols>'


def numbered(base: int, severity: str) -> int:
    return base + 100


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<sheetData/>", b'<sheetData><row r="2"><c r="B2" s="107"/></row></sheetData>'),
        (b"<sheetData><row><c/></row><row><c/><c><v>1</v></c></row></sheetData>",
         b'<sheetData><row><c/></row><row><c/><c s="100"><v>1</v></c></row></sheetData>'),
        (b'<sheetData><row r="1"/><row r="4"/></sheetData>',
         b'<sheetData><row r="1"/><row r="2"><c r="B2" s="107"/></row><row r="4"/></sheetData>'),
        (b'<sheetData><row r="2" spans="1:1" s="3" customFormat="1"><c r="A2"/><c r="C2"/></row></sheetData>',
         b'<sheetData><row r="2" s="3" customFormat="1"><c r="A2"/><c r="B2" s="103"/><c r="C2"/></row></sheetData>'),
        (b'<x:sheetData><x:row r="2"><x:c r="B2" s="4" t="s"><x:v>0</x:v></x:c></x:row></x:sheetData>',
         b'<x:sheetData><x:row r="2"><x:c r="B2" t="s" s="104"><x:v>0</x:v></x:c></x:row></x:sheetData>'),
    ],
)  # fmt: skip
def test_cells_in_every_spelling(before: bytes, after: bytes) -> None:
    made = edit_cells(HEAD + before + b"<a/></worksheet>", {(1, 1): Edit("error")}, numbered)
    assert made == HEAD + after + b"<a/></worksheet>"


def test_comments_cdata_and_other_encodings_are_tidied() -> None:
    cells = '<sheetData><row r="1"><c r="A1"><v><![CDATA[<c>]]></v></c></row></sheetData>'
    text = f"<worksheet><!-- <row> -->{cells}</worksheet>"
    for xml in (text.encode(), f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16")):
        made = edit_cells(tidy(xml), {(0, 0): Edit("error")}, numbered)
        assert b'<c r="A1" s="100"><v>&lt;c&gt;</v></c>' in made
    assert tidy(b"<worksheet/>") == b"<worksheet/>"


def test_the_shapes_stand_before_tables_and_extensions() -> None:
    nested = b"<w><sheetData/><conditionalFormatting><extLst/></conditionalFormatting><tableParts/><extLst/></w>"
    made = add_legacy_drawing(nested, "rId9")
    assert made.index(b"</conditionalFormatting>") < made.index(b"legacyDrawing") < made.index(b"<tableParts/>")
    assert add_legacy_drawing(b"<w><sheetData/></w>", "rId9").endswith(b'r:id="rId9"/></w>')


def test_restyle_touches_cells_only() -> None:
    xml = b'<row s="5"><c r="A1" s="5"/><c r="B1" s="55"/></row>'
    assert restyle(xml, {5: 2}) == b'<row s="5"><c r="A1" s="2"/><c r="B1" s="55"/></row>'


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"a,b\n1,2\n"])
def test_what_is_no_workbook_is_refused(content: bytes) -> None:
    with pytest.raises(Unpatchable):
        annotate(content, [], [])


def test_a_fresh_workbook_holds_texts_as_texts() -> None:
    column = GridColumn(array("I", [1, 2, 0, 3]), [None, "id", "=cmd|' /C calc'!A0", 1.5])
    content, tabs = fresh_workbook([Grid("a/b:c" * 10, False, 4, 1, (column,))])
    (title,) = tabs.values()
    page = opened(annotate(content, [Mark(title, "A2", "error", "bad")], []))[title]
    assert len(title) <= 31 and page["A2"].data_type == "s" and page["A2"].quotePrefix
    assert [cell.value for cell in page["A"]] == ["id", "=cmd|' /C calc'!A0", None, 1.5]
    assert page["A2"].fill.fgColor.rgb == ERROR


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_workbooks_of_every_program(shared: Path) -> None:
    """Each is patched, or refused; every part that was XML still is, and marks go when they are done with."""
    patched = 0
    for path in sorted((shared / "data" / "workbooks").glob("*.xls[xm]")):
        content = path.read_bytes()
        if len(content) > 60_000:
            continue
        try:
            tab = openpyxl.load_workbook(io.BytesIO(content), read_only=True).sheetnames[0]
        except Exception:  # openpyxl raises whatever it runs into
            continue
        try:
            made = annotate(content, [Mark(tab, "B2", "error", "x"), Mark(tab, "AZ50", "warning", "y")], [QUERY])
        except Unpatchable:
            continue
        again = annotate(made, [], [], old="Queries")
        before = parts(content)
        for name, part in parts(again).items():
            if name.endswith((".xml", ".rels")) and _is_xml(before.get(name, b"<a/>")):
                assert _is_xml(part), f"{path.name}: {name}"
        marked = [name for name in before if b"Caseweave: " in parts(made).get(name, b"")]
        assert not any(b"Caseweave: " in parts(again)[name] for name in marked), path.name
        patched += 1
    assert patched > 100


@pytest.mark.parametrize("kind", ["xlsb", "xls", "ods"])
def test_what_cannot_be_patched_comes_back_with_its_values(shared: Path, kind: str) -> None:
    compared = 0
    for path in sorted((shared / "data" / "workbooks").glob(f"*.{kind}")):
        if path.stat().st_size > 30_000 or compared > 400:
            continue
        try:
            (source,) = read_sources([path])
        except CaseweaveError:
            continue  # protected or broken: refused before anything is annotated
        made, tabs = fresh_workbook(source.grids)
        book = opened(made)
        for grid in source.grids:
            page = book[tabs[grid.name]]
            for row, column in itertools.product(range(min(grid.height, 40)), range(min(grid.width, 20))):
                raw, cell = grid.cell(row, column), page.cell(row + 1, column + 1)
                if raw is None:
                    assert cell.value is None, (path.name, cell.coordinate)
                    continue
                assert cell.data_type != "f", (path.name, cell.coordinate)
                if isinstance(raw, str):
                    assert (cell.value or "") == cell_text(raw), (path.name, cell.coordinate)
                elif isinstance(raw, int | float):
                    assert float(cell.value) == pytest.approx(float(raw)), (path.name, cell.coordinate)
                compared += 1
    assert compared > 100, kind


def _is_xml(part: bytes) -> bool:
    try:
        etree.fromstring(part)
    except etree.XMLSyntaxError:
        return False
    return True


def test_libreoffice_opens_it(form: bytes, tmp_path: Path, soffice: Convert) -> None:
    path = tmp_path / "form.annotated.xlsx"
    path.write_bytes(
        annotate(form, [Mark("It's me", "A2", "error", "No."), Mark("Other", "C3", "warning", "Hm.")], [QUERY])
    )
    book = openpyxl.load_workbook(soffice(path, "xlsx"))
    assert book.sheetnames == ["It's me", "Other", "Queries"]
    assert book["It's me"]["A2"].comment.text == "Caseweave: No."
    assert book["Other"]["C3"].fill.fgColor.rgb == WARNING
    assert book["Queries"]["F2"].value == "=1+1" and book["Queries"]["F2"].data_type == "s"
