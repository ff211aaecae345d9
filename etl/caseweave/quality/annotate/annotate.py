"""Marks and queries into a workbook: parts that they touch are patched, all others stay byte for byte."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caseweave.issues import SEVERITIES
from caseweave.plan.queries import QUERIES
from caseweave.quality.annotate.cells import Edit, add_legacy_drawing, edit_cells, legacy_drawing, restyle, tidy
from caseweave.quality.annotate.comments import COMMENTS, DRAWING, edit_comments, edit_drawing
from caseweave.quality.annotate.marks import MOST_COMMENTS, Mark, Query, Unpatchable, split
from caseweave.quality.annotate.parts import MAIN, STRICT_MAIN, Package, child, local, parse, write
from caseweave.quality.annotate.querysheet import query_sheet
from caseweave.quality.annotate.styles import EMPTY, Styles
from caseweave.quality.speech import ENGLISH, Speech

_MISFITS = (LookupError, ValueError, StopIteration, NotImplementedError, zipfile.BadZipFile, zlib.error)
_RANK = {severity: n for n, severity in enumerate(SEVERITIES)}


def annotate(
    workbook: bytes,
    marks: Sequence[Mark],
    queries: Sequence[Query],
    entries: Mapping[tuple[str, str], str] | None = None,
    old: str = "",
    speech: Speech = ENGLISH,
) -> bytes:
    """Mark cells of a workbook, and list queries in a sheet of their own.

    >>> annotate(Path("form.xlsx").read_bytes(), [Mark("Visits", "C7", "error", "No such day.")], [])  # doctest: +SKIP

    Arguments: `entries`, texts to be entered in cells, by tab and address; `old`, the name of the sheet of queries that
    the workbook has from an earlier time; `speech`, the language of that sheet. Marks and comments of an earlier time
    are taken out.

    Raises Unpatchable for a workbook whose parts don't fit together.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(workbook))
    except zipfile.BadZipFile as error:
        raise Unpatchable("it is no zip") from error
    with archive:
        try:
            book = _Book(Package(archive))
            book.mark(marks, entries or {}, old)
            book.ask(queries, old, speech)
            return book.close()
        except _MISFITS as error:
            raise Unpatchable("its parts don't fit together") from error


@dataclass
class _Book:
    """A workbook being patched: which part each tab is, and the styles."""

    package: Package
    part: str = ""
    tabs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part = self.package.related("", "officeDocument")
        targets = self.package.targets(self.part)
        tree = parse(self.package.read(self.part))
        self.package.strict = STRICT_MAIN in tree.tag
        for one in (sheet for part in tree if local(part) == "sheets" for sheet in part):
            relation = next(str(value) for name, value in one.attrib.items() if str(name).endswith("}id"))
            self.tabs[str(one.get("name"))] = targets[relation]
        self.styles_part = self.package.related(self.part, "styles")
        self.styles = Styles(self.package.read(self.styles_part) if self.styles_part else EMPTY)

    def mark(self, marks: Sequence[Mark], entries: Mapping[tuple[str, str], str], old: str) -> None:
        """Colour, comment and fill in cells of every tab."""
        by_tab: dict[str, dict[str, list[Mark]]] = defaultdict(lambda: defaultdict(list))
        for one in marks:
            by_tab[one.tab][one.cell].append(one)
        for tab, cell in entries:
            by_tab[tab].setdefault(cell, [])
        for tab, part in self.tabs.items():
            if tab != old and (tab in by_tab or self.styles.ours or self.package.related(part, "comments")):
                given = {cell: text for (there, cell), text in entries.items() if there == tab}
                self.mark_tab(part, by_tab.get(tab, {}), given)

    def mark_tab(self, part: str, cells: Mapping[str, Sequence[Mark]], entries: Mapping[str, str]) -> None:
        before = self.package.read(part)
        xml = tidy(before)
        if b"sheetData" not in xml:
            return  # a sheet of a chart
        xml = restyle(xml, self.styles.ours)
        edits: dict[tuple[int, int], Edit] = {}
        texts: dict[str, str] = {}
        for cell, told in cells.items():
            worst = min((one.severity for one in told), key=lambda one: _RANK[one], default=None)
            edits[split(cell)] = Edit(worst, entries.get(cell))
            if told and len(texts) < MOST_COMMENTS:
                texts[cell] = "\n".join(dict.fromkeys(one.text for one in told))
        if edits:
            xml = edit_cells(xml, edits, self.styles.marked)
        xml = self.comment(part, xml, texts)
        if xml != before:
            self.package.changed[part] = xml

    def comment(self, part: str, xml: bytes, texts: Mapping[str, str]) -> bytes:
        """Put the comments of one tab into its parts; returns the tab's XML."""
        comments = self.package.related(part, "comments")
        if not comments and not texts:
            return xml
        made, shown, gone = edit_comments(self.package.read(comments) if comments else COMMENTS, texts)
        if not texts and not gone and b"Caseweave: " not in self.package.read(comments):
            return xml
        if comments:
            self.package.changed[comments] = made
        else:
            comments = self.package.free("xl/comments{}.xml")
            self.package.add(comments, "comments", made)
            self.package.relate(part, "comments", comments)
        relation = legacy_drawing(xml)
        if relation:
            drawing = self.package.targets(part)[relation]
            self.package.changed[drawing] = edit_drawing(self.package.read(drawing), shown, gone)
            return xml
        drawing = self.package.free("xl/drawings/vmlDrawing{}.vml")
        self.package.add(drawing, "vmlDrawing", edit_drawing(DRAWING, shown, gone))
        return add_legacy_drawing(xml, self.package.relate(part, "vmlDrawing", drawing))

    def ask(self, queries: Sequence[Query], old: str, speech: Speech) -> None:
        """Write the sheet of queries, in the place of the earlier one or as the last tab."""
        xml = query_sheet(queries, dict.fromkeys(self.tabs, True), self.styles, speech)
        if old in self.tabs:
            part = self.tabs[old]
            self.package.changed[part] = (
                xml.replace(MAIN.encode(), STRICT_MAIN.encode()) if self.package.strict else xml
            )
            relations = re.sub(r"([^/]*)$", r"_rels/\1.rels", part)
            if relations in self.package:  # what led to the comments, tables or printer settings of the old sheet
                self.package.changed[relations] = re.sub(rb"<Relationship\b[^>]*?/>", b"", self.package.read(relations))
            return
        part = self.package.free("xl/worksheets/sheet{}.xml")
        self.package.add(part, "worksheet", xml)
        relation = self.package.relate(self.part, "worksheet", part)
        tree = parse(self.package.read(self.part))
        sheets = next(one for one in tree if local(one) == "sheets")
        names = {name.casefold() for name in self.tabs}
        choices = (QUERIES, f"{QUERIES} (Caseweave)", *(f"{QUERIES} (Caseweave{n})" for n in range(2, 99)))
        made = child(sheets, "sheet")
        made.set("name", next(one for one in choices if one.casefold() not in names))
        made.set("sheetId", str(max((int(one.get("sheetId", 0)) for one in sheets if one is not made), default=0) + 1))
        space = next(str(name) for name in sheets[0].attrib if str(name).endswith("}id"))
        made.set(space, relation)
        self.package.changed[self.part] = write(tree)

    def close(self) -> bytes:
        """The workbook with its styles."""
        made = self.styles.write()
        if self.styles_part:
            self.package.changed[self.styles_part] = made
        else:
            self.package.add("xl/styles.xml", "styles", made)
            self.package.relate(self.part, "styles", "xl/styles.xml")
        return self.package.close()
