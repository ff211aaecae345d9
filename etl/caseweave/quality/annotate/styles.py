"""Cell styles: each marked cell keeps its own, with another background.

Standard: ECMA-376 part 1, 18.8.10 (cellXfs), 18.8.20 (fill).
"""

from __future__ import annotations

import copy
from typing import Any

from caseweave.issues import Severity
from caseweave.quality.annotate.marks import COLOURS
from caseweave.quality.annotate.parts import MAIN, child, local, parse, write

EMPTY = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="1"><xf/></cellXfs></styleSheet>'
).encode()


class Styles:
    """The styles of a workbook, with marked copies made where they are asked for.

    `ours` maps the marked styles of an earlier time to what they were before.
    """

    def __init__(self, part: bytes) -> None:
        self.tree = parse(part)
        self.fonts = self._section("fonts")
        self.fills = self._section("fills")
        self.xfs = self._section("cellXfs")
        self.made: dict[tuple[int, str], int] = {}
        self.filled: dict[str, int] = {}
        self.ours = self._earlier()

    def _section(self, name: str) -> Any:
        found = next((one for one in self.tree if local(one) == name), None)
        if found is None:
            template = parse(EMPTY)
            found = child(self.tree, name)
            order = [local(one) for one in template]
            later = [*order[order.index(name) + 1 :], "cellStyles", "dxfs", "tableStyles", "colors", "extLst"]
            before = next((one for one in self.tree if local(one) in later), None)
            if before is not None:
                before.addprevious(found)
            for one in next(one for one in template if local(one) == name):
                child(found, local(one))
        return found

    def _earlier(self) -> dict[int, int]:
        marked = {number: one for number, one in enumerate(self.fills) if _colour(one) in COLOURS.values()}
        count = len(self.xfs)
        found = {}
        for number in range(count):
            one = self.xfs[number]
            fill = marked.get(int(one.get("fillId", 0)))
            if fill is not None and one.get("quotePrefix") != "1":
                found[number] = self._unmarked(one, fill)
        return found

    def _unmarked(self, xf: Any, fill: Any) -> int:
        """The style without its mark: with the fill that the mark remembers, else with none."""
        back = next((one for one in fill.iter() if local(one) == "bgColor" and _plain(one)), None)
        number = 0
        if back is not None:
            made = copy.deepcopy(fill)
            front = next(one for one in made.iter() if local(one) == "fgColor")
            front.attrib.clear()
            front.attrib.update(back.attrib)
            back = next(one for one in made.iter() if local(one) == "bgColor")
            back.attrib.clear()
            back.set("indexed", "64")
            self.fills.append(made)
            number = len(self.fills) - 1
        made = copy.deepcopy(xf)
        made.set("fillId", str(number))
        if number == 0:
            made.attrib.pop("applyFill", None)
        plain = [(dict(one.attrib) | {"applyFill": ""}, len(one)) for one in self.xfs]
        wanted = (dict(made.attrib) | {"applyFill": ""}, len(made))
        if number == 0 and wanted in plain:
            return plain.index(wanted)
        self.xfs.append(made)
        return len(self.xfs) - 1

    def marked(self, base: int, severity: Severity) -> int:
        """The number of a style like `base` with the background of a severity."""
        base = base if base < len(self.xfs) else 0
        if (base, severity) not in self.made:
            made = copy.deepcopy(self.xfs[base])
            made.set("fillId", str(self._fill(COLOURS[severity], int(made.get("fillId", 0)))))
            made.set("applyFill", "1")
            self.xfs.append(made)
            self.made[base, severity] = len(self.xfs) - 1
        return self.made[base, severity]

    def _fill(self, colour: str, before: int = 0) -> int:
        old = self.fills[before] if before < len(self.fills) else None
        front = None
        if old is not None and any(one.get("patternType") == "solid" for one in old.iter()):
            front = next((one for one in old.iter() if local(one) == "fgColor" and _plain(one)), None)
        spot = f"{colour} {dict(front.attrib) if front is not None else ''}"
        if spot not in self.filled:
            pattern = child(child(self.fills, "fill"), "patternFill", patternType="solid")
            child(pattern, "fgColor", rgb=colour)
            # unseen in a solid fill: the colour that the cell had
            child(pattern, "bgColor", **(dict(front.attrib) if front is not None else {"indexed": "64"}))
            self.filled[spot] = len(self.fills) - 1
        return self.filled[spot]

    def plain(self, *, font: str = "", colour: str = "", quoted: bool = True) -> int:
        """A style for the sheet of queries: `font` is "bold" or "link"; `quoted` text is never a formula."""
        number = 0
        if font:
            one = child(self.fonts, "font")
            if font == "bold":
                child(one, "b")
            else:
                child(one, "u")
            child(one, "sz", val="11")
            child(one, "color", rgb="FF0563C1" if font == "link" else "FF1F2937")
            child(one, "name", val="Calibri")
            number = len(self.fonts) - 1
        fill = self._fill(colour) if colour else 0
        xf = child(self.xfs, "xf", numFmtId="49", fontId=str(number), fillId=str(fill), borderId="0", xfId="0",
                   applyNumberFormat="1", applyFont="1", applyAlignment="1")  # fmt: skip
        if fill:
            xf.set("applyFill", "1")
        if quoted:
            xf.set("quotePrefix", "1")
        child(xf, "alignment", vertical="top", wrapText="1")
        return len(self.xfs) - 1

    def write(self) -> bytes:
        """The part with its counts."""
        for one in (self.fonts, self.fills, self.xfs):
            one.set("count", str(len(one)))
        return write(self.tree)


def _colour(fill: Any) -> str:
    front = next((one for one in fill.iter() if local(one) == "fgColor"), None)
    return str(front.get("rgb", "")).upper() if front is not None else ""


def _plain(colour: Any) -> bool:
    return "theme" in colour.attrib or (
        "rgb" in colour.attrib and colour.get("rgb", "").upper() not in COLOURS.values()
    )
