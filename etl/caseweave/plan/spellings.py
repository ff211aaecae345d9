"""How the values of a value set are spelt: what was typed, tidied; every spelling; those that come close."""

from __future__ import annotations

import difflib
import re

from caseweave.spec.valueset import ValueSet
from caseweave.values.grid import RawCell
from caseweave.values.problems import plain
from caseweave.values.types import Value

_LONGEST_TYPING_ERROR = 200  # longer texts are no misspelt codes


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
    for names in ("aliases", "labels", "key"):
        for one in valueset.values.values():
            spellings = {"aliases": one.aliases, "labels": tuple(one.label.values()), "key": (one.key,)}[names]
            found.update({clean(text).casefold(): one.value for text in spellings})
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
