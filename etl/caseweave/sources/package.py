"""The zip that a modern workbook is: opened with care, its parts by name, its small parts as XML trees."""

from __future__ import annotations

import datetime
import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from caseweave.errors import SourceDamaged, SourceTooLarge
from caseweave.sources.files import BROKEN_ZIP
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.sources.sheetscan import SheetScan

_SMALL_PART = 32 * MEGABYTE
_BROKEN = (*BROKEN_ZIP, ElementTree.ParseError)
_AGAIN = "Open it in Excel or LibreOffice and save it again."


@dataclass(frozen=True, slots=True)
class WorkbookScan:
    """What a scan found: one SheetScan per sheet name or position, when it was saved, and what is worth telling."""

    sheets: dict[str | int, SheetScan]
    modified: datetime.datetime | None = None
    notes: tuple[str, ...] = field(default=())


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


@contextmanager
def open_package(source: Path | IO[bytes], name: str, limits: Limits) -> Iterator[Parts]:
    """Open and check a zipped workbook; every way in which it can be broken becomes SourceDamaged."""
    try:
        with zipfile.ZipFile(source) as archive:
            check_zip(archive, name, limits)
            yield Parts(archive)
    except DefusedXmlException as error:
        reason = "a part of it declares a document type, as in an entity bomb"
        raise SourceDamaged(name, reason, way_out=_AGAIN) from error
    except _BROKEN as error:
        raise SourceDamaged(name, "a part of the workbook is broken", way_out=_AGAIN) from error


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

    def main(self, default: str) -> str:
        """The workbook part, as the package's own relationships name it."""
        if "_rels/.rels" in self:
            for relation in all_named(self.xml("_rels/.rels"), "Relationship"):
                target = relation.get("Target", "")
                if relation.get("Type", "").endswith("/officeDocument") and target in self:
                    return target.lstrip("/")
        return default

    def relations(self, part: str) -> dict[str, str]:
        """The targets of a part's relationships by their id."""
        folder, file = posixpath.split(part)
        found: dict[str, str] = {}
        for relation in all_named(self.xml(f"{folder}/_rels/{file}.rels"), "Relationship"):
            target = relation.get("Target", "").replace("\\", "/")
            path = target if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[relation.get("Id", "")] = path
        return found

    def modified(self, part: str, element: str) -> datetime.datetime | None:
        """The moment of the last saving that the document's properties tell; without a zone it is taken as UTC."""
        if part not in self:
            return None
        try:
            found = next(iter(all_named(self.xml(part), element)), None)
            moment = datetime.datetime.fromisoformat((found.text or "").strip()) if found is not None else None
        except (ValueError, SyntaxError, DefusedXmlException):
            return None  # the properties are decoration, a workbook lives without them
        # OpenDocument tells no zone; moments with and without one can't be compared
        return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def all_named(tree: Element, name: str) -> list[Element]:
    """The elements of a local name: Strict and Transitional documents differ in their namespaces only."""
    return [item for item in tree.iter() if item.tag.rpartition("}")[2] == name]


def _normal(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def _too_large(name: str, reason: str) -> SourceTooLarge:
    return SourceTooLarge(name, reason, way_out="Remove what isn't data, or split it.")
