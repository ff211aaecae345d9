"""One worksheet part, streamed: how far it reaches, and which cells the bulk reader wrongly leaves blank.

A sheet of the usual dialect (UTF-8, no prefix, double quotes, addresses on cells) goes by a few byte patterns
at hundreds of megabytes a second; everything else by an XML pull parser that refuses document types and
entities.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from caseweave.errors import SourceDamaged, SourceTooLarge
from caseweave.sources.formats import percent_text
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.values.grid import cell_address

Place = tuple[int, int]
NO_VALUE = "formula without a cached value"

_CHUNK = MEGABYTE
_LONGEST_ROW = 64 * MEGABYTE
_USUAL = re.compile(
    rb'\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*?(?:encoding=["\'](?i:utf-8|us-ascii)["\'][^>]*?)?\?>)?'
    rb"(?:\s|<!--.*?-->)*<worksheet[\s>]",
    re.DOTALL,
)
_ODD_CELL = re.compile(rb'<c(?! r="[A-Z])(?=[\s/>])')
_ROW = re.compile(rb"<row(?=[\s/>])")
_ROW_NUMBER = re.compile(rb'<row [^>]*?\br="([0-9]{1,7})"')
_WIDE = re.compile(rb'<c r="([A-Z]{2,3})[0-9]')
_NARROW = re.compile(rb'<c r="([A-Z])[0-9]')
_ERROR = re.compile(rb'<c r="([A-Z]+)([0-9]+)"[^>/]*\bt="e"[^>/]*>(.*?)</c>', re.DOTALL)
_VALUE = re.compile(rb"<v(?:\s[^>]*)?>([^<]+)</v>")
_UNSAVED = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"([^>/]*)>\s*<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*'
    rb"(<v(?:\s[^>]*)?(?:/>|></v>))?\s*</c>"
)
_NEGATIVE = re.compile(rb'<c r="([A-Z]+)([0-9]+)"[^>/]*>(?:<f(?:\s[^>]*)?(?:/>|>[^<]*</f>))?<v>(-[0-9.eE+-]+)</v>')
_MERGED = re.compile(rb'<mergeCell\s[^>]*?\bref="([A-Z]+)([0-9]+):([A-Z]+)([0-9]+)"')
_OF_STYLE = rb'<c r="([A-Z]+)([0-9]+)"(?=[^>/]*\bs="(?:%b)")[^>/]*>'
_REF = re.compile(r"\A\$?([A-Za-z]{1,3})\$?([0-9]{1,7})\Z")


@dataclass(slots=True)
class SheetScan:
    """What one sheet holds: its extent, cells with errors, merged ranges (all zero-based).

    `numbers` holds those that the bulk reader may wrongly take for a date or a time of day, such as negative
    ones; `percents` what cells show whose number is shown as a percent; `struck` are filled cells that are crossed out.
    """

    rows: int = 0
    columns: int = 0
    errors: dict[Place, str] = field(default_factory=dict)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    numbers: dict[Place, float] = field(default_factory=dict)
    percents: dict[Place, str] = field(default_factory=dict)
    struck: list[Place] = field(default_factory=list)


class _Unusual(Exception):
    """The byte patterns don't fit this sheet."""


def scan_sheet(
    opening: Callable[[], IO[bytes]],
    name: str,
    limits: Limits,
    percents: frozenset[str] = frozenset(),
    struck: frozenset[str] = frozenset(),
) -> SheetScan:
    """Scan one worksheet part.

    Arguments: how to open the part (it may be read twice), the file's name for messages, the limits, and the
    styles that show percents, and those that cross out.
    Raises SourceTooLarge when the rectangle up to the last filled cell holds too many cells.
    """
    try:
        with opening() as stream:
            scan = _scan_bytes(stream, percents, struck)
    except _Unusual:
        with opening() as stream:
            scan = _scan_xml(stream, name, percents, struck)
    if scan.rows * scan.columns > limits.cells:
        # formatted but empty cells may reach far; only filled ones cost anything
        with opening() as stream:
            scan = _scan_xml(stream, name, percents, struck)
    check_extent(scan, name, limits)
    return scan


def check_extent(scan: SheetScan, name: str, limits: Limits) -> None:
    """Raise SourceTooLarge when the rectangle up to the last filled cell holds too many cells."""
    if scan.rows * scan.columns > limits.cells:
        last = cell_address(scan.rows - 1, scan.columns - 1)
        raise SourceTooLarge(
            name,
            f"a sheet reaches to {last}, which makes {scan.rows * scan.columns:,} cells",
            way_out="Delete the stray cells right of and below the data.",
            cell=last,
        )


def column_number(letters: str | bytes) -> int:
    """The zero-based column of Excel's letters.

    >>> column_number("AB")
    27
    """
    number = 0
    for letter in letters.encode() if isinstance(letters, str) else letters:
        number = number * 26 + (letter & 0x5F) - 64
    return number - 1


