"""Whether a code says what its label says: by the words that carry the meaning in oncology, and by likeness.

A list whose codes are shifted by one against its labels is the most common fault of published mappings, and nothing but
the words can show it: every code exists, every type is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from functools import lru_cache

from caseweave.plan.lint.wordlists import (
    AUTHORITIES,
    BARE,
    CLASSES,
    GRADE,
    HISTOLOGIES,
    LEVEL,
    MARKERS,
    NEGATIVE,
    PLUS,
    POSITIVE,
    PREFIXES,
    ROMAN,
    SEMANTIC_TAG,
    STOPWORDS,
    THAN,
    TNM,
    TNM_FIELD,
    TYPES,
    UNKNOWN,
)

Reading = Callable[[str], frozenset[str]]


@lru_cache(maxsize=4096)
def tidy(text: str) -> str:
    """A label or display in lower case, without authorities and semantic tags.

    >>> tidy("American Joint Committee on Cancer cT1a"), tidy("Left (qualifier value)")
    ('ct1a', 'left')
    """
    lower = SEMANTIC_TAG.sub("", text.casefold().replace("_", " "))
    return " ".join(AUTHORITIES.sub(" ", lower).split())


def tnm(text: str) -> tuple[str, str, str] | None:
    """The TNM category that a text names: prefix, letter and value.

    >>> tnm("American Joint Committee on Cancer ypT1mi")
    ('yp', 't', '1mi')
    """
    found = TNM.search(tidy(text))
    if found is None:
        return None
    prefix = found["prefix"] or ""
    value = re.sub(r"[ ()]", "", found["value"])
    return PREFIXES.get(prefix, prefix), found["letter"], value


def tnm_kind(text: str) -> tuple[str, str] | None:
    """Which TNM category a heading is about, as in `ypT`, `cN category`, `tnm_ct`.

    >>> tnm_kind("Posttherapy t category (ypT)")
    ('yp', 't')
    """
    found = TNM_FIELD.search(tidy(text))
    return (found[1], found[2]) if found else None


def level(text: str) -> str | None:
    """The step of a scale that a text names: grade, score, class, `2+`.

    >>> level("Grade 1"), level("Tumor Regression Score 0"), level("Child-Pugh score class B"), level("G3")
    ('1', '0', 'b', '3')
    """
    lower = tidy(text)
    bare = BARE.fullmatch(lower)
    found = bare or GRADE.search(lower) or PLUS.search(lower) or LEVEL.search(lower)
    return ROMAN.get(found[1], found[1]) if found else None


def polarity(text: str) -> str | None:
    """Whether a text says yes, no or unknown; None where it says none of them, or several.

    >>> polarity("not-identified"), polarity("Present"), polarity("HER2 positive/HR negative")
    ('no', 'yes', None)
    """
    lower = tidy(text)
    if UNKNOWN.search(lower):
        return "unknown"
    rest = NEGATIVE.sub(" ", lower)
    negative, positive = rest != lower, POSITIVE.search(rest) is not None
    return None if negative == positive else "no" if negative else "yes"


def _named(table: dict[str, str]) -> Reading:
    return lambda text: frozenset(word for word, written in table.items() if re.search(written, text))


def _side(text: str) -> frozenset[str]:
    found = _named(CLASSES["side"])(text)
    return frozenset({"both"}) if {"left", "right"} <= found else found


def _histology(text: str) -> frozenset[str]:
    return _named(HISTOLOGIES)(THAN.sub(" ", text))


# name -> (how to read it, whether texts contradict that differ at all; else only where they share nothing)
READINGS: dict[str, tuple[Reading, bool]] = {
    **{name: (_named(table), False) for name, table in CLASSES.items()},
    "side": (_side, False),
    "marker": (_named(MARKERS), False),
    "histology": (_histology, True),
    "histologic type": (_named(TYPES), False),
}


def contradiction(label: str, display: str, heading: str = "") -> str | None:
    """What a code's display says against its label; None where they go together.

    >>> contradiction("G1", "American Joint Committee on Cancer grade G2")
    'level 1 against 2'
    >>> contradiction("pT1", "American Joint Committee on Cancer pT1", heading="ypT category")
    'ypT against pT'

    Arguments: `heading` is what stands above the label: the field's name and label, the title of its value set.
    """
    mine, theirs = tnm(label), tnm(display)
    kind = tnm_kind(heading)
    if mine and theirs:
        # a vocabulary that has no T1mi may say T1: coarser, not wrong
        if mine[1] != theirs[1] or not mine[2].startswith(theirs[2]):
            return f"{mine[1].upper()}{mine[2]} against {theirs[1].upper()}{theirs[2]}"
        # AJCC has neither pM0 nor ypM: there the label decides, whatever the heading says
        prefix = kind[0] if kind and kind[1] == mine[1] != "m" else mine[0]
        if prefix and theirs[0] and prefix != theirs[0]:
            return f"{prefix}{mine[1].upper()} against {theirs[0]}{theirs[1].upper()}"
        return None
    if not mine and not theirs:
        steps = (level(label), level(display))
        if None not in steps and steps[0] != steps[1]:
            return f"level {steps[0]} against {steps[1]}"
    answers = (polarity(label), polarity(display))
    if None not in answers and answers[0] != answers[1]:
        return f"{answers[0]} against {answers[1]}"
    return words_against(label, display) or marker_against(heading, display)


def marker_against(heading: str, display: str) -> str | None:
    """The gene or marker that a heading is about, against another one that a display names."""
    reading, _ = READINGS["marker"]
    mine, theirs = reading(tidy(heading)), reading(tidy(display))
    if mine and theirs and mine.isdisjoint(theirs):
        return f"marker {'+'.join(sorted(mine))} against {'+'.join(sorted(theirs))}"
    return None


def words_against(label: str, display: str) -> str | None:
    """The words of one class on which two texts contradict each other.

    >>> words_against("ER percent positive", "Cells.progesterone receptor/100 cells in Breast cancer specimen")
    'marker er against pr'
    """
    one, other = tidy(label), tidy(display)
    for name, (reading, strictly) in READINGS.items():
        mine, theirs = reading(one), reading(other)
        if mine and theirs and (mine != theirs if strictly else mine.isdisjoint(theirs)):
            return f"{name} {'+'.join(sorted(mine))} against {'+'.join(sorted(theirs))}"
    return None


def agreement(label: str, display: str) -> bool:
    """Whether two texts name the same word of some class, or the same answer, step or category."""
    one, other = tidy(label), tidy(display)
    if any(reading(one) & reading(other) for reading, _ in READINGS.values()):
        return True
    return any(read(label) is not None and read(label) == read(display) for read in (polarity, level)) or (
        tnm(label) is not None and tnm(display) is not None and contradiction(label, display) is None
    )


@lru_cache(maxsize=4096)
def content(text: str) -> frozenset[str]:
    """The words of a text that carry its meaning, without their endings."""
    words = re.findall(r"[^\W_]+", tidy(text).replace("non-", "non").replace("co-", "co"))
    return frozenset(_stem(word) for word in words if word not in STOPWORDS)


def closeness(label: str, display: str) -> float:
    """How much of all their words two texts share: 1 only where they say the same.

    >>> closeness("nonalcoholic fatty liver disease", "Non-alcoholic fatty liver disease")
    1.0
    """
    one, other = content(label), content(display)
    return len(one & other) / len(one | other) if one and other else 0.0


def _stem(word: str) -> str:
    for ending in ("ies", "es", "s", "al", "ic", "ity", "y", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def likeness(label: str, display: str) -> float:
    """How much two texts have in common, from 0 to 1: shared words, or letters where they are spelled differently.

    >>> likeness("Primary sclerosing cholangitis (PSC)", "Non-alcoholic fatty liver disease") < 0.2
    True
    """
    if agreement(label, display):
        return 1.0
    one, other = content(label), content(display)
    shared = len(one & other) / min(len(one), len(other)) if one and other else 0.0
    if shared:
        return shared
    near = SequenceMatcher(None, tidy(label), tidy(display)).ratio()
    same = any(SequenceMatcher(None, a, b).ratio() > 0.84 for a in one for b in other if min(len(a), len(b)) > 4)
    return max(0.6 if same else 0.0, near if near > 0.75 else 0.0)
