"""Numbers of xls workbooks under formats that change what they say.

Of Excel 5.0 and 95 workbooks the bulk reader loses the first character of each format: "[Red]0.0" becomes a date
format there, and 50 becomes 1900-02-19. This finds the numbers whose format, read whole, is no date format; they are
put back afterwards. And it finds the percents of all xls workbooks.

Standard: MS-XLS 2.4.126 (Format), 2.4.353 (XF), 2.4.180 (Number), 2.4.220 (RK), 2.4.175 (MulRk), 2.4.127 (Formula).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator

Place = tuple[int, int]
Record = tuple[int, int, int]
Style = tuple[int, str | None]

_FORMAT, _STYLE, _NUMBER, _RK, _MANY_RK, _FORMULA = 0x041E, 0x00E0, 0x0203, 0x027E, 0x00BD, 0x0006
_CELL = struct.Struct("<HHH")
_FLOAT = struct.Struct("<d")
_LONG = struct.Struct("<i")


def styles_of(content: bytes, records: Iterable[Record], *, excel95: bool) -> list[Style]:
    """The number format of every cell style, key and text, from the records of the workbook's globals."""
    formats: dict[int, str] = {}
    keys: list[int] = []
    for kind, at, length in records:
        if kind == _FORMAT and length >= 5:
            payload = content[at : at + length]
            formats[_short(content, at)] = _old_text(payload) if excel95 else _text(payload)
        elif kind == _STYLE:
            keys.append(_short(content, at + 2))
    return [(key, formats.get(key)) for key in keys]


def _old_text(payload: bytes) -> str:
    return payload[3 : 3 + payload[2]].decode("latin-1")


def _text(payload: bytes) -> str:
    length, wide = _short(payload, 2), payload[4] & 1
    return payload[5 : 5 + length * (1 + wide)].decode("utf-16-le" if wide else "latin-1", "replace")


def numbers_of(content: bytes, records: Iterable[Record], styles: Collection[int]) -> dict[Place, float]:
    """The numbers of one sheet that stand under one of these styles."""
    return {place: number for place, style, number in _numbers(content, records) if style in styles}


def _numbers(content: bytes, records: Iterable[Record]) -> Iterator[tuple[Place, int, float]]:
    for kind, at, length in records:
        if kind in (_NUMBER, _FORMULA) and length >= 14:
            row, column, style = _CELL.unpack_from(content, at)
            if kind == _NUMBER or content[at + 12 : at + 14] != b"\xff\xff":
                yield (row, column), style, _FLOAT.unpack_from(content, at + 6)[0]
        elif kind == _RK and length >= 10:
            row, column, style = _CELL.unpack_from(content, at)
            yield (row, column), style, packed_number(content, at + 6)
        elif kind == _MANY_RK and length >= 12:
            row, first = _short(content, at), _short(content, at + 2)
            for number in range((length - 6) // 6):
                item = at + 4 + 6 * number
                yield (row, first + number), _short(content, item), packed_number(content, item + 2)


def packed_number(content: bytes, at: int) -> float:
    """A number in RK form: 30 bits of an integer or of a float, perhaps a hundred times too large."""
    (bits,) = _LONG.unpack_from(content, at)
    number = float(bits >> 2) if bits & 2 else _FLOAT.unpack(b"\0" * 4 + _LONG.pack(bits & ~3))[0]
    return number / 100 if bits & 1 else number


def _short(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")
