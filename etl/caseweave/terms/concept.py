"""A concept of the OMOP vocabularies, what a code resolves to, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, Protocol

Status = Literal["standard", "mapped", "not-standard", "invalid", "unknown"]
# half of all names hold these
COMMON = frozenset(
    ["a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "other", "the", "to", "with", "without"]
)
Link = Literal["Maps to", "Maps to value"]


@dataclass(frozen=True, slots=True)
class Concept:
    """One row of CONCEPT (OMOP CDM, vocabulary tables); dates as Athena writes them."""

    concept_id: int
    concept_name: str
    domain_id: str
    vocabulary_id: str
    concept_class_id: str
    standard_concept: str
    concept_code: str
    invalid_reason: str = ""
    valid_start_date: str = "19700101"
    valid_end_date: str = "20991231"

    @property
    def standard(self) -> bool:
        """Whether rows may use it: standard and valid."""
        return self.standard_concept == "S" and not self.invalid_reason


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the vocabularies say of one code.

    Arguments: `source_concept_id`, the code's own concept or 0; `standard`, the valid standard concepts that it is or
    maps to; `value`, those of `Maps to value`; `status`: standard (it is one), mapped (it maps to one), not-standard
    (valid, but maps to none), invalid (withdrawn, and maps to none), unknown (no such code); `domain` of the first
    standard concept, "" where there is none.
    """

    source_concept_id: int
    standard: tuple[Concept, ...]
    value: tuple[Concept, ...]
    status: Status
    domain: str


class Terms(Protocol):
    """The OMOP vocabularies: an Athena download or the shipped subset."""

    @property
    def release(self) -> str:
        """The version of the vocabularies, as VOCABULARY or the subset says it."""

    def concept(self, vocabulary_id: str, code: str) -> Concept | None:
        """The concept of a code; of several the standard, valid, oldest one."""

    def concept_by_id(self, concept_id: int) -> Concept | None:
        """The concept of an id."""

    def links(self, concept_id: int, link: Link) -> tuple[int, ...]:
        """Where a concept points to, in the order of ids, itself left out."""

    def resolve(self, vocabulary_id: str, code: str) -> Resolved:
        """Follow a code to its standard concepts."""

    def candidates(self, text: str, domain: str | None = None, limit: int = 5) -> tuple[Concept, ...]:
        """Standard concepts whose name is like a text, the likest first."""


UNKNOWN = Resolved(0, (), (), "unknown", "")


def resolve(terms: Terms, vocabulary_id: str, code: str) -> Resolved:
    """Follow `Maps to` and `Maps to value` from a code to valid standard concepts; circles are walked once."""
    source = terms.concept(vocabulary_id, code)
    if source is None:
        return UNKNOWN
    standard = (source,) if source.standard else _follow(terms, terms.links(source.concept_id, "Maps to"))
    value = _follow(terms, terms.links(source.concept_id, "Maps to value"))
    status: Status = (
        "standard"
        if source.standard
        else "mapped"
        if standard
        else "invalid"
        if source.invalid_reason
        else "not-standard"
    )
    return Resolved(source.concept_id, standard, value, status, standard[0].domain_id if standard else "")


def _follow(terms: Terms, start: Iterable[int]) -> tuple[Concept, ...]:
    waiting, seen, found = list(start), set[int](), list[Concept]()
    while waiting:
        concept_id = waiting.pop(0)
        if concept_id in seen:
            continue
        seen.add(concept_id)
        concept = terms.concept_by_id(concept_id)
        if concept is None:
            continue
        if concept.standard:
            found.append(concept)
        else:
            waiting.extend(terms.links(concept_id, "Maps to"))
    return tuple(found)


def words(text: str) -> list[str]:
    """The words of a text, lower case, letters and digits only.

    >>> words("Ki-67 index (%)")
    ['ki', '67', 'index']
    """
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def telling(text: str) -> list[str]:
    """The words of a text that tell names apart, each once; all of them where none does.

    >>> telling("Carcinoma of the breast")
    ['carcinoma', 'breast']
    """
    found = dict.fromkeys(words(text))
    return [word for word in found if word not in COMMON] or list(found)


def rank(text: str, found: Iterable[Concept], limit: int) -> tuple[Concept, ...]:
    """The likest of some concepts: shared words count most, then the likeness of the letters, then the id."""
    wanted, spelled = set(words(text)), " ".join(words(text))

    def likeness(concept: Concept) -> tuple[float, float, int]:
        named = words(concept.concept_name)
        shared = len(wanted & set(named)) / (len(wanted | set(named)) or 1)
        return -shared, -SequenceMatcher(None, spelled, " ".join(named)).ratio(), concept.concept_id

    return tuple(sorted(found, key=likeness)[:limit])
