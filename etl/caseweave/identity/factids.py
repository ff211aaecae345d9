"""Ids of facts and hashes of their content, all keyed: a bare hash of a date could be guessed.

A fact id doesn't depend on the order or division of the input, on values, or on a study's version, only on
what it is about. Everything here is BLAKE2b (RFC 7693) in its keyed mode under a key derived per purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from caseweave.identity.keyfile import ProjectKey
from caseweave.identity.subjects import netstrings

FACT_ID_LENGTH = 32  # base32 characters of 20 bytes: leaves room for a rendering name in a FHIR id (64)
_DIGEST = 20
_CONTENT = 16
_ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)
_BLOCK = 65536


def fact_ids(
    key: ProjectKey,
    study: str,
    statement: str,
    subjects: Sequence[str],
    occurrences: Sequence[str] | None = None,
) -> npt.NDArray[np.bytes_]:
    """Return the ids of one statement's facts, in the order of the subjects, as an array of 32 letters each.

    >>> fact_ids(ProjectKey("breast", bytes(32)), "breast", "diagnosis.cancer", ["p1", "p2"]).tolist()
    [b'742tcy572yedgdrob6yrcwf2jsrvd6sm', b'3asmazshgktkdgzamb6eptxwx454gcme']

    Arguments: `statement` is `sheet.name` with its repeat; `subjects` are pseudonyms; `occurrences` tell
    facts of one statement and subject apart, None where there is one each. Raises ValueError when the two
    differ in length.
    """
    # one derived key per batch instead of a prefix, and a copy of the state that has absorbed it
    batch = key.subkey("fact", netstrings(study, statement))
    start = hashlib.blake2b(key=batch, digest_size=_DIGEST).copy
    if occurrences is None:
        texts = [f"{len(subject)}:{subject}0:" for subject in subjects]
    else:
        pairs = zip(subjects, occurrences, strict=True)
        texts = [f"{len(subject)}:{subject}{len(occurrence)}:{occurrence}" for subject, occurrence in pairs]
    digests = []
    for text in texts:
        state = start()
        state.update(text.encode("utf-8", "surrogatepass"))
        digests.append(state.digest())
    return _base32(b"".join(digests))


def patient_fact_id(key: ProjectKey, subject: str) -> str:
    """Return the id of the patient's own fact, of the subject alone: a project's studies share one Patient.

    >>> len(patient_fact_id(ProjectKey("breast", bytes(32)), "p1"))
    32
    """
    digest = hashlib.blake2b(netstrings(subject), key=key.subkey("patient"), digest_size=_DIGEST).digest()
    text: bytes = _base32(digest)[0]
    return text.decode("ascii")


def content_hashes(key: ProjectKey, contents: Iterable[bytes]) -> list[bytes]:
    """Hash what was rendered, 16 bytes each: equal hashes mean that a target holds the content already.

    >>> [len(found) for found in content_hashes(ProjectKey("breast", bytes(32)), [b"{}", b"[]"])]
    [16, 16]
    """
    derived = key.subkey("content")
    blake2b = hashlib.blake2b
    return [blake2b(content, key=derived, digest_size=_CONTENT).digest() for content in contents]


def unit_digest(pairs: Iterable[tuple[str, bytes]]) -> bytes:
    """Digest a unit of the ledger from its facts' ids and content hashes, whatever their order.

    >>> unit_digest([("a", b"1"), ("b", b"2")]) == unit_digest([("b", b"2"), ("a", b"1")])
    True

    Both parts of a pair are keyed already, so that the digest needs no key of its own.
    """
    state = hashlib.blake2b(digest_size=_CONTENT)
    for name, content in sorted(pairs):
        state.update(netstrings(name) + b"%d:" % len(content) + content)
    return state.digest()


def _base32(digests: bytes) -> npt.NDArray[np.bytes_]:
    """Write 20-byte digests as 32 lower-case base32 characters each (RFC 4648 order, no padding needed)."""
    text = bytearray()
    for begin in range(0, len(digests), _BLOCK * _DIGEST):  # blocks stay in the cache
        text += _base32_block(np.frombuffer(digests[begin : begin + _BLOCK * _DIGEST], dtype=np.uint8))
    return np.frombuffer(bytes(text), dtype=f"S{FACT_ID_LENGTH}")


def _base32_block(octets: npt.NDArray[np.uint8]) -> bytes:
    five = octets.reshape(-1, 5).T
    eight = np.empty((five.shape[1], 8), dtype=np.uint8)
    eight[:, 0] = five[0] >> 3
    eight[:, 1] = (five[0] << 2 | five[1] >> 6) & 31
    eight[:, 2] = (five[1] >> 1) & 31
    eight[:, 3] = (five[1] << 4 | five[2] >> 4) & 31
    eight[:, 4] = (five[2] << 1 | five[3] >> 7) & 31
    eight[:, 5] = (five[3] >> 2) & 31
    eight[:, 6] = (five[3] << 3 | five[4] >> 5) & 31
    eight[:, 7] = five[4] & 31
    return _ALPHABET[eight].tobytes()
