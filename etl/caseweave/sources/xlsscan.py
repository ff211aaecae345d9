"""Scan of an old workbook (xls): cells with errors, and whether the record stream is encrypted.

Standard: MS-XLS 2.1 (streams and records), 2.4.24 (BoolErr), 2.4.127 (Formula), 2.4.28 (BoundSheet8).
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import olefile

from caseweave.errors import SourceDamaged
from caseweave.sources.formats import is_date_format, is_percent_format, percent_text
from caseweave.sources.limits import Limits
from caseweave.sources.package import WorkbookScan
from caseweave.sources.scan import OLD_DATES
from caseweave.sources.sheetscan import Place, SheetScan
from caseweave.sources.xlsbscan import ERROR_TEXTS
from caseweave.sources.xlsnumbers import numbers_of, styles_of

_BOF, _EOF, _SHEET, _DATES, _FILEPASS = 0x0809, 0x000A, 0x0085, 0x0022, 0x002F
_ERROR, _FORMULA = 0x0205, 0x0006
_HEAD = struct.Struct("<HH")
_PROPERTIES, _LAST_SAVED = "\x05SummaryInformation", 13
_LONG, _TWO_LONGS, _FILETIME = struct.Struct("<I"), struct.Struct("<II"), struct.Struct("<Q")
_FILETIME_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_BROKEN = (OSError, struct.error, IndexError, ValueError, LookupError, TypeError)


def scan_old_workbook(source: Path | IO[bytes], name: str, limits: Limits) -> WorkbookScan:
    """Scan an xls workbook; raises SourceDamaged. Extents need no scan: a sheet of 65,536 x 256 fits the limits."""
    try:
        content, modified = _stream(source)
        return _scan(content, modified)
    except _BROKEN as error:
        raise SourceDamaged(
            name, "its record stream can't be read", way_out="Open it in Excel and save it as .xlsx."
        ) from error


def is_encrypted(source: Path | IO[bytes]) -> bool:
    """Whether an xls workbook asks for a password before its records can be read."""
    try:
        content, _ = _stream(source)
        return any(kind == _FILEPASS for kind, _, _ in _records(content, 0))
    except _BROKEN:
        return False


def _stream(source: Path | IO[bytes]) -> tuple[bytes, datetime.datetime | None]:
    data = source.read_bytes() if isinstance(source, Path) else source.read()
    if not olefile.isOleFile(data=data):
        return data, None
    with olefile.OleFileIO(data) as container:
        stream = next(name for name in ("Workbook", "Book") if container.exists(name))
        content: bytes = container.openstream(stream).read()
        properties = b""
        if container.exists(_PROPERTIES):
            properties = container.openstream(_PROPERTIES).read()
    return content, _saved(properties)


def _saved(properties: bytes) -> datetime.datetime | None:
    """The moment of the last saving (MS-OLEPS 2.18); read by hand, a damaged set of properties can hold a parser up."""
    try:
        (section,) = _LONG.unpack_from(properties, 44)
        (count,) = _LONG.unpack_from(properties, section + 4)
        for number in range(min(count, 64)):
            key, at = _TWO_LONGS.unpack_from(properties, section + 8 + 8 * number)
            if key == _LAST_SAVED:
                (ticks,) = _FILETIME.unpack_from(properties, section + at + 4)
                return _FILETIME_EPOCH + datetime.timedelta(microseconds=ticks // 10) if ticks else None
    except (struct.error, OverflowError):
        return None
    return None


def _scan(content: bytes, modified: datetime.datetime | None) -> WorkbookScan:
    offsets: list[int] = []
    notes: tuple[str, ...] = ()
    for kind, at, length in _records(content, 0):
        if kind == _SHEET and length >= 6:
            offsets.append(int.from_bytes(content[at : at + 4], "little"))
        elif kind == _DATES and content[at : at + 2] == b"\x01\x00":
            notes = (OLD_DATES,)
    excel95 = content[4:6] == b"\x00\x05"
    styles = styles_of(content, _records(content, 0), excel95=excel95)
    percents = {number for number, style in enumerate(styles) if is_percent_format(*style)}
    plain = {number for number, style in enumerate(styles) if excel95 and not is_date_format(*style)}
    sheets: dict[str | int, SheetScan] = {}
    for number, offset in enumerate(offsets):
        sheets[number] = SheetScan(errors=dict(_errors(content, offset)))
        if plain:
            sheets[number].numbers = numbers_of(content, _records(content, offset), plain)
        if percents:
            found = numbers_of(content, _records(content, offset), percents)
            sheets[number].percents = {place: percent_text(value) or "" for place, value in found.items()}
    return WorkbookScan(sheets, modified, notes)


def _errors(content: bytes, offset: int) -> Iterator[tuple[Place, str]]:
    for kind, at, length in _records(content, offset):
        if kind == _ERROR and length >= 8 and content[at + 7]:
            code = content[at + 6]
        elif kind == _FORMULA and length >= 14 and content[at + 12 : at + 14] == b"\xff\xff" and content[at + 6] == 2:
            code = content[at + 8]
        else:
            continue
        yield _HEAD.unpack_from(content, at), ERROR_TEXTS.get(code, "#ERROR")


def _records(content: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, place and length of each record of one substream; charts inside a sheet are passed over."""
    depth = 0
    while at + 4 <= len(content):
        kind, length = _HEAD.unpack_from(content, at)
        at += 4
        if kind == _BOF:
            depth += 1
        elif kind == _EOF:
            depth -= 1
            if depth <= 0:
                return
        elif depth <= 1:
            yield kind, at, length
        at += length
