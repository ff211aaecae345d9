"""One value of a document as a cell, whatever JSON, MongoDB or BSON makes of it."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

from caseweave.values.grid import RawCell
from caseweave.values.types import Digits

INT64 = 1 << 63
_EPOCH = datetime.datetime(1970, 1, 1)
# how MongoDB writes into JSON what JSON has no type for
_EXTENDED = frozenset({"$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"})
# what is a cell as it stands
PLAIN = frozenset({str, int, bool, Digits, datetime.datetime})
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}


def is_object(value: Any) -> bool:
    """Whether a value has keys of its own, and isn't MongoDB's way to write a single value."""
    return isinstance(value, dict) and not (len(value) == 1 and value.keys() <= _EXTENDED)


def cell_of(value: Any) -> RawCell:
    """One value as a cell; an object or a list that a field or nobody claims as a whole is its JSON text."""
    if value is None or isinstance(value, (bool, Digits, datetime.datetime)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return int(value) if -INT64 <= value < INT64 else Digits(str(int(value)))
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= _EXTENDED:
        return _extended(*next(iter(value.items())))
    if isinstance(value, (dict, list)):
        return sound(json.dumps(value, ensure_ascii=False, default=str)) if value else None
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "to_decimal"):  # BSON's Decimal128
        return Digits(str(value))
    return sound(str(value))


def _extended(mark: str, value: Any) -> RawCell:
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    text = str(value)
    if mark == "$oid" or value is None or isinstance(value, list):
        return sound(text)
    if mark != "$date":
        return Digits(text)
    try:
        if isinstance(value, str) and not text.lstrip("-").isdecimal():
            moment = datetime.datetime.fromisoformat(text)
            return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return _EPOCH + datetime.timedelta(milliseconds=int(text))
    except (ValueError, OverflowError):
        return sound(text)


def sound(text: str) -> str:
    """The text itself; half of a character, which JSON can write and nothing else, is damage."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise HalfCharacter from None
    return text


class HalfCharacter(ValueError):
    """A text holds half of a surrogate pair."""


def kind_of_value(value: Any) -> str:
    """What a value is, in words."""
    return _NAMES.get(type(value), "a number" if isinstance(value, (int, float, Digits)) else "a value")
