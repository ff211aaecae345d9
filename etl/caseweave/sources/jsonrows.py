"""Documents into grids: each sheet's rows with the keys of the objects around them, every cell with its pointer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from caseweave.errors import SourceTooLarge, SourceUnsupported
from caseweave.sources.encode import BLOCK, GridBuilder
from caseweave.sources.jsonplan import UP, Claims, JsonSheet, Spot, compile_sheets
from caseweave.sources.jsonvalues import PLAIN, cell_of, is_object, kind_of_value, sound
from caseweave.sources.limits import Limits
from caseweave.values.grid import Grid, RawCell
from caseweave.values.grid import normal as plain_normal

normal = lru_cache(maxsize=4096)(plain_normal)
WAY_OUT = "Correct `json: {each: ...}` of the sheet, or the export."


class _Sheet:
    """The grid of one sheet while documents go by."""

    def __init__(self, sheet: JsonSheet) -> None:
        self.sheet = sheet
        self.columns: dict[tuple[int, str, bool], int] = {}
        self.keys: list[tuple[int, str]] = []
        self.headers: list[str] = []
        self.at: list[str] = [""] * sheet.header_rows
        self.seen = False
        # by level: in which column a key stands that holds a single value; what the objects around the last row gave
        self.flat: dict[int, dict[str, int]] = {}
        self.around: dict[int, tuple[Any, dict[int, RawCell]]] = {}
        self._block: list[list[RawCell]] = [[] for _ in range(sheet.header_rows)]
        self._builder = GridBuilder(sheet.name)

    def column(self, up: int, keys: tuple[str, ...], steps: int, claimed: bool) -> int:
        name = ".".join(keys) or "."
        known = self.columns.get((up, name, claimed))
        if known is None:
            known = self.columns[up, name, claimed] = len(self.headers)
            self.headers.append(sound(UP * up + name))
            # a key that no field claims may be a name: its address ends at the object
            self.keys.append((steps, "".join(f"/{_escaped(key)}" for key in keys) if claimed else ""))
        return known

    def add(self, at: str, cells: dict[int, RawCell]) -> None:
        row: list[RawCell] = [""] * (max(cells, default=-1) + 1)
        for column, value in cells.items():
            row[column] = value
        self._block.append(row)
        self.at.append(at)
        if len(self._block) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        self._builder.add_rows(self._block)
        self._block = []

    def grid(self) -> Grid:
        self.flush()
        for column, header in enumerate(self.headers):
            self._builder.put(0, column, header)
        made = self._builder.grid()
        return Grid(made.name, False, made.height, made.width, made.columns, (), tuple(self.at), tuple(self.keys))


class DocumentReader:
    """Takes documents, gives the grids of the sheets whose rows were found in them.

    Arguments: the file's name, the sheets with the places of their rows, the limits. Its methods raise
    SourceUnsupported where a document is built otherwise than the study says, SourceTooLarge beyond the limits.
    """

    def __init__(self, name: str, sheets: Sequence[JsonSheet], limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.root = compile_sheets(sheets)
        self.sheets = [_Sheet(one) for one in sheets]
        self.cells = 0
        self.rows = 0
        self.barren = 0

    def document(self, document: Any) -> None:
        """One document that is alone in its file."""
        self.measured(document)
        if isinstance(document, dict) and self.root.items is not None and not self.root.below:
            document = [document]
        self.walk(self.root, document, "", [])

    def item(self, number: int, document: Any) -> None:
        """One of the documents of a file that holds many."""
        if self.root.items is None:
            raise self.misplaced("", "many documents, and `each` begins with a key", "Begin `each` with [].")
        self.measured(document)
        self.walk(self.root.items, document, f"/{number}", [({}, "", self.root)])

    def grids(self) -> tuple[Grid, ...]:
        """The grids of all sheets of which something was there."""
        found = tuple(one.grid() for one in self.sheets if one.seen)
        if not found:
            places = ", ".join(dict.fromkeys(one.sheet.each for one in self.sheets))
            raise self.misplaced("", f"nothing where the rows of the study's sheets should stand ({places})", WAY_OUT)
        return found

    def notes(self) -> tuple[str, ...]:
        """What had to be left out without a finding that could name its row."""
        said = "objects hold no rows of any sheet; what else stands in them was not read"
        return (f"{self.barren:,} {said}",) if self.barren else ()

    def measured(self, document: Any) -> None:
        """Raise SourceTooLarge for a document with too many values, or nested too deep."""
        depth, nodes, level = 0, 0, [document]
        while level:
            depth, nodes = depth + 1, nodes + len(level)
            if depth > self.limits.depth:
                raise self.too_large(f"it is nested deeper than {self.limits.depth} levels")
            if nodes > self.limits.nodes:
                raise self.too_large(f"a document holds more than {self.limits.nodes:,} values")
            level = [
                below
                for one in level
                if isinstance(one, (dict, list))
                for below in (one.values() if isinstance(one, dict) else one)
            ]

    def too_large(self, reason: str) -> SourceTooLarge:
        return SourceTooLarge(self.name, reason, way_out="Split the file by patients.")

    def misplaced(self, at: str, found: str, way_out: str = WAY_OUT) -> SourceUnsupported:
        return SourceUnsupported(self.name, f"{at or 'the document'} holds {found}", way_out=way_out)

    def walk(self, spot: Spot, value: Any, at: str, levels: list[tuple[Any, str, Spot]]) -> None:
        """Go to all rows at and below a place."""
        before = self.rows
        if spot.level:
            levels = [*levels, (value, at, spot)]
        self.below(spot, value, at, levels)
        if spot.level and spot.teller >= 0 and at and self.rows == before:
            self.barren += 1

    def below(self, spot: Spot, value: Any, at: str, levels: list[tuple[Any, str, Spot]]) -> None:
        for number in spot.sheets:
            self.row(number, at, levels)
        if spot.items is not None and value is not None:
            if not isinstance(value, list):
                raise self.misplaced(at, f"{kind_of_value(value)} where the study expects a list")
            _mark(spot.items, self.sheets)
            for place, item in enumerate(value):
                if item is not None:
                    self.walk(spot.items, item, f"{at}/{place}", levels)
        if spot.below and value is not None:
            if not isinstance(value, dict):
                if spot.items is not None and isinstance(value, list):
                    return
                raise self.misplaced(at, f"{kind_of_value(value)} where the study expects an object")
            for key, item in value.items():
                below = spot.below.get(normal(key))
                if below is not None and item is not None:
                    self.walk(below, item, f"{at}/{_escaped(key)}", levels)

    def row(self, number: int, at: str, levels: Sequence[tuple[Any, str, Spot]]) -> None:
        sheet = self.sheets[number]
        sheet.seen = True
        cells: dict[int, RawCell] = {}
        for place, (value, here, spot) in enumerate(levels):
            up = len(levels) - 1 - place
            if not isinstance(value, dict) and not spot.claims[number].leaf and not up:
                raise self.misplaced(here, f"{kind_of_value(value)} where the study expects an object")
            known = sheet.around.get(place) if up else None
            if known is None or known[0] is not value:  # the rows of one object come one behind the other
                known = sheet.around[place] = (value, _cells(sheet, number, up, value, here, spot))
            cells.update(known[1])
        self.cells += len(cells)
        self.rows += 1
        if self.cells > self.limits.cells:
            raise self.too_large(f"more than {self.limits.cells:,} cells")
        sheet.add(at, cells)


def _cells(sheet: _Sheet, number: int, up: int, value: Any, here: str, spot: Spot) -> dict[int, RawCell]:
    """What one object gives to a row of a sheet, by column."""
    own, tells, steps = spot.claims[number], spot.teller == number, here.count("/")
    cells: dict[int, RawCell] = {}
    flat = sheet.flat.setdefault(up, {})
    rest = value
    if isinstance(value, dict) and not own.leaf:
        rest = {}
        for key, item in value.items():
            kind = type(item)
            column = flat.get(key) if kind in PLAIN else None
            if column is None:
                rest[key] = item
            elif column >= 0 and item != "":
                cells[column] = item if kind is not str or item.isascii() else sound(item)
    for keys, found, claimed in _leaves(rest, own, spot.claimed, spot, ()):
        cell = cell_of(found) if claimed or tells else None
        if cell is not None and cell != "":
            column = sheet.column(up, keys, steps, claimed)
            cells[column] = cell
            if len(keys) == 1 and type(found) in PLAIN:
                flat[keys[0]] = column
    if isinstance(rest, dict):
        for key, item in rest.items():
            if type(item) in PLAIN and item != "":
                flat.setdefault(key, -1)  # another sheet's
    return cells


def _mark(spot: Spot, sheets: Sequence[_Sheet]) -> None:
    """A list that is there and empty says that there are no rows; one that isn't there says nothing."""
    for number in spot.sheets:
        sheets[number].seen = True


