"""Cells of a sheet's XML, changed in place: every byte that isn't a marked cell's stays as it was.

Standard: ECMA-376 part 1, 18.3.1.4 (c), 18.3.1.73 (row), 18.3.1.99 (worksheet).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from xml.sax.saxutils import escape

from lxml import etree

from caseweave.issues import Severity
from caseweave.quality.annotate.marks import Unpatchable, cell_text, column_number
from caseweave.quality.annotate.parts import OFFICE, STRICT_OFFICE, parse
from caseweave.values.grid import cell_address

_ATTRIBUTES = rb"(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*"
_DATA = re.compile(rb"<((?:\w+:)?)sheetData\b[^>]*?(/?)>")
_ROW = re.compile(rb"<((?:\w+:)?)row\b(" + _ATTRIBUTES + rb")(/?)>")
_CELL = re.compile(rb"<((?:\w+:)?)c\b(" + _ATTRIBUTES + rb")(/?)>")
_TAG = re.compile(rb"<(/?)((?:[\w.-]+:)?)([\w.-]+)(" + _ATTRIBUTES + rb")(/?)>")
_COLUMN = re.compile(rb"<(?:\w+:)?col\b(" + _ATTRIBUTES + rb")/?>")
_STYLE = re.compile(rb"(<(?:\w+:)?c\b[^>]*?\ss=[\"'])(\d+)(?=[\"'])")
# what stands behind a sheet's legacyDrawing
_BEHIND = frozenset(
    (b"legacyDrawingHF", b"drawingHF", b"picture", b"oleObjects", b"controls", b"webPublishItems", b"tableParts",
     b"extLst", b"AlternateContent")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of a cell: it is marked with a severity, if there is one; `entry` replaces its value."""

    severity: Severity | None
    entry: str | None = None


def tidy(xml: bytes) -> bytes:
    """A sheet's XML as it can be searched: UTF-8, without comments and CDATA; nearly every sheet is so as it stands."""
    head = xml[:200].lower()
    usual = not xml.startswith((b"\xff\xfe", b"\xfe\xff")) and (b"encoding" not in head or b"utf-8" in head)
    if usual and b"<!" not in xml:
        return xml
    tree = parse(xml)
    etree.strip_tags(tree, etree.Comment)
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)


def restyle(xml: bytes, styles: Mapping[int, int]) -> bytes:
    """Give cells that carry one style another."""
    if not styles:
        return xml
    return _STYLE.sub(lambda found: found[1] + b"%d" % styles.get(int(found[2]), int(found[2])), xml)


def edit_cells(xml: bytes, edits: Mapping[tuple[int, int], Edit], style: Callable[[int, Severity], int]) -> bytes:
    """Mark and fill in cells, given by zero-based row and column; cells and rows that aren't there are made.

    Arguments: `style` gives the number of a style like another one, marked with a severity.
    """
    found = _DATA.search(xml)
    if found is None:
        raise Unpatchable("a sheet has no cells")
    prefix, closed = found[1], bool(found[2])
    end = found.end() if closed else xml.find(b"</" + prefix + b"sheetData", found.end())
    if end < 0:
        raise Unpatchable("a sheet ends too soon")
    body = b"" if closed else xml[found.end() : end]
    by_row: dict[int, dict[int, Edit]] = {}
    for (row, column), edit in edits.items():
        by_row.setdefault(row + 1, {})[column] = edit
    made = _rows(body, by_row, Cells(prefix, _column_styles(xml[: found.start()]), style))
    if not closed:
        return xml[: found.end()] + made + xml[end:]
    opened = xml[found.start() : found.end()].rstrip(b"/>").rstrip() + b">"
    return xml[: found.start()] + opened + made + b"</" + prefix + b"sheetData>" + xml[end:]


@dataclass(frozen=True)
class Cells:
    """Writes the cells of one sheet."""

    prefix: bytes
    columns: Callable[[int], int]
    style: Callable[[int, Severity], int]

    def make(self, row: int, column: int, edit: Edit, base: int, before: bytes = b"") -> bytes:
        """A cell; `before` is what stood between its tags."""
        p = self.prefix
        number = base if edit.severity is None else self.style(base, edit.severity)
        head = b'<%sc r="%s" s="%d"' % (p, cell_address(row - 1, column).encode(), number)
        # a formula stays: the chain of calculations names its cell
        if edit.entry is None or b"f" in {one[3] for one in _TAG.finditer(before)}:
            return head + (b">" + before + b"</" + p + b"c>" if before else b"/>")
        text = escape(cell_text(edit.entry)).encode()
        return head + b' t="inlineStr"><%sis><%st xml:space="preserve">%s</%st></%sis></%sc>' % (p, p, text, p, p, p)

    def change(self, row: int, column: int, edit: Edit, cell: bytes, tag: re.Match[bytes]) -> bytes:
        """A cell that is there: its style and perhaps its value are new, all else stays."""
        inner = b"" if tag[3] else cell[len(tag[0]) : cell.rfind(b"</")]
        base = int(_attribute(tag[2], b"s") or 0)
        if edit.entry is not None and b"f" not in {one[3] for one in _TAG.finditer(inner)}:
            return self.make(row, column, edit, base)
        if edit.severity is None:
            return cell
        kept = re.sub(rb"\ss\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", tag[2]).rstrip()
        head = b'<%sc%s s="%d"' % (tag[1], kept, self.style(base, edit.severity))
        return head + (b"/>" if tag[3] else b">" + cell[len(tag[0]) :])


