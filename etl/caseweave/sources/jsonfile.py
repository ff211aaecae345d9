"""JSON, NDJSON and BSON files, document by document, strictly: what a study says of them comes in jsonrows."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from caseweave.errors import SourceDamaged, SourceTooLarge, SourceUnsupported
from caseweave.sources.jsonplan import JsonSheet
from caseweave.sources.jsonrows import DocumentReader
from caseweave.sources.jsonvalues import HalfCharacter
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.values.grid import Grid
from caseweave.values.types import Digits

SHORT = 18  # digits that surely fit 64 bits


def read_documents(
    path: Path, kind: str, sheets: tuple[JsonSheet, ...], limits: Limits
) -> tuple[tuple[Grid, ...], tuple[str, ...]]:
    """Read a file of documents as one grid per sheet, and say what had to be left out.

    Arguments: the file, its kind (json, ndjson or bson), the sheets with the places of their rows, the limits. Raises
    SourceDamaged for what breaks its format, SourceUnsupported for what is built otherwise than the study says,
    SourceTooLarge beyond the limits.
    """
    reader = DocumentReader(path.name, sheets, limits)
    try:
        _READERS[kind](path, reader, limits)
        return reader.grids(), reader.notes()
    except HalfCharacter:
        raise _damaged(path.name, "a text holds half of a character (a lone surrogate)") from None
    except RecursionError:
        raise reader.too_large(f"it is nested deeper than {limits.depth} levels") from None


def _read_json(path: Path, reader: DocumentReader, limits: Limits) -> None:
    if path.stat().st_size > limits.document:
        raise SourceTooLarge(
            path.name,
            f"one JSON document of more than {limits.document // MEGABYTE:,} MB",
            way_out="Export a document per line (.ndjson), which is read line by line.",
        )
    text = _text(path.name, path.read_bytes(), "")
    documents = _values(path.name, text)
    first = next(documents)
    second = next(documents, _NOTHING)
    if second is _NOTHING:
        reader.document(first)
        return
    # mongoexport writes a document per line under the name .json
    reader.item(0, first)
    reader.item(1, second)
    for number, document in enumerate(documents, start=2):
        reader.item(number, document)


def _read_lines(path: Path, reader: DocumentReader, limits: Limits) -> None:
    number = 0
    with path.open("rb") as stream:
        for place, line in enumerate(iter(lambda: stream.readline(limits.document + 1), b""), start=1):
            if len(line) > limits.document:
                raise reader.too_large(f"line {place} is longer than {limits.document // MEGABYTE:,} MB")
            text = _text(path.name, line, f"line {place}: ")
            if not text.strip():
                continue
            found = list(_values(path.name, text, f"line {place}: "))
            if len(found) != 1:
                raise _damaged(path.name, f"line {place} holds more than one document")
            reader.item(number, found[0])
            number += 1


def _read_bson(path: Path, reader: DocumentReader, limits: Limits) -> None:
    try:
        from bson import decode
        from bson.codec_options import CodecOptions, DatetimeConversion
        from bson.errors import BSONError
    except ImportError:
        raise SourceUnsupported(
            path.name,
            "BSON needs a package that isn't installed",
            way_out="pip install 'caseweave[bson]', or export JSON with mongoexport.",
        ) from None
    options: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    with path.open("rb") as stream:
        number = 0
        while head := stream.read(4):
            size = int.from_bytes(head, "little", signed=True)
            if size > limits.document:
                raise reader.too_large(f"document {number + 1} is longer than {limits.document // MEGABYTE:,} MB")
            body = stream.read(size - 4) if size >= 5 else b""
            if len(body) != size - 4:
                raise _damaged(path.name, f"BSON document {number + 1} is cut off or says a wrong length")
            try:
                document = decode(head + body, options)
            except (BSONError, ValueError, OverflowError, TypeError, LookupError) as error:
                raise _damaged(
                    path.name, f"BSON document {number + 1} can't be read ({type(error).__name__})"
                ) from error
            reader.item(number, document)
            number += 1


_NOTHING = object()
_READERS: dict[str, Callable[[Path, DocumentReader, Limits], None]] = {
    "json": _read_json,
    "ndjson": _read_lines,
    "bson": _read_bson,
}


def _damaged(name: str, reason: str) -> SourceDamaged:
    """The error for a document that breaks its format."""
    return SourceDamaged(name, reason, way_out="Export it again.")


def _text(name: str, content: bytes, where: str) -> str:
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _damaged(name, f"{where}byte {error.start + 1:,} is no UTF-8, which JSON is written in") from None


class _Refused(ValueError):
    """What JSON's own grammar doesn't allow, or leaves open."""


def _values(name: str, text: str, where: str = "") -> Iterator[Any]:
    """The values that stand in a text, one behind the other; there is at least one."""
    place = 0
    while True:
        while text[place : place + 1] in _SPACE:
            place += 1
        try:
            value, place = _DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            spot = where or f"line {error.lineno}, "
            raise _damaged(name, f"it is no JSON: {spot}column {error.colno}: {error.msg}") from None
        except _Refused as error:
            raise _damaged(name, f"it is no JSON: {where}{error}") from None
        yield value
        while text[place : place + 1] in _SPACE:
            place += 1
        if place == len(text):
            return


_SPACE = frozenset(" \t\r\n")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Refused("a key stands twice in one object, and which of the two counts can't be told")
    return made


def _whole(text: str) -> int | Digits:
    return int(text) if len(text) <= SHORT else Digits(text)


def _constant(text: str) -> Any:
    raise _Refused(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Digits, parse_int=_whole, parse_constant=_constant, strict=True
)
