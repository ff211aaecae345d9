"""Which files are meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.sources.workbooks import saved

from caseweave.errors import SourceUnsupported, UsageError
from caseweave.sources import read_sources


def test_a_folder_gives_its_tables_without_locks_and_hidden_files(tmp_path: Path) -> None:
    saved(tmp_path / "b.xlsx", [["b"]])
    (tmp_path / "a.csv").write_text("a\n")
    for name in ("~$b.xlsx", ".hidden.csv", "notes.txt", "scan.pdf"):
        (tmp_path / name).write_text("x")
    sources = read_sources(tmp_path)
    assert [(source.alias, Path(source.path).name) for source in sources] == [
        ("source-1", "a.csv"),
        ("source-2", "b.xlsx"),
    ]


def test_files_come_in_the_order_given_and_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(name)
    sources = read_sources([tmp_path / "b.csv", tmp_path, str(tmp_path / "b.csv")])
    assert [source.grids[0].name for source in sources] == ["b", "a"]


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="isn't there"):
        read_sources(tmp_path / "no.xlsx")


def test_a_folder_without_tables_says_what_is_readable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnsupported, match=r"no readable file\. Readable are \.xlsx"):
        read_sources(tmp_path)


def test_a_name_that_is_no_text_does_not_matter(tmp_path: Path) -> None:
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
        path.write_text("id\n007\n")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only names that are text")
    (source,) = read_sources(path)
    assert source.grids[0].cell(1, 0) == "007"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no pipes among its files")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xlsx")
    with pytest.raises(SourceUnsupported, match="no ordinary file"):
        read_sources(tmp_path / "a.xlsx")
