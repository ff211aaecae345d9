from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseweave.identity.keyfile import ProjectKey
from caseweave.identity.subjects import FixedShift, GivenResolver, KeyedResolver, SubjectError, netstrings

KEY = ProjectKey("breast", bytes(range(32)))
TEXT = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=12)


def test_keyed_is_hmac_sha512_cut_to_256_bits() -> None:
    digest = hmac.new(KEY.subkey("subject"), b"6:breast2:AA5:00001", hashlib.sha512).digest()[:32]
    bits = "".join(f"{octet:08b}" for octet in digest)
    expected = "".join("abcdefghijklmnopqrstuvwxyz234567"[int(bits[i : i + 5], 2)] for i in range(0, 130, 5))
    assert KeyedResolver(KEY).resolve("AA", "00001") == expected


@given(TEXT, TEXT)
def test_keyed_is_determined_and_fhir_safe(site: str, patient: str) -> None:
    found = KeyedResolver(KEY).resolve(site, patient)
    assert found == KeyedResolver(KEY).resolve(site, patient)
    assert len(found) == 26
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz234567")


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_keyed_tells_patients_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    resolver = KeyedResolver(KEY)
    assert (resolver.resolve(*one) == resolver.resolve(*other)) == (one == other)


def test_keyed_depends_on_project_and_key() -> None:
    keys = [KEY, ProjectKey("lung", KEY.material), ProjectKey("breast", bytes(32))]
    assert len({KeyedResolver(key).resolve("AA", "1") for key in keys}) == 3


@given(st.lists(TEXT | st.just(""), max_size=4), st.lists(TEXT | st.just(""), max_size=4))
def test_netstrings_are_injective(one: list[str], other: list[str]) -> None:
    assert (netstrings(*one) == netstrings(*other)) == (one == other)


@given(
    st.lists(st.text("0123456789:", max_size=5), max_size=4),
    st.lists(st.text("0123456789:", max_size=5), max_size=4),
)
def test_netstrings_are_injective_for_hostile_texts(one: list[str], other: list[str]) -> None:
    assert (netstrings(*one) == netstrings(*other)) == (one == other)


@pytest.mark.parametrize("name", ["HCC_001", "1001", "a.b-c", "x" * 50])
def test_given_keeps_pseudonyms(name: str) -> None:
    assert GivenResolver().resolve("any", name) == name


@pytest.mark.parametrize("name", ["", "Ann Smith", "x" * 51, "1001\n", "é", "a/b"])
def test_given_refuses_what_is_no_pseudonym(name: str) -> None:
    with pytest.raises(SubjectError) as refused:
        GivenResolver().resolve("any", name)
    assert not name or name not in str(refused.value)


def test_keyed_needs_an_id() -> None:
    with pytest.raises(SubjectError):
        KeyedResolver(KEY).resolve("AA", "")


def test_shift_does_nothing_by_default() -> None:
    assert FixedShift().days("p") == 0