def _scan_bytes(stream: IO[bytes], percents: frozenset[str], struck: frozenset[str]) -> SheetScan:
    scan = SheetScan()
    percent = _percent_pattern(percents)
    crossed = re.compile(_OF_STYLE % _either(struck)) if struck else None
    rest = stream.read(_CHUNK)
    if not _USUAL.match(rest) or b"<!DOCTYPE" in rest or b"<!ENTITY" in rest:
        raise _Unusual
    more = True
    while more:
        fresh = stream.read(_CHUNK)
        more = bool(fresh)
        rest += fresh
        cut = rest.rfind(b"</row>") if more else len(rest)
        if cut < 0:
            cut = rest.rfind(b"<") if b"</sheetData>" in rest or b"<row" not in rest else 0
        if len(rest) - cut > _LONGEST_ROW:
            raise _Unusual
        _take(rest[:cut], scan)
        if percent is not None:
            _take_percents(percent, rest[:cut], scan)
        if crossed is not None:
            for letters, row in crossed.findall(rest[:cut]):
                scan.struck.append((int(row) - 1, column_number(letters)))
        rest = rest[cut:]
    return scan


def _take(chunk: bytes, scan: SheetScan) -> None:
    if _ODD_CELL.search(chunk) or b"<![CDATA[" in chunk:
        raise _Unusual
    numbers = _ROW_NUMBER.findall(chunk)
    if len(numbers) != len(_ROW.findall(chunk)):
        raise _Unusual
    if numbers:
        last = max(map(int, numbers))
        scan.rows = max(scan.rows, last)
        # a cell may lie about its row; only one with more digits than any row of this chunk can do harm
        if re.search(rb'<c r="[A-Z]+[0-9]{%d}' % (len(str(last)) + 1), chunk):
            raise _Unusual
    for letters in set(_WIDE.findall(chunk)) or set(_NARROW.findall(chunk[:65536])):
        scan.columns = max(scan.columns, column_number(letters) + 1)
    if b't="e"' in chunk:
        for letters, row, content in _ERROR.findall(chunk):
            value = _VALUE.search(content)
            if value:
                scan.errors[int(row) - 1, column_number(letters)] = value[1].decode("utf-8", "replace")
    if b"<f" in chunk:
        for letters, row, attributes, value in _UNSAVED.findall(chunk):
            if not (value and b't="str"' in attributes):  # an empty text is a value too
                scan.errors[int(row) - 1, column_number(letters)] = NO_VALUE
    if b"<v>-" in chunk:
        for letters, row, number in _NEGATIVE.findall(chunk):
            scan.numbers[int(row) - 1, column_number(letters)] = float(number)
    if b"<mergeCell " in chunk:
        for left, top, right, bottom in _MERGED.findall(chunk):
            scan.merged.append((int(top) - 1, column_number(left), int(bottom) - 1, column_number(right)))


def _percent_pattern(percents: frozenset[str]) -> re.Pattern[bytes] | None:
    if not percents:
        return None
    return re.compile(
        rb'<c r="([A-Z]+)([0-9]+)"(?=[^>/]*\bs="(?:' + _either(percents) + rb')")(?![^>/]*\bt="(?!n"))[^>/]*>'
        rb"(?:<f(?:\s[^>]*)?(?:/>|>[^<]*</f>))?<v>([^<]+)</v>"
    )


def _either(styles: frozenset[str]) -> bytes:
    return b"|".join(style.encode() for style in sorted(styles))


def _take_percents(pattern: re.Pattern[bytes], chunk: bytes, scan: SheetScan) -> None:
    for letters, row, number in pattern.findall(chunk):
        text = percent_text(number.decode("ascii", "replace"))
        if text is not None:
            scan.percents[int(row) - 1, column_number(letters)] = text


def _scan_xml(stream: IO[bytes], name: str, percents: frozenset[str], struck: frozenset[str]) -> SheetScan:
    scan = SheetScan()
    row = column = -1
    parents: list[Element] = []
    for event, element in ElementTree.iterparse(stream, events=("start", "end"), forbid_dtd=True):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            if tag == "row":
                row = int(element.get("r") or row + 2) - 1
                column = -1
            parents.append(element)
            continue
        parents.pop()
        if tag == "c":
            place = _REF.match(element.get("r", ""))
            here_row, column = (int(place[2]) - 1, column_number(place[1])) if place else (row, column + 1)
            _take_cell(element, (here_row, column), percents, scan)
            if len(element) and element.get("s") in struck:
                scan.struck.append((here_row, column))
        elif tag == "mergeCell":
            corners = [_REF.match(corner) for corner in element.get("ref", "").split(":")]
            if len(corners) == 2 and corners[0] and corners[1]:
                top, bottom = int(corners[0][2]) - 1, int(corners[1][2]) - 1
                scan.merged.append((top, column_number(corners[0][1]), bottom, column_number(corners[1][1])))
        if tag in ("row", "mergeCells", "dataValidations", "conditionalFormatting"):
            element.clear()
            if parents:
                parents[-1].remove(element)
    if not 0 <= scan.rows <= 1 << 20 or not 0 <= scan.columns <= 1 << 14:
        raise SourceDamaged(name, "a cell lies outside what a sheet can hold", way_out="Save it again in Excel.")
    return scan


def _take_cell(element: Element, place: Place, percents: frozenset[str], scan: SheetScan) -> None:
    children = {child.tag.rpartition("}")[2]: child for child in element}
    value = children["v"].text if "v" in children else None
    empty_text = "v" in children and element.get("t") == "str"
    if element.get("t") == "e" and value:
        scan.errors[place] = value
    elif "f" in children and not (value or empty_text or "is" in children):
        scan.errors[place] = NO_VALUE
    elif not value and "is" not in children:
        return
    elif value and element.get("s") in percents and element.get("t", "n") == "n":
        scan.percents[place] = percent_text(value) or value
    scan.rows = max(scan.rows, place[0] + 1)
    scan.columns = max(scan.columns, place[1] + 1)
