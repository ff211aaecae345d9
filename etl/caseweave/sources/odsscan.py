"""Scan of an OpenDocument spreadsheet: how far each table reaches, cells with errors, merged cells.

Standard: OpenDocument 1.3 part 3, 9.1 (tables), 19.385 (office:value-type).
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from caseweave.errors import SourceProtected
from caseweave.sources.formats import percent_text
from caseweave.sources.limits import Limits
from caseweave.sources.package import Parts, WorkbookScan, all_named, open_package
from caseweave.sources.sheetscan import NO_VALUE, SheetScan, check_extent

# what LibreOffice shows in a cell that failed; the document stores it as an empty text or as the number 0
_ERROR_TEXT = re.compile(r"\A(?:#N/A|#NULL!|#DIV/0!|#VALUE!|#REF!|#NAME\?|#NUM!|Err:\d{3})\Z")

_MOST_REPEATED = 65_536


def scan_open_document(source: Path | IO[bytes], name: str, limits: Limits) -> WorkbookScan:
    """Scan an ods document; raises SourceProtected, SourceTooLarge or SourceDamaged."""
    with open_package(source, name, limits) as parts:
        if _encrypted(parts):
            raise SourceProtected(
                name, "it is encrypted with a password", way_out="Save it without a password, or as .xlsx."
            )
        sheets: dict[str | int, SheetScan] = {}
        with parts.open("content.xml") as stream:
            for number, scan in enumerate(_tables(stream)):
                sheets[number] = scan
                check_extent(scan, name, limits)
        return WorkbookScan(sheets, parts.modified("meta.xml", "date"))


def with_mimetype(source: Path) -> Path | IO[bytes]:
    """The document as calamine wants it: some writers leave out the entry that names the kind."""
    with zipfile.ZipFile(source) as archive:
        if "mimetype" in archive.namelist():
            return source
    copy = io.BytesIO(source.read_bytes())
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    copy.seek(0)
    return copy


def _encrypted(parts: Parts) -> bool:
    manifest = "META-INF/manifest.xml"
    if manifest not in parts:
        return False
    return any(
        entry.get(key) == "content.xml" and all_named(entry, "encryption-data")
        for entry in all_named(parts.xml(manifest), "file-entry")
        for key in entry.attrib
        if key.endswith("full-path")
    )


def _tables(stream: IO[bytes]) -> list[SheetScan]:
    scans: list[SheetScan] = []
    depth = row = column = 0
    for event, element in ElementTree.iterparse(stream, events=("start", "end"), forbid_dtd=True):
        tag = element.tag.rpartition("}")[2]
        if tag == "table":
            depth += 1 if event == "start" else -1
            if event == "start" and depth == 1:
                scans.append(SheetScan())
                row = 0
            elif event == "end":
                element.clear()
        if depth != 1 or event == "start":
            continue
        if tag == "table-row":
            repeated = _number(element, "number-rows-repeated")
            column = 0
            for cell in element:
                column += _take_cell(cell, row, column, repeated, scans[-1])
            row += repeated
            element.clear()
    return scans


def _take_cell(cell: Element, row: int, column: int, rows: int, scan: SheetScan) -> int:
    """Note one cell of a row that is repeated `rows` times; returns how many columns it stands for."""
    repeated = _number(cell, "number-columns-repeated")
    kind = _attribute(cell, "value-type")
    formula = _attribute(cell, "formula")
    error = ""
    if kind is not None or formula is not None:
        shown = "".join(part for paragraph in all_named(cell, "p") for part in paragraph.itertext())
        if _ERROR_TEXT.match(shown) and (formula is not None or _is_error(cell)):
            error = shown
        elif kind is None:
            error = NO_VALUE
        if kind == "percentage" and not error and rows * repeated <= _MOST_REPEATED:
            shown = percent_text(_attribute(cell, "value") or "") or shown
            scan.percents.update({(row + y, column + x): shown for y in range(rows) for x in range(repeated)})
        scan.rows = max(scan.rows, row + rows)
        scan.columns = max(scan.columns, column + repeated)
    if error and rows * repeated <= _MOST_REPEATED:
        for below in range(rows):
            for right in range(repeated):
                scan.errors[row + below, column + right] = error
    down, across = _number(cell, "number-rows-spanned"), _number(cell, "number-columns-spanned")
    if down > 1 or across > 1:
        scan.merged.append((row, column, row + down - 1, column + across - 1))
    return repeated


def _is_error(cell: Element) -> bool:
    return any(key.endswith("}value-type") and value == "error" for key, value in cell.attrib.items())


def _attribute(cell: Element, name: str) -> str | None:
    # LibreOffice repeats office:value-type as calcext:value-type; the office one comes first
    return next((value for key, value in cell.attrib.items() if key.rpartition("}")[2] == name), None)


def _number(cell: Element, name: str) -> int:
    return max(int(_attribute(cell, name) or 1), 1)
