"""Which files a call means, and what each is: told by its content, since names lie."""

from __future__ import annotations

import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from caseweave.errors import SourceDamaged, SourceError, SourceUnsupported, UsageError

# everything that reading a broken zip has been seen to raise
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
EXTENSIONS = frozenset({".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb", ".ods", ".csv", ".tsv"})
# documents: read where the study says where their rows stand
DOCUMENTS = {"json": "a JSON document", "ndjson": "a file of JSON documents", "bson": "a file of BSON documents"}
_DOCUMENT_ENDINGS = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".bson": "bson"}
READABLE = ".xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# the main part's content type tells the five kinds of Office workbook apart (ECMA-376 part 1, 12.3.23)
_CONTENT_TYPES = {
    b"spreadsheetml.sheet.main+xml": "xlsx",
    b"ms-excel.sheet.macroEnabled.main+xml": "xlsm",
    b"spreadsheetml.template.main+xml": "xltx",
    b"ms-excel.template.macroEnabled.main+xml": "xltm",
    b"ms-excel.sheet.binary.macroEnabled.main": "xlsb",
    b"ms-excel.addin.macroEnabled.main+xml": "xlam",
}
# where the content types tell nothing, the main part does
_MAIN_PARTS = {"xl/workbook.bin": "xlsb", "xl/workbook.xml": "xlsx", "content.xml": "ods"}
_NOT_TABLES = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"{\\rtf": "an RTF text",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite": "a SQLite database",
}


def find_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, documents: bool = False
) -> list[Path]:
    """List the files that are meant: files as given, folders by what they hold, each file once.

    >>> find_files([])
    []

    Arguments: files and folders; of a folder the readable files, without lock files (~$) and hidden ones; with
    `documents` also JSON and BSON.
    Raises UsageError for a path that isn't there, SourceUnsupported for a folder with nothing to read.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: dict[Path, Path] = {}
    for path in map(Path, given):
        for file in _files_of(path, EXTENSIONS | (_DOCUMENT_ENDINGS.keys() if documents else set())):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _files_of(path: Path, endings: frozenset[str]) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise UsageError(f"{path} isn't there.", way_out="Check the spelling, or give the folder.", path=str(path))
        if not path.is_file():
            raise _unsupported(path.name, "it is no ordinary file")
        return [path]
    files = sorted(file for file in path.iterdir() if _wanted(file, endings))
    if not files:
        raise SourceUnsupported(str(path), "the folder holds no readable file", way_out=f"Readable are {READABLE}.")
    return files


def _wanted(file: Path, endings: frozenset[str]) -> bool:
    hidden = file.name.startswith((".", "~$"))
    return not hidden and file.suffix.lower() in endings and file.is_file()


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _unopened(path, error) from error


def _unopened(path: Path, error: OSError) -> SourceError:
    reason = f"it can't be opened ({error.strerror})"
    return SourceError(path.name, reason, way_out="Close it elsewhere, and check that you may read it.")


def kind_of(path: Path) -> str:
    """Name the kind of a file by its content: xlsx, xlsm, xltx, xltm, xlsb, ods, ole, csv, tsv, json, ndjson or bson.

    `ole` is the container that both old and encrypted workbooks use; the reader of each tells them apart.
    Raises SourceUnsupported for everything else, SourceDamaged for an empty or broken file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise _unopened(path, error) from error
    if not head:
        raise SourceDamaged(path.name, "the file is empty", way_out="Export or copy it again.")
    if path.suffix.lower() == ".bson":  # its first bytes are a length, and can look like anything
        return "bson"
    if head.startswith(_ZIP):
        return kind_of_zip(path, path.name)
    if head.startswith(_OLE) or _is_bare_biff(head):
        return "ole"
    for magic, what in _NOT_TABLES.items():
        if head.startswith(magic):
            raise _unsupported(path.name, f"it is {what}")
    return _kind_of_text(path, head)


def _is_bare_biff(head: bytes) -> bool:
    # Excel 2 to 4 wrote the record stream without a container: BOF is 0x0009, 0x0209 or 0x0409
    return head[:1] == b"\x09" and head[1:2] in b"\x00\x02\x04" and head[2:4] in (b"\x04\x00", b"\x06\x00")


def kind_of_zip(source: Path | IO[bytes], name: str) -> str:
    """Name the kind of a zipped workbook, from a file or from decrypted bytes; raises as `kind_of` does."""
    try:
        with zipfile.ZipFile(source) as archive:
            kind = _kind_of_parts(archive, name)
    except BROKEN_ZIP as error:
        raise SourceDamaged(
            name, "it begins like a workbook but its zip directory can't be read", way_out="Save it again."
        ) from error
    if kind == "xlam":
        raise _unsupported(name, "it is an Excel add-in, which holds program code and no data")
    return kind


def _kind_of_parts(archive: zipfile.ZipFile, name: str) -> str:
    parts = {info.filename.replace("\\", "/").lstrip("/").lower(): info for info in archive.infolist()}

    def beginning(part: str, size: int) -> bytes:
        if part not in parts:
            return b""
        with archive.open(parts[part]) as stream:
            return stream.read(size)

    types = beginning("[content_types].xml", 4 << 20)
    for marker, kind in _CONTENT_TYPES.items():
        if marker in types:
            return kind
    if b"wordprocessingml" in types or b"presentationml" in types:
        raise _unsupported(name, "it is a Word or PowerPoint file")
    if b"opendocument.spreadsheet" in beginning("mimetype", 4096):
        return "ods"
    for part, kind in _MAIN_PARTS.items():
        if part in parts:
            return kind
    raise _unsupported(name, "it is a zip archive without a workbook in it")


def _kind_of_text(path: Path, head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if start.startswith((b"<html", b"<!doctype html", b"<table")):
        raise _unsupported(path.name, "it is a web page under the name of a table")
    if start.startswith((b"<?xml", b"<workbook")):
        raise _unsupported(path.name, "it is an XML file")
    suffix = path.suffix.lower()
    if suffix in _DOCUMENT_ENDINGS:
        return _DOCUMENT_ENDINGS[suffix]
    if suffix in (".csv", ".tsv", ".txt", ".tab"):
        return "tsv" if suffix in (".tsv", ".tab") else "csv"
    raise _unsupported(path.name, "it holds text or unknown bytes, not a workbook")


def _unsupported(name: str, reason: str) -> SourceUnsupported:
    return SourceUnsupported(name, reason, way_out=f"Save it as one of {READABLE}.")
