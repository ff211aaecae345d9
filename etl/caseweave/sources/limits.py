"""How large and how slow a source may be before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost.

    >>> Limits().seconds_for(10 * MEGABYTE)
    60.0

    `seconds` holds for files of ordinary size, every megabyte on disk adds `seconds_per_megabyte`; `memory`
    is that of the child process that parses; `unpacked`, `ratio` and `entries` are those of a zip; `cells`
    counts the rectangle from A1 to the last filled cell of one sheet; `field` is the longest text of one csv
    cell; `document` is the size of one JSON or BSON document, `depth` how deep it may be nested, `nodes` how many
    values it may hold.
    """

    seconds: float = 20.0
    seconds_per_megabyte: float = 4.0
    memory: int = 1 << 30
    unpacked: int = 2 << 30
    ratio: int = 250
    entries: int = 20_000
    cells: int = 50_000_000
    field: int = MEGABYTE
    document: int = 256 * MEGABYTE
    depth: int = 100
    nodes: int = 20_000_000

    def seconds_for(self, size: int) -> float:
        """The time allowed for a file of `size` bytes on disk."""
        return self.seconds + self.seconds_per_megabyte * size / MEGABYTE
