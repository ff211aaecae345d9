"""Scan of a binary workbook (xlsb): the same questions as for xlsx, asked of its records.

Standard: MS-XLSB 2.1.4 (records), 2.4 (BrtBundleSh, BrtCellError, BrtFmlaError, BrtMergeCell).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from caseweave.sources.formats import is_percent_format, percent_text
from caseweave.sources.limits import Limits
from caseweave.sources.package import Parts, WorkbookScan, open_package
from caseweave.sources.scan import OLD_DATES
from caseweave.sources.sheetscan import SheetScan, check_extent
from caseweave.sources.xlsnumbers import packed_number

# BErr, the same in xls and xlsb
ERROR_TEXTS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}
_ROW, _BLANK, _ERROR, _LAST_CELL, _FORMULA_ERROR = 0, 1, 3, 11, 11
_BUNDLE_SHEET, _PROPERTIES, _MERGED = 156, 153, 176
_FORMAT, _STYLE, _STYLES, _STYLES_END = 44, 47, 617, 618
_RK, _REAL, _FORMULA_NUMBER = 2, 5, 9
_NUMBERS = (_RK, _REAL, _FORMULA_NUMBER)
_FLOAT = struct.Struct("<d")
_FOUR_NUMBERS = struct.Struct("<IIII")


def scan_binary_workbook(source: Path | IO[bytes], name: str, limits: Limits) -> WorkbookScan:
    """Scan an xlsb workbook; raises SourceTooLarge or SourceDamaged."""
    with open_package(source, name, limits) as parts:
        main = parts.main("xl/workbook.bin")
        targets = parts.relations(main)
        sheets: dict[str | int, SheetScan] = {}
        notes: tuple[str, ...] = ()
        with parts.open(main) as stream:
            listed = []
            for kind, payload in _records(stream.read()):
                if kind == _BUNDLE_SHEET:
                    relation, end = _text(payload, 8)
                    listed.append((relation, _text(payload, end)[0]))
                elif kind == _PROPERTIES and payload[0] & 1:
                    notes = (OLD_DATES,)
        percents = _percent_styles(parts, next((p for p in targets.values() if p.endswith("styles.bin")), ""))
        for relation, title in listed:
            part = targets.get(relation, "")
            if "worksheet" in part.lower() and part in parts:
                with parts.open(part) as stream:
                    sheets[title] = _scan_sheet(stream.read(), percents)
                check_extent(sheets[title], name, limits)
        return WorkbookScan(sheets, parts.modified("docprops/core.xml", "modified"), notes)


def _scan_sheet(content: bytes, percents: frozenset[int]) -> SheetScan:
    scan = SheetScan()
    row = 0
    for kind, payload in _records(content):
        if kind == _ROW:
            row = int.from_bytes(payload[:4], "little")
        elif _BLANK < kind <= _LAST_CELL:
            column = int.from_bytes(payload[:4], "little")
            scan.rows = max(scan.rows, row + 1)
            scan.columns = max(scan.columns, column + 1)
            if kind in (_ERROR, _FORMULA_ERROR):
                scan.errors[row, column] = ERROR_TEXTS.get(payload[8], "#ERROR")
            elif kind in _NUMBERS and int.from_bytes(payload[4:7], "little") in percents:
                number = packed_number(payload, 8) if kind == _RK else _FLOAT.unpack_from(payload, 8)[0]
                scan.percents[row, column] = percent_text(number) or ""
        elif kind == _MERGED:
            top, bottom, left, right = _FOUR_NUMBERS.unpack_from(payload)
            scan.merged.append((top, left, bottom, right))
    return scan


def _percent_styles(parts: Parts, part: str) -> frozenset[int]:
    formats: dict[int, str] = {}
    keys: list[int] = []
    inside = False
    if part in parts:
        with parts.open(part) as stream:
            for kind, payload in _records(stream.read()):
                inside = (inside or kind == _STYLES) and kind != _STYLES_END
                if kind == _FORMAT:
                    formats[int.from_bytes(payload[:2], "little")] = _text(payload, 2)[0]
                elif inside and kind == _STYLE:
                    keys.append(int.from_bytes(payload[2:4], "little"))
    return frozenset(number for number, key in enumerate(keys) if is_percent_format(key, formats.get(key)))


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(content)
    while at < end:
        kind = content[at]
        at += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (content[at] & 0x7F) << 7
            at += 1
        length = shift = 0
        while True:
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80 or shift == 28:
                break
        yield kind, content[at : at + length]
        at += length


def _text(payload: bytes, at: int) -> tuple[str, int]:
    length = int.from_bytes(payload[at : at + 4], "little")
    end = at + 4 + 2 * length
    return payload[at + 4 : end].decode("utf-16-le"), end
