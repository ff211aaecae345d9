"""Which codes exist and what they mean in OMOP: an Athena download, or the shipped subset."""

from __future__ import annotations

from functools import cache as remembered
from pathlib import Path

from caseweave.terms.concept import Concept, Resolved, Status, Terms
from caseweave.terms.conventions import conventions
from caseweave.terms.store import build_index, cache_folder, open_index
from caseweave.terms.subset import load_subset
from caseweave.terms.systems import Display, System, Systems, displays, displays_of, systems, systems_of

__all__ = [
    "Concept",
    "Display",
    "Resolved",
    "Status",
    "System",
    "Systems",
    "Terms",
    "conventions",
    "displays",
    "displays_of",
    "open_terms",
    "systems",
    "systems_of",
]


def open_terms(vocabulary: Path | None = None, cache: Path | None = None) -> Terms:
    """Open the vocabularies.

    >>> open_terms().resolve("Gender", "F").status
    'standard'

    Arguments: `vocabulary`, the folder or zip of an Athena download, indexed on first use, else the shipped subset;
    `cache`, where indexes lie. Raises SourceError where the download can't be used.
    """
    if vocabulary is None:
        return _shipped()
    return open_index(build_index(vocabulary, cache or cache_folder()))


@remembered
def _shipped() -> Terms:
    return load_subset()  # nobody changes it, and a process converts many forms
