"""The index: made once, whole or not at all; every broken download is a typed error with a way out."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from tests.unit.terms.athena_sample import texts, write_folder, write_zip

from caseweave.errors import CaseweaveError, SourceDamaged, SourceUnsupported, UsageError
from caseweave.terms import open_terms
from caseweave.terms.store import build_index, cache_folder, open_index


def test_made_once(download: Path, tmp_path: Path) -> None:
    first = build_index(download, tmp_path)
    made = first.stat().st_mtime_ns
    assert build_index(download, tmp_path) == first and first.stat().st_mtime_ns == made
    assert list(tmp_path.iterdir()) == [first]


def test_another_download_has_another_index(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "athena")
    first = build_index(folder, tmp_path / "cache")
    write_folder(folder, VOCABULARY=texts()["VOCABULARY.csv"].replace("27-FEB-26", "31-AUG-26"))
    second = build_index(folder, tmp_path / "cache")
    assert first != second and open_index(second).release == "v5.0 31-AUG-26"


@pytest.mark.parametrize("inside", ["", "vocabulary_download_v5/"])
def test_a_zip(tmp_path: Path, inside: str) -> None:
    terms = open_terms(write_zip(tmp_path / "athena.zip", inside), tmp_path / "cache")
    assert terms.resolve("ICD10CM", "Z88.0").value[0].concept_id == 5


def test_lower_case_names_and_windows_lines(tmp_path: Path) -> None:
    for name, text in texts().items():
        (tmp_path / name.lower()).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert open_terms(tmp_path, tmp_path / "cache").resolve("ICD10CM", "C50").status == "mapped"


def without(name: str) -> dict[str, str]:
    return {name: ""}


def replaced(name: str, old: str, new: str) -> dict[str, str]:
    text = texts()[f"{name}.csv"]
    assert old in text
    return {name: text.replace(old, new, 1)}


BROKEN = [
    (without("CONCEPT"), SourceUnsupported, "holds no CONCEPT.csv"),
    (without("CONCEPT_RELATIONSHIP"), SourceUnsupported, "holds no CONCEPT_RELATIONSHIP.csv"),
    (without("VOCABULARY"), SourceUnsupported, "holds no VOCABULARY.csv"),
    (replaced("CONCEPT", "standard_concept", "standard"), SourceUnsupported, "no column standard_concept"),
    ({"CONCEPT": texts()["CONCEPT.csv"].replace("\t", ",")}, SourceUnsupported, "isn't tab-separated"),
    (replaced("CONCEPT", "Breast cancer\t", "Breast\tcancer\t"), SourceDamaged, "line 2 has 11 columns, not 10"),
    (replaced("CONCEPT", "2\tCarcinoma", "1\tCarcinoma"), SourceDamaged, "stands there twice"),
    (replaced("CONCEPT", "3\tAllergy", "three\tAllergy"), SourceDamaged, "'three' isn't a number"),
    (replaced("CONCEPT_RELATIONSHIP", "1\t1\tMaps to", "1\tx\tMaps to value"), SourceDamaged, "'x' isn't a number"),
    ({"CONCEPT": "\n"}, SourceUnsupported, "isn't tab-separated"),
]


@pytest.mark.parametrize(("changed", "error", "reason"), BROKEN, ids=[one[2] for one in BROKEN])
def test_broken(tmp_path: Path, changed: dict[str, str], error: type[CaseweaveError], reason: str) -> None:
    folder = write_folder(tmp_path / "athena", **changed)
    with pytest.raises(error, match=reason) as raised:
        build_index(folder, tmp_path / "cache")
    assert "Athena" in raised.value.way_out and raised.value.exit_code == 2
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_not_utf8(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "athena")
    path = folder / "CONCEPT.csv"
    path.write_bytes(path.read_bytes().replace(b"Old name", b"Alt \xe4"))
    with pytest.raises(SourceDamaged, match="isn't UTF-8"):
        build_index(folder, tmp_path / "cache")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceUnsupported, match="no such folder or file"):
        build_index(tmp_path / "nothing", tmp_path)


def test_not_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "athena.zip"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(SourceDamaged, match="not a zip that can be opened"):
        build_index(path, tmp_path)


def test_a_zip_with_a_damaged_file(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "athena.zip")
    with zipfile.ZipFile(path) as packed:
        info = packed.getinfo("CONCEPT.csv")
    raw = bytearray(path.read_bytes())
    at = info.header_offset + 30 + len("CONCEPT.csv") + info.compress_size // 2
    raw[at : at + 8] = b"\0" * 8
    path.write_bytes(raw)
    with pytest.raises(SourceDamaged, match=r"CONCEPT\.csv: it can't be read"):
        build_index(path, tmp_path / "cache")


def test_a_zip_that_needs_a_password(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "athena.zip")
    raw = bytearray(path.read_bytes())
    # the flag "encrypted" in each local header and in the directory (APPNOTE 4.4.4)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(signature)
        while at >= 0:
            raw[at + offset] |= 1
            at = raw.find(signature, at + 4)
    path.write_bytes(raw)
    with pytest.raises(SourceDamaged, match="password"):
        build_index(path, tmp_path / "cache")


def test_a_cache_that_cant_be_written(download: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder", "utf-8")
    with pytest.raises(UsageError, match="CASEWEAVE_CACHE"):
        build_index(download, tmp_path / "cache")


def test_not_an_index(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.sqlite"
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match="no index of vocabularies"):
        open_index(path)
    path.unlink()
    with pytest.raises(UsageError, match="no index of vocabularies"):
        open_index(path)


def test_where_indexes_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASEWEAVE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CASEWEAVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "caseweave"
    monkeypatch.delenv("XDG_CACHE_HOME")
    if os.name != "nt":
        assert cache_folder() == Path.home() / ".cache" / "caseweave"


def test_open_terms_uses_it(download: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASEWEAVE_CACHE", str(tmp_path))
    open_terms(download)
    assert [path.suffix for path in tmp_path.iterdir()] == [".sqlite"]
