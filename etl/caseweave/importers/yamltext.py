"""Plain values as YAML text that people can read and edit: one field, check or rule a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ .|/()-]*(?<![ .])")
WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Number(str):
    """Digits that stand unquoted, as they were written."""


def scalar(value: object) -> str:
    """One value; text is quoted where YAML would take it for something else.

    >>> scalar("Age at diagnosis"), scalar("0"), scalar("no"), scalar(True), scalar('a = "b"')
    ('Age at diagnosis', '"0"', '"no"', 'true', '\\'a = "b"\\'')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Number | int | float):
        return str(value)
    text = str(value)
    if PLAIN.fullmatch(text) and text.casefold() not in WORDS:
        return text
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def flow(value: object) -> str:
    """A value, mapping or list on one line.

    >>> flow({"type": "code", "range": {"error": [Number("0"), None]}})
    '{type: code, range: {error: [0, null]}}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def comment(text: str) -> str:
    """A line of comment."""
    return "# " + " ".join(text.split())
