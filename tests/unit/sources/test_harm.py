"""Files that would harm: each gives one typed error that names the file, the reason and the way out."""

from __future__ import annotations

import contextlib
import sys
import time
import zipfile
from pathlib import Path

import pytest
from tests.unit.sources.workbooks import MAIN, by_hand, read_one, rows_of, saved

from caseweave.errors import SourceDamaged, SourceError, SourceTooLarge, SourceUnsupported
from caseweave.sources import Limits, child, read_sources
from caseweave.sources.child import Reader

BOMB = f"""<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1"><v>1</v></c></row>
<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>"""


def test_a_stray_cell_in_the_last_corner_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceTooLarge, match=r"a\.xlsx: a sheet reaches to XFD1048576") as caught:
        read_one(by_hand(tmp_path / "a.xlsx", BOMB))
    assert "Delete the stray cells" in str(caught.value)


def test_a_cell_that_lies_about_its_row_is_found(tmp_path: Path) -> None:
    lying = BOMB.replace('<row r="1048576">', '<row r="2">')
    with pytest.raises(SourceTooLarge, match="XFD1048576"):
        read_one(by_hand(tmp_path / "a.xlsx", lying))


def test_formats_without_values_reach_as_far_as_they_like(tmp_path: Path) -> None:
    painted = BOMB.replace('<c r="XFD1048576"><v>1</v></c>', '<c r="XFD1048576" s="0"/>')
    assert rows_of(read_one(by_hand(tmp_path / "a.xlsx", painted)).grids[0]) == [[1]]


def test_when_the_parser_is_killed_by_its_own_memory_the_caller_lives(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="memory is limited only where the platform has `resource`")
    bomb = by_hand(tmp_path / "bomb.xlsx", BOMB)
    good = saved(tmp_path / "good.xlsx", [["id"], ["007"]])
    with Reader(Limits(cells=10**12)) as reader:  # the scan lets it pass, so that the parser meets it
        with pytest.raises(SourceTooLarge, match=r"bomb\.xlsx: reading it takes more than 1,024 MB of memory"):
            reader.read(bomb, "xlsx")
        assert rows_of(reader.read(good, "xlsx").grids[0]) == [["id"], ["007"]]


def test_a_parser_that_hangs_is_stopped(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.xlsx", [[row, row + 1] for row in range(20_000)])
    begun = time.monotonic()
    with pytest.raises(SourceTooLarge, match="more than 0 s"):
        read_one(path, limits=Limits(seconds=0.05, seconds_per_megabyte=0))
    assert time.monotonic() - begun < 15


def test_a_child_that_dies_is_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.xlsx", [["id"]])
    abort = child._BOOT.replace("c.serve()", "import os; c.read_file = 0; os.write(1, c._HELLO); os.abort()")
    monkeypatch.setattr(child, "_BOOT", abort)
    with pytest.raises(SourceDamaged, match=r"a\.xlsx: .*the reader gave up"):
        read_one(path)


def test_a_child_that_cannot_start_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.xlsx", [["id"]])
    monkeypatch.setattr(child, "_BOOT", "import no_such_module")
    with pytest.raises(SourceError, match="didn't start"):
        read_one(path)


def test_without_the_resource_module_files_are_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.xlsx", [["id"]])
    monkeypatch.setattr(child, "_BOOT", "import sys; sys.modules['resource'] = None; " + child._BOOT)
    assert rows_of(read_one(path).grids[0]) == [["id"]]
    monkeypatch.setitem(sys.modules, "resource", None)
    assert child.peak_memory() == 0


@pytest.mark.parametrize("part", ["sheet", "workbook"])
def test_entities_are_refused(tmp_path: Path, part: str) -> None:
    entity = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData/></worksheet>'
    path = tmp_path / "a.xlsx"
    if part == "sheet":
        by_hand(path, entity + sheet)
    else:
        by_hand(path, sheet, xl__workbook=f'{entity}<workbook xmlns="{MAIN}"><sheets/></workbook>')
    with pytest.raises(SourceDamaged, match="declares a document type"):
        read_one(path)


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    by_hand(path, b" " * (300 << 20))
    assert path.stat().st_size < 1 << 20
    begun = time.monotonic()
    with pytest.raises(SourceTooLarge, match="zip bomb"):
        read_one(path)
    assert time.monotonic() - begun < 15
    with pytest.raises(SourceTooLarge, match="unpacks to"):
        read_one(path, limits=Limits(unpacked=1 << 20))


def test_a_zip_of_a_thousand_parts_is_refused(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.xlsx", f'<worksheet xmlns="{MAIN}"/>')
    with pytest.raises(SourceTooLarge, match="parts, more than 4"):
        read_one(path, limits=Limits(entries=4))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path, share: float) -> None:
    whole = saved(tmp_path / "a.xlsx", [[row, "text"] for row in range(500)]).read_bytes()
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SourceDamaged, match=r"cut\.xlsx"):
        read_one(cut)


def test_flipped_bytes_never_give_an_untyped_error(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.xlsx", [[row, "text"] for row in range(50)]).read_bytes()
    flipped = tmp_path / "flipped.xlsx"
    with Reader() as reader:
        for at in range(7, len(whole), len(whole) // 60):
            flipped.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            with contextlib.suppress(SourceError):
                reader.read(flipped, "xlsx")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"%PDF-1.7 ...", "it is a PDF"),
        ("a.xlsx", b"%PDF-1.7 ...", "it is a PDF"),
        ("a.xls", b"<html><table></table></html>", "a web page"),
        ("a.xls", b"<?xml version='1.0'?><Workbook/>", "an XML file"),
        ("a.xlsx", b"id,size\n1,2\n", "not a workbook"),
        ("a.csv", b"\x1f\x8b\x08\x00", "gzip"),
    ],
)
def test_other_kinds_are_refused_by_their_content(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceUnsupported, match=reason) as caught:
        read_one(tmp_path / name)
    assert ".xlsx" in caught.value.way_out


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(SourceDamaged, match="empty"):
        read_one(tmp_path / "a.xlsx")


def test_a_zip_without_a_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(SourceUnsupported, match="without a workbook"):
        read_one(tmp_path / "a.xlsx")


def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.xlsx", [["id"]])
    (tmp_path / "b.xlsx").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(SourceDamaged, match=r"b\.xlsx"):
        read_sources(tmp_path)
