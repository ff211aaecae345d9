"""Look through a zipped workbook before it is parsed: is it safe, and what does the bulk reader not tell?"""

from __future__ import annotations

import datetime
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from caseweave.errors import SourceDamaged, SourceTooLarge
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.sources.sheetscan import SheetScan, scan_sheet

_SMALL_PART = 32 * MEGABYTE
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ElementTree.ParseError,
    DefusedXmlException,
    UnicodeError,
    LookupError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class WorkbookScan:
    """What the scan of a workbook found: one SheetScan per sheet name, the date system, when it was saved."""

    sheets: dict[str, SheetScan]
    date1904: bool
    modified: datetime.datetime | None


def check_zip(archive: zipfile.ZipFile, name: str, limits: Limits) -> None:
    """Refuse a zip that would burst: too many entries, too large, or packed beyond belief."""
    entries = archive.infolist()
    if len(entries) > limits.entries:
        raise _too_large(name, f"its zip holds {len(entries):,} parts, more than {limits.entries:,}")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked:
        raise _too_large(name, f"it unpacks to {unpacked >> 20:,} MB, more than {limits.unpacked >> 20:,} MB")
    for entry in entries:
        if entry.file_size > 50 * MEGABYTE and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise _too_large(name, f"a part of it is packed more than {limits.ratio}:1, as in a zip bomb")


def scan_workbook(source: Path | IO[bytes], name: str, limits: Limits) -> WorkbookScan:
    """Scan an Office Open XML workbook (xlsx, xlsm, xltx, xltm).

    Arguments: the file or its decrypted bytes, its name for messages, the limits.
    Raises SourceTooLarge or SourceDamaged.
    Standard: ECMA-376 part 1, 18.2 (workbook) and 18.3 (worksheets).
    """
    with open_zip(source, name, limits) as archive:
        parts = Parts(archive)
        main = _main_part(parts)
        workbook = parts.xml(main)
        targets = _relations(parts, main)
        sheets: dict[str, SheetScan] = {}
        for sheet in _all(workbook, "sheet"):
            relation = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
            part = targets.get(relation, "")
            if _local_root(parts, part) == "worksheet":
                found = scan_sheet(lambda part=part: parts.open(part), name, limits)  # type: ignore[misc]
                sheets[sheet.get("name", "")] = found
        properties = next(iter(_all(workbook, "workbookPr")), None)
        date1904 = properties is not None and properties.get("date1904", "0") in ("1", "true", "on")
        return WorkbookScan(sheets, date1904, modified_in(parts, "docprops/core.xml", "modified"))


@contextmanager
def open_zip(source: Path | IO[bytes], name: str, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open and check a zip; every way in which it can be broken becomes SourceDamaged."""
    try:
        with zipfile.ZipFile(source) as archive:
            check_zip(archive, name, limits)
            yield archive
    except _BROKEN as error:
        raise SourceDamaged(
            name,
            f"a part of the workbook can't be read ({type(error).__name__})",
            way_out="Open and save it in Excel.",
        ) from error


class Parts:
    """The parts of a package by name; writers disagree about case and slashes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {_normal(entry.filename): entry for entry in archive.infolist()}

    def __contains__(self, part: str) -> bool:
        return _normal(part) in self._entries

    def open(self, part: str) -> IO[bytes]:
        """Open a part for reading; KeyError (a LookupError) when it isn't there."""
        return self._archive.open(self._entries[_normal(part)])

    def xml(self, part: str) -> Element:
        """A small part as a tree, without document types or entities."""
        entry = self._entries[_normal(part)]
        if entry.file_size > _SMALL_PART:
            raise ValueError(f"{part} is too large for what it is")
        with self._archive.open(entry) as stream:
            tree: Element = ElementTree.fromstring(stream.read(), forbid_dtd=True)
        return tree


def modified_in(parts: Parts, part: str, element: str) -> datetime.datetime | None:
    """The moment of the last saving that a document's own properties tell, in UTC where they say so."""
    if part not in parts:
        return None
    try:
        found = next(iter(_all(parts.xml(part), element)), None)
        return datetime.datetime.fromisoformat((found.text or "").strip()) if found is not None else None
    except (ValueError, SyntaxError, DefusedXmlException):
        return None  # the properties are decoration, a workbook lives without them


def _normal(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def _all(tree: Element, name: str) -> list[Element]:
    # by local name: Strict and Transitional differ in their namespaces only
    return [item for item in tree.iter() if item.tag.rpartition("}")[2] == name]


def _main_part(parts: Parts) -> str:
    if "_rels/.rels" in parts:
        for relation in _all(parts.xml("_rels/.rels"), "Relationship"):
            if relation.get("Type", "").endswith("/officeDocument") and relation.get("Target", "") in parts:
                return relation.get("Target", "").lstrip("/")
    return "xl/workbook.xml"


def _relations(parts: Parts, main: str) -> dict[str, str]:
    folder, file = posixpath.split(main)
    found: dict[str, str] = {}
    for relation in _all(parts.xml(f"{folder}/_rels/{file}.rels"), "Relationship"):
        target = relation.get("Target", "").replace("\\", "/")
        path = target if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        found[relation.get("Id", "")] = path
    return found


def _local_root(parts: Parts, part: str) -> str:
    if not part or part not in parts:
        return ""
    with parts.open(part) as stream:
        for _, element in ElementTree.iterparse(stream, events=("start",), forbid_dtd=True):
            return str(element.tag).rpartition("}")[2]
    return ""


def _too_large(name: str, reason: str) -> SourceTooLarge:
    return SourceTooLarge(name, reason, way_out="Remove what isn't data, or split it.")
