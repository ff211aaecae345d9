"""The concepts that Caseweave ships: those that its own studies use, each with where it was seen."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import MappingError
from caseweave.terms.concept import Concept, Link, Resolved, rank, resolve, telling, words

SUBSET_FILE = "omop_concepts.csv"
# nobody's list of seen concepts tells since when they are valid
CONCEPT_COLUMNS = tuple(one.name for one in fields(Concept) if not one.name.startswith("valid_"))
COLUMNS = (*CONCEPT_COLUMNS, "maps_to", "maps_to_value", "source")
RELEASE = "Caseweave subset"


@dataclass(frozen=True)
class SubsetTerms:
    """Terms over a small file, held in memory."""

    by_id: Mapping[int, Concept]
    by_code: Mapping[tuple[str, str], Concept]
    pointers: Mapping[tuple[int, Link], tuple[int, ...]]
    release: str = RELEASE
    _words: dict[int, frozenset[str]] = field(default_factory=dict)

    def concept(self, vocabulary_id: str, code: str) -> Concept | None:
        """The concept of a code, or None."""
        return self.by_code.get((vocabulary_id, code))

    def concept_by_id(self, concept_id: int) -> Concept | None:
        """The concept of an id, or None."""
        return self.by_id.get(concept_id)

    def links(self, concept_id: int, link: Link) -> tuple[int, ...]:
        """Where a concept points to."""
        return self.pointers.get((concept_id, link), ())

    def resolve(self, vocabulary_id: str, code: str) -> Resolved:
        """Follow a code to its standard concepts.

        >>> load_subset().resolve("Gender", "F").standard[0].concept_id
        8532
        """
        return resolve(self, vocabulary_id, code)

    def candidates(self, text: str, domain: str | None = None, limit: int = 5) -> tuple[Concept, ...]:
        """Standard concepts that share a word with a text, the likest first."""
        if not self._words:
            self._words.update({key: frozenset(words(one.concept_name)) for key, one in self.by_id.items()})
        wanted = set(telling(text))
        found = (one for key, one in self.by_id.items() if one.standard and wanted & self._words[key])
        return rank(text, [one for one in found if domain is None or one.domain_id == domain], limit)


def load_subset(path: Path | None = None) -> SubsetTerms:
    """Read the shipped concepts.

    Arguments: `path`, another file with the same columns. Raises MappingError where a row is wrong.
    """
    path = path or data_path("vocabularies") / SUBSET_FILE
    by_id: dict[int, Concept] = {}
    by_code: dict[tuple[str, str], Concept] = {}
    pointers: dict[tuple[int, Link], tuple[int, ...]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise MappingError(
                path.name,
                1,
                "not the columns of a list of concepts",
                way_out=f"Wanted: {', '.join(COLUMNS)}.",
            )
        for row in reader:
            try:
                concept_id = int(row["concept_id"])
                to, value = _ids(row["maps_to"]), _ids(row["maps_to_value"])
            except ValueError:
                raise MappingError(
                    path.name,
                    reader.line_num,
                    "an id isn't a number",
                    way_out="Ids are digits, joined by '|'.",
                ) from None
            if concept_id in by_id:
                raise MappingError(
                    path.name,
                    reader.line_num,
                    f"concept {concept_id} stands here twice",
                    way_out="Leave one of them out.",
                )
            concept = Concept(concept_id, *(row[column] for column in CONCEPT_COLUMNS[1:]))
            by_id[concept_id] = concept
            kept = by_code.setdefault((concept.vocabulary_id, concept.concept_code), concept)
            if (not concept.standard, concept_id) < (not kept.standard, kept.concept_id):
                by_code[concept.vocabulary_id, concept.concept_code] = concept
            pointers[concept_id, "Maps to"] = tuple(one for one in to if one != concept_id)
            pointers[concept_id, "Maps to value"] = value
    return SubsetTerms(by_id, by_code, pointers)


def _ids(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(one) for one in text.split("|"))) if text else ()
