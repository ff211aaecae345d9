"""Comments of a sheet: ours beside those that were there, and ours of an earlier time taken out again.

Standard: ECMA-376 part 1, 18.7 (comments); part 4, 19.2.1 (VML, the shapes in which they are shown).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from caseweave.quality.annotate.marks import AUTHOR, cell_text, split
from caseweave.quality.annotate.parts import MAIN, child, local, parse, write

_SPACES = (
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
    'xmlns:x="urn:schemas-microsoft-com:office:excel"'
)
SHAPE_TYPE = (
    f'<v:shapetype {_SPACES} id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">'
    '<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
)
DRAWING = (
    f'<xml {_SPACES}><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout>{SHAPE_TYPE}</xml>'
).encode()
COMMENTS = f'<comments xmlns="{MAIN}"><authors/><commentList/></comments>'.encode()
_SHAPE = re.compile(rb"<((?:\w+:)?)shape\b.*?</\1shape\s*>", re.DOTALL)
_PLACE = re.compile(rb"<(?:\w+:)?(Row|Column)>\s*(\d+)\s*</")
_MARK = f"{AUTHOR}: "


def edit_comments(part: bytes, texts: Mapping[str, str]) -> tuple[bytes, set[str], set[str]]:
    """Comments with ours by cell address; returns the part, the cells that have one now, those that had one of ours.

    A cell that has a comment of somebody else's keeps it, ours stands below.
    """
    tree = parse(part)
    authors = next(one for one in tree if local(one) == "authors")
    listed = next(one for one in tree if local(one) == "commentList")
    gone = {str(one.get("ref")) for one in list(listed) if local(one) == "comment" and _withdraw(one, listed)}
    names = [one.text for one in authors]
    if AUTHOR not in names:
        child(authors, "author").text = AUTHOR
        names.append(AUTHOR)
    there = {str(one.get("ref")): one for one in listed if local(one) == "comment"}
    for cell, text in texts.items():
        old = there.get(cell)
        if old is not None:
            _run(next(one for one in old if local(one) == "text"), f"\n\n{_MARK}{text}")
        else:
            one = child(listed, "comment", ref=cell, authorId=str(names.index(AUTHOR)))
            _run(child(one, "text"), f"{_MARK}{text}")
    return write(tree), {*there, *texts}, gone


def _run(text: Any, said: str) -> None:
    run = child(text, "r")
    child(child(run, "rPr"), "sz", val="9")
    made = child(run, "t")
    made.text = cell_text(said)
    made.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")


def _withdraw(comment: Any, listed: Any) -> bool:
    """Take what we said earlier out of a comment; true where nothing else was in it, and it is gone."""
    said = [one for one in comment.iter() if local(one) == "t"]
    whole = "".join(one.text or "" for one in said)
    if whole.startswith(_MARK):
        listed.remove(comment)
        return True
    left = whole.find(f"\n\n{_MARK}")
    if left >= 0:
        for one in said:
            text = one.text or ""
            one.text = text[:left]
            left = max(left - len(text), 0)
    return False


def edit_drawing(part: bytes, cells: set[str], gone: set[str]) -> bytes:
    """Shapes of comments: one for each of `cells`, none for those that are `gone` and not in `cells`."""
    lost = {split(cell) for cell in gone - cells}
    shown: set[tuple[int, int]] = set()

    def keep(shape: re.Match[bytes]) -> bytes:
        place = {name: int(number) for name, number in _PLACE.findall(shape[0])}
        spot = (place.get(b"Row", -1), place.get(b"Column", -1))
        if spot in lost and b"Note" in shape[0]:
            return b""
        shown.add(spot)
        return shape[0]

    kept = _SHAPE.sub(keep, part)
    used = [int(one) for one in re.findall(rb"_x0000_s(\d+)", kept)]
    number = max([1024, *used])
    made = "" if b"_x0000_t202" in kept else SHAPE_TYPE
    for spot in sorted(split(cell) for cell in cells):
        if spot not in shown:
            number += 1
            made += _shape(number, *spot)
    end = max(kept.rfind(b"</xml"), kept.rfind(b":xml>") - 3)
    return kept[:end] + made.encode() + kept[end:]


def _shape(number: int, row: int, column: int) -> str:
    anchor = f"{column + 1}, 15, {max(row - 1, 0)}, 4, {column + 5}, 31, {row + 5}, 4"
    return (
        f'<v:shape {_SPACES} id="_x0000_s{number}" type="#_x0000_t202" style="position:absolute;margin-left:80pt;'
        'margin-top:2pt;width:240pt;height:90pt;z-index:1;visibility:hidden" fillcolor="#ffffe1" o:insetmode="auto">'
        '<v:fill color2="#ffffe1"/><v:shadow on="t" color="black" obscured="t"/><v:path o:connecttype="none"/>'
        '<v:textbox style="mso-direction-alt:auto"><div style="text-align:left"></div></v:textbox>'
        f'<x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/><x:Anchor>{anchor}</x:Anchor>'
        f"<x:AutoFill>False</x:AutoFill><x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
    )
