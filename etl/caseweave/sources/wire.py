"""How readings travel from the child: JSON for what is small, bytes for the codes, nothing that runs on load."""

from __future__ import annotations

import dataclasses
import datetime
import os
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import orjson

from caseweave.errors import (
    SourceDamaged,
    SourceError,
    SourceProtected,
    SourceTooLarge,
    SourceUnsupported,
)
from caseweave.sources.jsonplan import JsonSheet
from caseweave.sources.limits import Limits
from caseweave.values.grid import Grid, GridColumn, RawCell
from caseweave.values.types import CellError, Digits

_LENGTH = struct.Struct("<Q")
_ERRORS: dict[str, type[SourceError]] = {
    kind.__name__: kind for kind in (SourceError, SourceDamaged, SourceProtected, SourceTooLarge, SourceUnsupported)
}
# values that JSON doesn't know, as [mark, text]; a datetime is a date too, so it stands first
_TO_JSON: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (datetime.datetime, "datetime", datetime.datetime.isoformat),
    (datetime.date, "date", datetime.date.isoformat),
    (datetime.time, "time", datetime.time.isoformat),
    (datetime.timedelta, "span", lambda span: [span.days, span.seconds, span.microseconds]),
    (CellError, "error", lambda error: error.text),
    (Digits, "digits", str),
)
_FROM_JSON: dict[str, Callable[[Any], RawCell]] = {
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "span": lambda parts: datetime.timedelta(*parts),
    "error": CellError,
    "digits": Digits,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the child is to read."""

    path: str
    kind: str
    password: str | None
    limits: Limits
    sheets: tuple[JsonSheet, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the child read; `memory` is the child's peak in bytes, 0 where the platform doesn't tell."""

    kind: str
    modified: datetime.datetime | None
    grids: tuple[Grid, ...]
    notes: tuple[str, ...] = ()
    memory: int = 0


def send_request(stream: IO[bytes], request: Request) -> None:
    """Parent to child."""
    # a path may hold bytes that are no text
    path = os.fsencode(request.path).decode("latin-1")
    _write(stream, dataclasses.asdict(request) | {"path": path})
    stream.flush()


def receive_request(stream: IO[bytes]) -> Request:
    """In the child; EOFError when the parent is done."""
    fields = _read(stream)
    path = os.fsdecode(fields["path"].encode("latin-1"))
    sheets = tuple(JsonSheet(**{**one, "paths": tuple(one["paths"])}) for one in fields["sheets"])
    return Request(path, fields["kind"], fields["password"], Limits(**fields["limits"]), sheets)


def send_answer(stream: IO[bytes], answer: Reading | SourceError) -> None:
    """Child to parent: what was read, or the typed error."""
    if isinstance(answer, SourceError):
        kind = next(base.__name__ for base in type(answer).__mro__ if base.__name__ in _ERRORS)
        _write(stream, {"error": kind, "way_out": answer.way_out, "data": answer.data})
    else:
        head = {
            "kind": answer.kind,
            "modified": answer.modified.isoformat() if answer.modified else None,
            "notes": answer.notes,
            "memory": answer.memory,
            "grids": [_grid_head(grid) for grid in answer.grids],
        }
        _write(stream, head)
        for grid in answer.grids:
            for column in grid.columns:
                stream.write(column.codes.tobytes())
    stream.flush()


def receive_answer(stream: IO[bytes]) -> Reading | SourceError:
    """In the parent; EOFError when the child died."""
    head = _read(stream)
    if "error" in head:
        data = dict(head["data"])
        kind = _ERRORS.get(head["error"], SourceError)
        return kind(data.pop("file", ""), data.pop("reason", ""), way_out=head["way_out"], **data)
    modified = datetime.datetime.fromisoformat(head["modified"]) if head["modified"] else None
    grids = tuple(_receive_grid(stream, fields) for fields in head["grids"])
    return Reading(head["kind"], modified, grids, tuple(head["notes"]), head["memory"])


def _grid_head(grid: Grid) -> dict[str, Any]:
    return {
        "name": grid.name,
        "hidden": grid.hidden,
        "height": grid.height,
        "width": grid.width,
        "merged": grid.merged,
        "at": grid.at,
        "keys": grid.keys,
        "lengths": grid.lengths,
        "struck": grid.struck,
        "distinct": [[_to_json(value) for value in column.distinct] for column in grid.columns],
    }


def _receive_grid(stream: IO[bytes], head: dict[str, Any]) -> Grid:
    columns = []
    for distinct in head["distinct"]:
        codes = array("I")
        codes.frombytes(_exactly(stream, codes.itemsize * head["height"]))
        values = [_FROM_JSON[value[0]](value[1]) if type(value) is list else value for value in distinct]
        columns.append(GridColumn(codes, values))
    merged = tuple((top, left, bottom, right) for top, left, bottom, right in head["merged"])
    keys = tuple((steps, key) for steps, key in head["keys"])
    size = (head["height"], head["width"])
    marks = (tuple(head["lengths"]), tuple((row, column) for row, column in head["struck"]))
    return Grid(head["name"], head["hidden"], *size, tuple(columns), merged, tuple(head["at"]), keys, *marks)


def _to_json(value: RawCell) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    for kind, mark, convert in _TO_JSON:
        if isinstance(value, kind):
            return [mark, convert(value)]
    raise TypeError(f"no cell holds a {type(value).__name__}")


def _write(stream: IO[bytes], message: Any) -> None:
    payload = orjson.dumps(message, option=orjson.OPT_PASSTHROUGH_DATETIME)
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)


def _read(stream: IO[bytes]) -> Any:
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return orjson.loads(_exactly(stream, length))


def _exactly(stream: IO[bytes], length: int) -> bytes:
    payload = stream.read(length)
    if len(payload) < length:
        raise EOFError
    return payload
