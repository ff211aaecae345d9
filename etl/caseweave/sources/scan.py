"""Look through a workbook before it is parsed: is it safe, and what does the bulk reader not tell?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import IO

from defusedxml import ElementTree

from caseweave.errors import SourceDamaged
from caseweave.sources.formats import percent_styles, struck_styles
from caseweave.sources.limits import Limits
from caseweave.sources.package import Parts, WorkbookScan, all_named, open_package
from caseweave.sources.sheetscan import SheetScan, scan_sheet

OLD_DATES = "its dates count from 1904"


def scan_workbook(source: Path | IO[bytes], name: str, limits: Limits) -> WorkbookScan:
    """Scan an Office Open XML workbook (xlsx, xlsm, xltx, xltm).

    Arguments: the file or its decrypted bytes, its name for messages, the limits.
    Raises SourceTooLarge or SourceDamaged.
    Standard: ECMA-376 part 1, 18.2 (workbook) and 18.3 (worksheets).
    """
    with open_package(source, name, limits) as parts:
        main = parts.main("xl/workbook.xml")
        workbook = parts.xml(main)
        targets = parts.relations(main)
        styles = next((target for target in targets.values() if target.lower().endswith("styles.xml")), "")
        tree = parts.xml(styles) if styles in parts else None
        percents = percent_styles(tree) if tree is not None else frozenset()
        struck = struck_styles(tree) if tree is not None else frozenset()
        sheets: dict[str | int, SheetScan] = {}
        for sheet in all_named(workbook, "sheet"):
            relation = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
            part = targets.get(relation, "")
            if part and part not in parts:
                raise SourceDamaged(name, "a sheet is listed that isn't there", way_out="Save it again in Excel.")
            if _root(parts, part) == "worksheet":
                opening = partial(parts.open, part)
                sheets[sheet.get("name", "")] = scan_sheet(opening, name, limits, percents, struck)
        properties = next(iter(all_named(workbook, "workbookPr")), None)
        date1904 = properties is not None and properties.get("date1904", "0") in ("1", "true", "on")
        notes = (OLD_DATES,) if date1904 else ()
        return WorkbookScan(sheets, parts.modified("docprops/core.xml", "modified"), notes)


def _root(parts: Parts, part: str) -> str:
    if not part or part not in parts:
        return ""
    with parts.open(part) as stream:
        for _, element in ElementTree.iterparse(stream, events=("start",), forbid_dtd=True):
            return str(element.tag).rpartition("}")[2]
    return ""
