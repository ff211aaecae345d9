"""Numbers of Excel 5.0 and 95 workbooks: the bulk reader loses the first character of their formats.

So "[Red]0.0" becomes a date format there, and 50 becomes 1900-02-19. This finds the numbers whose format, read
whole, is no date format; they are put back afterwards.

Standard: MS-XLS 2.4.126 (Format), 2.4.353 (XF), 2.4.180 (Number), 2.4.220 (RK), 2.4.175 (MulRk), 2.4.127 (Formula).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

Place = tuple[int, int]
Record = tuple[int, int, int]

_FORMAT, _STYLE, _NUMBER, _RK, _MANY_RK, _FORMULA = 0x041E, 0x00E0, 0x0203, 0x027E, 0x00BD, 0x0006
_BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
# literal text, escaped or padding characters, colours, conditions and locales say nothing about the kind of a value
_SILENT = re.compile(r'"[^"]*"|[\\_*].|\[(?![hms]+\])[^\]]*\]|General', re.IGNORECASE)
_DATE_LETTERS = re.compile(r"[dmyhs]", re.IGNORECASE)
_CELL = struct.Struct("<HHH")
_FLOAT = struct.Struct("<d")
_LONG = struct.Struct("<i")


def plain_styles(content: bytes, records: Iterable[Record]) -> frozenset[int]:
    """The styles (by number) whose format is none of a date; from the records of the workbook's globals."""
    formats: dict[int, str] = {}
    styles: list[int] = []
    for kind, at, length in records:
        if kind == _FORMAT and length >= 3:
            end = min(at + 3 + content[at + 2], at + length)
            formats[_short(content, at)] = content[at + 3 : end].decode("latin-1")
        elif kind == _STYLE:
            styles.append(_short(content, at + 2))
    return frozenset(number for number, key in enumerate(styles) if not is_date_format(key, formats.get(key)))


def is_date_format(key: int, text: str | None) -> bool:
    """Whether a number format shows dates or times.

    >>> is_date_format(164, "[Red]0.0"), is_date_format(165, "[h]:mm"), is_date_format(14, None)
    (False, True, True)
    """
    if text is None:
        return key in _BUILT_IN_DATES
    first = _SILENT.sub("", text).partition(";")[0]
    return _DATE_LETTERS.search(first) is not None


def plain_numbers(content: bytes, records: Iterable[Record], styles: frozenset[int]) -> dict[Place, float]:
    """The numbers of one sheet that stand under a style without a date."""
    return {place: number for place, style, number in _numbers(content, records) if style in styles}


def _numbers(content: bytes, records: Iterable[Record]) -> Iterator[tuple[Place, int, float]]:
    for kind, at, length in records:
        if kind in (_NUMBER, _FORMULA) and length >= 14:
            row, column, style = _CELL.unpack_from(content, at)
            if kind == _NUMBER or content[at + 12 : at + 14] != b"\xff\xff":
                yield (row, column), style, _FLOAT.unpack_from(content, at + 6)[0]
        elif kind == _RK and length >= 10:
            row, column, style = _CELL.unpack_from(content, at)
            yield (row, column), style, _packed(content, at + 6)
        elif kind == _MANY_RK and length >= 12:
            row, first = _short(content, at), _short(content, at + 2)
            for number in range((length - 6) // 6):
                item = at + 4 + 6 * number
                yield (row, first + number), _short(content, item), _packed(content, item + 2)


def _packed(content: bytes, at: int) -> float:
    """A number in RK form: 30 bits of an integer or of a float, perhaps a hundred times too large."""
    (bits,) = _LONG.unpack_from(content, at)
    number = float(bits >> 2) if bits & 2 else _FLOAT.unpack(b"\0" * 4 + _LONG.pack(bits & ~3))[0]
    return number / 100 if bits & 1 else number


def _short(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")
