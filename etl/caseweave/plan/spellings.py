"""How the values of a value set are spelt: what was typed, tidied; every spelling; those that come close."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from caseweave.spec.valueset import ValueSet
from caseweave.values.grid import RawCell, normal
from caseweave.values.problems import plain
from caseweave.values.types import Value

_LONGEST_TYPING_ERROR = 200  # longer texts are no misspelt codes

# letters of other scripts and marks that look like those of an id
_LATIN = str.maketrans(
    "АВЕКМНОРСТХаеорсхΑΒΕΖΗΙΚΜΝΟΡΤΥΧ\u2010\u2011\u2012\u2013\u2014\u2212", "ABEKMHOPCTXaeopcxABEZHIKMNOPTYX------"
)
_DIGITS = str.maketrans("OoIl|", "00111")
_AMONG_DIGITS = re.compile(r"(?<=[0-9.])[OoIl|]+|[OoIl|]+(?=[0-9])")


def clean(raw: RawCell) -> str:
    """What was typed as text, spaces tidied; whole floats without their point.

    >>> clean(" a\\u00a0 b "), clean(7.0)
    ('a b', '7')
    """
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return plain(str(raw))


def lookup(valueset: ValueSet) -> dict[str, Value]:
    """Every way to write a value of a value set, case folded; keys win over labels, labels over aliases."""
    found: dict[str, Value] = {}
    entries = [(one, one.value) for one in valueset.values.values()]
    for names in ("aliases", "labels", "key"):
        for one, value in entries:
            spellings = {"aliases": one.aliases, "labels": one.label.values(), "key": (one.key,)}[names]
            found.update({clean(text).casefold(): value for text in spellings})
    return found


def nearest(text: str, valueset: ValueSet) -> list[str]:
    """The entries of a value set that somebody may have meant, at most three, each as it is spelt there.

    >>> from caseweave.spec.loader import load_study
    >>> sides = load_study("breast").sheet("diagnosis").fields["laterality"].valueset
    >>> nearest("Lefft", sides), nearest("left/right", sides)
    (['Left'], ['Left', 'Right'])
    """
    entries = {
        clean(spelling).casefold(): (one.key, spelling)
        for one in valueset.values.values()
        for spelling in (*one.aliases, one.key, *one.label.values())
    }
    typed = text[:_LONGEST_TYPING_ERROR].casefold()
    inside = [one for one in entries if len(one) > 2 and re.search(rf"(?<!\w){re.escape(one)}(?!\w)", typed)]
    near = inside or difflib.get_close_matches(typed, entries, n=12, cutoff=0.6)
    found: dict[str, str] = {}
    for one in near:
        key, spelling = entries[one]
        found.setdefault(key, spelling)
    return list(found.values())[:3]


def listing(valueset: ValueSet) -> str:
    keys = list(valueset.values)
    return ", ".join(keys[:12]) + (f" ... ({len(keys)} values)" if len(keys) > 12 else "")


def likely_id(text: str, pattern: str) -> str:
    """The id that somebody may have meant, if without doubtful letters, small ones and spaces it has the right form.

    >>> likely_id("aa\\u2013 0OO01", r"[A-Z]{2}-\\d{5}"), likely_id("Garcia", r"[A-Z]{2}-\\d{5}")
    ('AA-00001', '')
    """
    tidy = text.translate(_LATIN).replace(" ", "")
    digits = _AMONG_DIGITS.sub(lambda found: found[0].translate(_DIGITS), tidy)
    return next((one for one in (tidy, digits, tidy.upper(), digits.upper()) if re.fullmatch(pattern, one)), "")


_PIECE = re.compile(r"(\\d|\[[^\]\\]+\]|[A-Za-z0-9_ -])(?:\{(\d+)(?:,\d*)?\}|[+?])?")


def id_like(pattern: str) -> str:
    """An id of the form that a simple pattern asks for, to be shown; "" for a pattern that isn't simple.

    >>> id_like(r"[A-Z]{2}-\\d{5}"), id_like(r"HCC_\\d{3}"), id_like("(a|b)")
    ('AA-12345', 'HCC_123', '')
    """
    shown, place, digit = "", 0, 0
    while place < len(pattern):
        piece = _PIECE.match(pattern, place)
        if piece is None:
            return ""
        for _ in range(int(piece[2] or 1)):
            digit = digit % 9 + 1 if piece[1] in (r"\d", "[0-9]") else digit
            shown += str(digit) if piece[1] in (r"\d", "[0-9]") else piece[1].lstrip("[")[0]
        place = piece.end()
    return shown if re.fullmatch(pattern, shown) else ""


def nearest_name(text: str, names: Iterable[str]) -> str:
    """The header or tab name that comes closest; "" where none does.

    >>> nearest_name("Ki-67 index", ["Side", "Ki-67"])
    'Ki-67'
    """
    spelt = {normal(name): name for name in names}
    near = difflib.get_close_matches(normal(text), spelt, n=1, cutoff=0.6)
    return spelt[near[0]] if near else ""
