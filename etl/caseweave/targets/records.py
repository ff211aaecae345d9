"""Records: one per resource or row that a target holds, with a keyed hash of its content; what the ledger compares.

A record's hash is a sum of keyed hashes of (column, value), each computed once per distinct value, then mixed:
comparing a national export costs additions, not renderings. Hashes are 64 bits and keyed, so that nothing
can be guessed from one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from caseweave.identity.factids import letters

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Records:
    """Columns of equal length, one line per record.

    Arguments: `unit` numbers the patient's sheet; `ids` are raw fact ids (N x 20 bytes); `place` is the rendering in
    its pattern; `kind` numbers the resource type or table; `integer` is OMOP's, 0 where there is none; `batch` and
    `fact` tell where the record came from in this run (-1 in a ledger's).
    """

    unit: NDArray[np.int32]
    ids: NDArray[np.uint8]
    place: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    integer: NDArray[np.int32]
    hash: Hashes
    batch: NDArray[np.int32]
    fact: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Records:
        """Some of the records; all of them are the same ones, without a copy."""
        if isinstance(chosen, np.ndarray) and chosen.dtype == np.bool_ and chosen.all():
            return self
        return Records(*(getattr(self, one.name)[chosen] for one in fields(self)))

    def with_integers(self, integer: NDArray[np.int32]) -> Records:
        """The same records with other integers."""
        return Records(self.unit, self.ids, self.place, self.kind, integer, self.hash, self.batch, self.fact)

    def with_hashes(self, hashes: Hashes) -> Records:
        """The same records with other hashes."""
        return Records(self.unit, self.ids, self.place, self.kind, self.integer, hashes, self.batch, self.fact)

    def keys(self) -> NDArray[np.void]:
        """What identifies each record, as comparable bytes: fact id, rendering, kind."""
        joined = np.concatenate([self.ids, self.place[:, None], self.kind[:, None]], axis=1)
        return np.ascontiguousarray(joined).view("V22").reshape(-1)


def concatenate(parts: Sequence[Records]) -> Records:
    """Records below each other; none at all is fine, and a single part stays as it is."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Records(
            *(np.zeros((0, 20) if one.name == "ids" else 0, dtype=_DTYPES[one.name]) for one in fields(Records))
        )
    return Records(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Records)))


_DTYPES = {
    "unit": np.int32,
    "ids": np.uint8,
    "place": np.uint8,
    "kind": np.uint8,
    "integer": np.int32,
    "hash": np.uint64,
    "batch": np.int32,
    "fact": np.int32,
}


def grouped(records: Records, *names: str) -> Iterator[tuple[tuple[int, ...], NDArray[np.intp]]]:
    """Yield each combination of some columns with the records that have it, combinations in their order.

    >>> [(key, rows.tolist()) for key, rows in grouped(concatenate([]), "batch", "place")]
    []
    """
    columns = [getattr(records, name).astype(np.int64) for name in names]
    if not len(records):
        return
    mixed = np.zeros(len(records), dtype=np.int64)
    for column in columns:
        mixed = mixed * (int(column.max()) + 1) + column
    # short numbers are sorted by their digits, in one go over the records
    order = np.argsort(mixed.astype(np.uint16) if mixed.max() < 1 << 16 else mixed, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(mixed[order]) != 0]).tolist()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield tuple(int(column[order[start]]) for column in columns), order[start:end]


def text_ids(raw: NDArray[np.uint8]) -> list[str]:
    """Raw fact ids as the text that FHIR ids are made of."""
    return [one.decode("ascii") for one in letters(raw).tolist()]


def hash_values(key: bytes, column: str, values: Iterable[object]) -> Hashes:
    """A keyed hash of each value of one column; absent values count as nothing.

    Arguments: `key` of 32 bytes; `values` have a repr that says all of them (frozen dataclasses, text, numbers).
    """
    head = column.encode() + b"\x00"
    digests = [
        b"\x00" * 8 if value is None else hashlib.blake2b(head + repr(value).encode(), key=key, digest_size=8).digest()
        for value in values
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def id_words(ids: NDArray[np.uint8]) -> Hashes:
    """The first eight bytes of raw ids as numbers: keyed already, so that they are as good as a hash."""
    return np.ascontiguousarray(ids[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


def mix(words: Hashes) -> Hashes:
    """Scramble 64-bit numbers so that sums of them tell sets apart (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))


def seal(content: Hashes, ids: NDArray[np.uint8], place: int, kind: NDArray[np.uint8]) -> Hashes:
    """The hash of a record: of its content and of what it is."""
    with np.errstate(over="ignore"):
        return mix(
            content
            + id_words(ids) * np.uint64(3)
            + np.uint64(place * 257 + 1)
            + kind.astype(np.uint64) * np.uint64(65537)
        )


def unit_digests(records: Records, units: int) -> Hashes:
    """The digest of each unit: the sum of its records' hashes, whatever their order."""
    digests = np.zeros(units, dtype=np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(digests, records.unit, mix(records.hash))
    return digests
