"""The lines of DIR/fhir by reference: each file is gone through once for what is wanted, then read in place."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

MARK = b'"id":"'


class Lines:
    """Resources of a folder of NDJSON files, found by type and id.

    >>> with Lines(Path("caseweave-breast/fhir"), ["Patient/a"]) as line:  # doctest: +SKIP
    ...     line("Patient/a")

    Arguments: `wanted` are the references that will be asked for.
    """

    def __init__(self, folder: Path, wanted: Iterable[str]) -> None:
        self._stack = contextlib.ExitStack()
        self._maps: dict[str, mmap.mmap] = {}
        self._places: dict[str, tuple[int, int]] = {}
        by_type: dict[str, set[bytes]] = {}
        for ref in wanted:
            name, _, own = ref.partition("/")
            by_type.setdefault(name, set()).add(own.encode())
        for name, ids in by_type.items():
            path = folder / f"{name}.ndjson"
            if path.exists() and path.stat().st_size:
                file = self._stack.enter_context(path.open("rb"))
                self._maps[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._places.update((f"{name}/{own.decode()}", place) for own, place in _places(file, ids))

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._maps.values():
            one.close()
        self._stack.close()

    def __contains__(self, ref: str) -> bool:
        return ref in self._places

    def __call__(self, ref: str) -> bytes:
        """The JSON of a resource; raises KeyError where the folder lacks it."""
        start, end = self._places[ref]
        return self._maps[ref.partition("/")[0]][start:end]


def id_of(line: bytes) -> bytes:
    """The id of a resource, which is the first that its line holds.

    >>> id_of(b'{"resourceType":"Patient","id":"a"}')
    b'a'
    """
    begin = line.index(MARK) + len(MARK)
    return line[begin : line.index(b'"', begin)]


def _places(file: BinaryIO, ids: set[bytes]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    start = 0
    for line in file:
        end = start + len(line)
        own = id_of(line)
        if own in ids:
            yield own, (start, start + len(line.rstrip(b"\r\n")))
        start = end
