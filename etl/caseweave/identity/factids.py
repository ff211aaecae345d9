"""Ids of facts, keyed: a bare hash of a date could be guessed.

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
_ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)
_BLOCK = 8192

RawIds = npt.NDArray[np.uint8]
Letters = npt.NDArray[np.bytes_]


def messages(subjects: Sequence[str], occurrences: Sequence[str]) -> list[bytes]:
    """What the ids of facts are hashed from: netstrings of the pseudonym and of what tells the patient's facts apart.

    >>> messages(["p1", "p2"], ["7", ""])
    [b'2:p11:7', b'2:p20:']

    They are the same for all statements of a sheet, so that they are made once. Raises ValueError when the arguments
    differ in length.
    """
    pairs = zip(subjects, occurrences, strict=True)
    return [f"{len(a)}:{a}{len(b)}:{b}".encode("utf-8", "surrogatepass") for a, b in pairs]


def fact_digests(key: ProjectKey, study: str, statement: str, about: Iterable[bytes]) -> RawIds:
    """Return the raw ids of one statement's facts, 20 bytes each.

    >>> fact_digests(ProjectKey("breast", bytes(32)), "breast", "diagnosis.cancer", messages(["p1"], [""])).shape
    (1, 20)

    Arguments: `statement` is `sheet.name` with its repeat; `about` as `messages` makes them.
    """
    # one derived key per batch instead of a prefix
    return _digests(key.subkey("fact", netstrings(study, statement)), about)


def patient_digests(key: ProjectKey, subjects: Sequence[str]) -> RawIds:
    """Return the raw ids of the patients' own facts, of the subject alone: a project's studies share one Patient.

    >>> len(patient_digests(ProjectKey("breast", bytes(32)), ["p1"]))
    1
    """
    return _digests(key.subkey("patient"), (netstrings(subject) for subject in subjects))


def fact_ids(
    key: ProjectKey, study: str, statement: str, subjects: Sequence[str], occurrences: Sequence[str] | None = None
) -> Letters:
    """Return the ids of one statement's facts, in the order of the subjects, as an array of 32 letters each.

    >>> fact_ids(ProjectKey("breast", bytes(32)), "breast", "diagnosis.cancer", ["p1", "p2"]).tolist()
    [b'742tcy572yedgdrob6yrcwf2jsrvd6sm', b'3asmazshgktkdgzamb6eptxwx454gcme']

    Arguments: `subjects` are pseudonyms; `occurrences` tell facts of one statement and subject apart, None where there
    is one each. Raises ValueError when the two differ in length.
    """
    about = messages(subjects, [""] * len(subjects) if occurrences is None else occurrences)
    return letters(fact_digests(key, study, statement, about))


def letters(raw: RawIds) -> Letters:
    """Write raw ids as 32 lower-case base32 characters each (RFC 4648 order, no padding needed).

    >>> letters(np.zeros((1, 20), dtype=np.uint8)).tolist()
    [b'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']
    """
    text = bytearray()
    for begin in range(0, len(raw), _BLOCK):  # blocks stay in the cache
        text += _base32_block(raw[begin : begin + _BLOCK])
    return np.frombuffer(bytes(text), dtype=f"S{FACT_ID_LENGTH}")


def _digests(key: bytes, about: Iterable[bytes]) -> RawIds:
    start = hashlib.blake2b(key=key, digest_size=_DIGEST).copy  # a copy is quicker than a new start with the key
    found = []
    for message in about:
        state = start()
        state.update(message)
        found.append(state.digest())
    return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, _DIGEST)


def _base32_block(octets: RawIds) -> bytes:
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
