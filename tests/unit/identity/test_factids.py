from __future__ import annotations

import base64
import hashlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseweave.identity import factids
from caseweave.identity.factids import fact_ids, letters, patient_digests
from caseweave.identity.keyfile import ProjectKey

KEY = ProjectKey("breast", bytes(range(32)))
OTHER = ProjectKey("breast", bytes(32))
TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=8) | st.text("0123456789:", max_size=6)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=20)


def ids(pairs: list[tuple[str, str]], study: str = "s", statement: str = "a.b", key: ProjectKey = KEY) -> list[str]:
    return [
        one.decode()
        for one in fact_ids(key, study, statement, [pair[0] for pair in pairs], [pair[1] for pair in pairs]).tolist()
    ]


def test_is_keyed_blake2b_in_rfc4648_base32() -> None:
    batch = KEY.subkey("fact", b"1:s3:a.b")
    plain = hashlib.blake2b(b"2:p12:01", key=batch, digest_size=20).digest()
    assert ids([("p1", "01")]) == [base64.b32encode(plain).decode().lower()]


@given(PAIRS)
def test_equal_exactly_where_the_pairs_are(pairs: list[tuple[str, str]]) -> None:
    found = ids(pairs)
    assert len(set(found)) == len(set(pairs))
    assert all(len(one) == 32 and one.isascii() and one.isalnum() and one == one.lower() for one in found)


@given(PAIRS, st.randoms(use_true_random=False), st.integers(1, 7))
@settings(max_examples=50)
def test_order_and_partition_do_not_matter(pairs: list[tuple[str, str]], shuffle: random.Random, size: int) -> None:
    expected = dict(zip(pairs, ids(pairs), strict=True))
    mixed = pairs[:]
    shuffle.shuffle(mixed)
    parts = [mixed[i : i + size] for i in range(0, len(mixed), size)]
    assert {pair: name for part in parts for pair, name in zip(part, ids(part), strict=True)} == expected


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(f"p{i}", "") for i in range(25)]
    expected = ids(pairs)
    monkeypatch.setattr(factids, "_BLOCK", 7)
    assert ids(pairs) == expected


def test_study_statement_and_key_matter_and_are_told_apart() -> None:
    pair = [("p", "1")]
    found = [ids(pair), ids(pair, "s2"), ids(pair, "s", "a.c"), ids(pair, "sa", ".b"), ids(pair, key=OTHER)]
    assert len({one for (one,) in found}) == len(found)


def test_no_occurrence_is_the_empty_one() -> None:
    assert [one.decode() for one in fact_ids(KEY, "s", "a.b", ["p1", "p2"]).tolist()] == ids([("p1", ""), ("p2", "")])
    assert fact_ids(KEY, "s", "a.b", []).tolist() == []
    with pytest.raises(ValueError):
        fact_ids(KEY, "s", "a.b", ["p1", "p2"], ["1"])


def test_patient_is_of_the_subject_alone() -> None:
    found = [letters(patient_digests(key, ["p", "q"])).tolist() for key in (KEY, KEY, OTHER)]
    assert found[0] == found[1]
    assert len({*found[0], *found[2]}) == 4


def test_speed_is_reported(record_property: pytest.FixtureRequest) -> None:
    subjects = [f"q{i // 3:025d}" for i in range(50_000)]
    begin = time.perf_counter()
    fact_ids(KEY, "breast", "diagnosis.cancer", subjects)
    record_property("microseconds_per_fact_id", round((time.perf_counter() - begin) / len(subjects) * 1e6, 2))  # type: ignore[operator]
