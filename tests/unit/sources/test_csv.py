"""Text tables: encoding, delimiter and quotes are found out, cells stay text."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.sources.workbooks import read_one, rows_of

from caseweave.errors import SourceDamaged, SourceTooLarge
from caseweave.sources import Limits
from caseweave.sources.csvfile import find_delimiter

ROWS = [["id", "name", "size"], ["007", "Núñez", "1,5"], ["NA", "two\nlines", None]]
TEXT = 'id;name;size\n007;Núñez;1,5\nNA;"two\nlines";\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_every_usual_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode(encoding))
    source = read_one(tmp_path / "a.csv")
    assert rows_of(source.grids[0]) == ROWS
    assert source.notes == (("not valid UTF-8, read as cp1252",) if encoding == "cp1252" else ())
    assert (source.grids[0].name, source.kind) == ("a", "csv")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_read(tmp_path: Path, newline: str) -> None:
    (tmp_path / "a.csv").write_bytes(newline.join(["a,b", "1,2", "3,4"]).encode())
    assert rows_of(read_one(tmp_path / "a.csv").grids[0]) == [["a", "b"], ["1", "2"], ["3", "4"]]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b,c\n1,2,3", ","),
        ("a;b;c\n1,5;2,5;3,5", ";"),
        ("a\tb\n1,2\t3;4", "\t"),
        ("a|b\n1|2", "|"),
        ("one column\nx\ny", ","),
        ('id,note\n1,"a; b; c"\n2,"d; e; f"', ","),
        ("sep=;\na;b\n1;2", ";"),
        ("Registry export\nid;date;size\n1;2020-01-01;3,5\n2;2020-01-02;4", ";"),
    ],
)
def test_the_delimiter_is_found(text: str, delimiter: str) -> None:
    assert find_delimiter(text) == delimiter


def test_a_hint_of_excel_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\nid;size\n007;1\n")
    assert rows_of(read_one(tmp_path / "a.csv").grids[0]) == [[None, None], ["id", "size"], ["007", "1"]]


def test_ragged_and_empty_rows_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n\n1\n2\t3\t4\n")
    source = read_one(tmp_path / "a.tsv")
    assert rows_of(source.grids[0]) == [["a", "b", None], [None] * 3, ["1", None, None], ["2", "3", "4"]]
    assert source.kind == "tsv"


def test_a_quote_that_never_closes_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,2\n3,"4\n5,6\n')
    with pytest.raises(SourceDamaged, match="a quote that opens after row 2 never closes"):
        read_one(tmp_path / "a.csv")


def test_text_behind_a_closing_quote_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n"1"x,2\n')
    with pytest.raises(SourceDamaged, match="row 2 can't be cut"):
        read_one(tmp_path / "a.csv")


def test_a_quote_inside_a_cell_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n5" tall,"say ""x"""\n')
    assert rows_of(read_one(tmp_path / "a.csv").grids[0])[1] == ['5" tall', 'say "x"']


@pytest.mark.parametrize(
    "content", [b"\x81\x8d\x8f,b\n1,2\n", b"a,b\n\x00\x01\x02\x03\xff\xfe\x00\x00", b"\xff\xfea\x00\xd8"]
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceDamaged):
        read_one(tmp_path / "a.csv")


def test_limits_hold_for_text_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" * 100)
    with pytest.raises(SourceTooLarge, match="more than 50 cells"):
        read_one(tmp_path / "a.csv", limits=Limits(cells=50))