def _leaves(
    value: Any, own: Claims | None, claimed: Claims | None, spot: Spot | None, keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    """What stands in an object, by its keys, and whether a field of the sheet claims it; without what others claim."""
    if own is not None and own.leaf and not (own.below and isinstance(value, (dict, list))):
        yield keys, value, True
    elif is_object(value) and (not keys or _inside(own) or _inside(claimed) or (spot is not None and not _rows(spot))):
        for key, item in value.items():
            name = normal(key)
            yield from _leaves(item, _under(own, name), _under(claimed, name), spot and spot.below.get(name),
                               (*keys, key))  # fmt: skip
    elif isinstance(value, list) and (_inside(own) or _inside(claimed)):
        for place, item in enumerate(value):
            name = str(place)
            yield from _leaves(item, _under(own, name), _under(claimed, name), None, (*keys, name))
    elif keys and (spot is None or not _rows(spot)) and not (claimed is not None and claimed.leaf):
        yield keys, value, False


def _inside(claims: Claims | None) -> bool:
    return claims is not None and bool(claims.below)


def _under(claims: Claims | None, key: str) -> Claims | None:
    return claims.below.get(key) if claims is not None else None


def _rows(spot: Spot) -> bool:
    """Whether what stands here is read as rows of its own."""
    return spot.items is not None or bool(spot.sheets)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
