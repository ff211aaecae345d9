"""What a value of a primitive type looks like (FHIR R4, 2.24.0.1): one test per type."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
CLOCK = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
DATE_TIME = re.compile(rf"({DATE.pattern})|(\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{CLOCK}{ZONE})")
INSTANT = re.compile(rf"\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{CLOCK}{ZONE}")
TIME = re.compile(CLOCK)
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9]\d*))+")
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CODE = re.compile(r"[^\s]+(\s[^\s]+)*")
BASE64 = re.compile(r"(\s*([0-9a-zA-Z+/=]){4}\s*)+")
# letters that neither a FHIR string nor XML may hold
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
LARGEST = 2**31 - 1


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not CONTROL.search(value)


def _spelled(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None and not CONTROL.search(value)


def _whole(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST


def _on_calendar(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    spelled = _spelled(pattern)

    def test(value: object) -> bool:
        if not isinstance(value, str) or not spelled(value):
            return False
        try:
            datetime.date.fromisoformat((value[:10] + "-01-01")[:10])
        except ValueError:  # 2020-02-31
            return False
        return True

    return test


def _uri(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not re.search(r"\s", value) and not CONTROL.search(value)


TESTS: dict[str, Callable[[object], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": _whole(-LARGEST - 1),
    "unsignedInt": _whole(0),
    "positiveInt": _whole(1),
    "decimal": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": _text,
    "markdown": _text,
    "xhtml": lambda value: isinstance(value, str) and value.startswith("<div"),
    "id": _spelled(ID),
    "code": _spelled(CODE),
    "oid": _spelled(OID),
    "uuid": _spelled(UUID),
    "base64Binary": _spelled(BASE64),
    "date": _on_calendar(DATE),
    "dateTime": _on_calendar(DATE_TIME),
    "instant": _on_calendar(INSTANT),
    "time": _spelled(TIME),
    "uri": _uri,
    "url": _uri,
    "canonical": _uri,
}


def is_primitive_value(fhir_type: str, value: object) -> bool:
    """Whether a JSON value can stand for a primitive type.

    >>> is_primitive_value("date", "2020-02-31"), is_primitive_value("dateTime", "2020-02")
    (False, True)
    """
    test = TESTS.get(fhir_type)
    return test is not None and test(value)