def _rows(body: bytes, by_row: dict[int, dict[int, Edit]], cells: Cells) -> bytes:
    tags, number = [], 0
    for tag in _ROW.finditer(body):
        number = int(_attribute(tag[2], b"r") or number + 1)
        tags.append((number, tag))
    missing = sorted(by_row.keys() - {number for number, _ in tags})
    out, last = [], 0
    for number, tag in tags:
        while missing and missing[0] < number:
            out += [body[last : tag.start()], _new_row(missing[0], by_row[missing.pop(0)], cells)]
            last = tag.start()
        edits = by_row.get(number)
        if edits:
            end = tag.end() if tag[3] else body.index(b"</" + tag[1] + b"row", tag.end())
            inner = b"" if tag[3] else body[tag.end() : end]
            out += [body[last : tag.start()], _row(number, tag, inner, edits, cells)]
            last = tag.end() if tag[3] else body.index(b">", end) + 1
    out.append(body[last:])
    out += [_new_row(row, by_row[row], cells) for row in missing]
    return b"".join(out)


def _new_row(row: int, edits: Mapping[int, Edit], cells: Cells) -> bytes:
    made = b"".join(cells.make(row, column, edits[column], cells.columns(column)) for column in sorted(edits))
    return b'<%srow r="%d">%s</%srow>' % (cells.prefix, row, made, cells.prefix)


def _row(row: int, tag: re.Match[bytes], inner: bytes, edits: Mapping[int, Edit], cells: Cells) -> bytes:
    spots, column = [], -1
    for cell in _CELL.finditer(inner):
        address = _attribute(cell[2], b"r")
        column = column_number(address.decode().rstrip("0123456789")) if address else column + 1
        spots.append((column, cell))
    missing = sorted(edits.keys() - {column for column, _ in spots})
    own = _attribute(tag[2], b"s") if _attribute(tag[2], b"customFormat") in (b"1", b"true") else b""
    out, last = [], 0

    def new(column: int) -> bytes:
        return cells.make(row, column, edits[column], int(own) if own else cells.columns(column))

    for column, cell in spots:
        while missing and missing[0] < column:
            out += [inner[last : cell.start()], new(missing.pop(0))]
            last = cell.start()
        if column in edits:
            end = cell.end() if cell[3] else inner.index(b">", inner.index(b"</" + cell[1] + b"c>", cell.end())) + 1
            out += [
                inner[last : cell.start()],
                cells.change(row, column, edits[column], inner[cell.start() : end], cell),
            ]
            last = end
    grown = bool(missing) or len(edits) > len(edits.keys() & {column for column, _ in spots})
    out.append(inner[last:])
    out += [new(column) for column in missing]
    # spans would be wrong where a cell was added; they are only a hint
    attributes = re.sub(rb"\sspans\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", tag[2]) if grown else tag[2]
    return b"<" + tag[1] + b"row" + attributes.rstrip() + b">" + b"".join(out) + b"</" + tag[1] + b"row>"


@cache
def _finder(name: bytes) -> Callable[[bytes], re.Match[bytes] | None]:
    return re.compile(rb"(?:^|\s)" + name + rb"\s*=\s*[\"']([^\"']*)[\"']").search


def _attribute(attributes: bytes, name: bytes) -> bytes:
    found = _finder(name)(attributes)
    return found[1] if found else b""


def _column_styles(head: bytes) -> Callable[[int], int]:
    ranges = []
    for found in _COLUMN.finditer(head):
        low, high, number = (_attribute(found[1], one) for one in (b"min", b"max", b"style"))
        if number and low and high:
            ranges.append((int(low), int(high), int(number)))
    return lambda column: next((style for low, high, style in ranges if low <= column + 1 <= high), 0)


def legacy_drawing(xml: bytes) -> str:
    """The id of the relationship to a sheet's comment shapes; "" where it has none."""
    found = re.search(rb"<(?:\w+:)?legacyDrawing\b(" + _ATTRIBUTES + rb")/?>", xml)
    name = re.search(rb"\w+:id\s*=\s*[\"']([^\"']*)[\"']", found[1]) if found else None
    return name[1].decode() if name else ""


def add_legacy_drawing(xml: bytes, relation: str) -> bytes:
    """Tell a sheet where its comment shapes are, in the place that the standard gives the element."""
    data = _DATA.search(xml)
    if data is None:
        raise Unpatchable("a sheet has no cells")
    start = data.end() if data[2] else xml.index(b"</" + data[1] + b"sheetData", data.end())
    start = start if data[2] else xml.index(b">", start) + 1
    space = STRICT_OFFICE if STRICT_OFFICE.rpartition("/")[0].encode() in xml[: data.start()] else OFFICE
    made = f'<{data[1].decode()}legacyDrawing xmlns:r="{space}" r:id="{relation}"/>'.encode()
    depth = 0
    for tag in _TAG.finditer(xml, start):
        if tag[1]:
            depth -= 1
            if depth >= 0:
                continue
        if depth < 0 or (depth == 0 and tag[3] in _BEHIND):
            return xml[: tag.start()] + made + xml[tag.start() :]
        if not tag[1] and not tag[5]:
            depth += 1
    raise Unpatchable("a sheet ends too soon")
