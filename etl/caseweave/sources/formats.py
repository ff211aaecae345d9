"""Number formats that change what a number says: dates, and percents.

Who types 45% into a cell of Excel stores 0.45; the format alone remembers the percent. Such a cell is read as it is
shown, as the text "45%": a field in percent takes it for 45, any other field asks.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element

BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
BUILT_IN_PERCENTS = frozenset({9, 10})

# literal text, escaped or padding characters, colours, conditions and locales say nothing about the kind of a value
_SILENT = re.compile(r'"[^"]*"|[\\_*].|\[(?![hms]+\])[^\]]*\]|General', re.IGNORECASE)
_DATE_LETTERS = re.compile(r"[dmyhs]", re.IGNORECASE)


def is_date_format(key: int, text: str | None) -> bool:
    """Whether a number format shows dates or times.

    >>> is_date_format(164, "[Red]0.0"), is_date_format(165, "[h]:mm"), is_date_format(14, None)
    (False, True, True)
    """
    if text is None:
        return key in BUILT_IN_DATES
    return _DATE_LETTERS.search(_first_section(text)) is not None


def is_percent_format(key: int, text: str | None) -> bool:
    """Whether a number format shows a hundredfold with a percent sign.

    >>> is_percent_format(9, None), is_percent_format(164, "0.0%"), is_percent_format(165, '0" %"')
    (True, True, False)
    """
    return key in BUILT_IN_PERCENTS if text is None else "%" in _first_section(text)


def percent_text(stored: str | float) -> str | None:
    """What a percent cell shows, in full precision; None for what isn't a number.

    >>> percent_text("0.28999999999999998")
    '29%'
    """
    try:
        number = Decimal(format(float(stored), ".15g")) * 100
    except (ValueError, InvalidOperation):
        return None
    if not number.is_finite():
        return None
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def percent_styles(styles: Element) -> frozenset[str]:
    """The cell styles of a workbook (by number, as text) that show percents.

    Standard: ECMA-376 part 1, 18.8.10 (cellXfs), 18.8.31 (numFmts).
    """
    formats: dict[str, str] = {}
    percents: set[str] = set()
    for part in styles:
        kind = part.tag.rpartition("}")[2]
        if kind == "numFmts":
            formats = {item.get("numFmtId", ""): item.get("formatCode", "") for item in part}
        elif kind == "cellXfs":
            for number, style in enumerate(part):
                key = style.get("numFmtId", "0")
                if key.isdecimal() and is_percent_format(int(key), formats.get(key)):
                    percents.add(str(number))
    return frozenset(percents)


def struck_styles(styles: Element) -> frozenset[str]:
    """The cell styles of a workbook (by number, as text) that cross out what stands in the cell.

    Standard: ECMA-376 part 1, 18.4.10 (strike), 18.8.22 (font).
    """
    parts = {part.tag.rpartition("}")[2]: list(part) for part in styles}
    crossed = {
        str(number)
        for number, font in enumerate(parts.get("fonts", ()))
        for item in font
        if item.tag.rpartition("}")[2] == "strike" and item.get("val", "1") not in ("0", "false")
    }
    formats = enumerate(parts.get("cellXfs", ()))
    return frozenset(str(number) for number, style in formats if style.get("fontId", "0") in crossed)


def _first_section(text: str) -> str:
    return _SILENT.sub("", text).partition(";")[0]
