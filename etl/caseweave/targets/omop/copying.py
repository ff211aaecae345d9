"""Rows as the text of PostgreSQL's COPY, made while the server reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

CHUNK = 4000
_SPECIAL = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "\ufffd"}


class _Texts(dict[object, str]):
    """The text of each value of one column, made once per distinct value."""

    def __missing__(self, value: object) -> str:
        self[value] = text = text_of(value)
        return text


def text_of(value: object) -> str:
    r"""A value as COPY's text format has it.

    >>> text_of("a\tb"), text_of(None), text_of(b"\x01"), text_of(0.1)
    ('a\\tb', '\\N', '\\\\x01', '0.1')

    A NUL, which PostgreSQL can't hold, is written as the sign for an unknown character.
    """
    if type(value) is int:  # most are keys, and no two alike
        return str(value)
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    text = str(value)
    if isinstance(value, str):
        for sign, written in _SPECIAL.items():
            if sign in text:
                text = text.replace(sign, written)
    return text


class CopyText:
    """A file of COPY lines that reads as it is asked for.

    >>> CopyText([(1, "a"), (2, None)]).read()
    b'1\\ta\\n2\\t\\\\N\\n'

    Arguments: `rows` of equal length. `count` says how many were read.
    """

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self.count = 0
        self.chunks = self._chunks(iter(rows))

    def _chunks(self, rows: Iterator[Sequence[object]]) -> Iterator[bytes]:
        while chunk := list(islice(rows, CHUNK)):
            self.count += len(chunk)
            # a memory of texts for each chunk alone: integers, of which each comes once, don't pile up
            columns = []
            for values in zip(*chunk, strict=True):
                texts = _Texts()
                columns.append([texts[value] for value in values])
            lines = "\n".join(map("\t".join, zip(*columns, strict=True)))
            yield f"{lines}\n".encode(errors="replace")

    def read(self, size: int = -1) -> bytes:
        """The next lines, some thousands whatever `size` is; nothing at the end."""
        return next(self.chunks, b"")

    readline = read
