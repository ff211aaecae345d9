"""What lint says, and what it needs to know beside the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caseweave.errors import MappingError
from caseweave.issues import Severity
from caseweave.shapes import FhirShapes, OmopShapes, fhir_shapes, omop_shapes
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Study
from caseweave.terms import Display, System, Systems, Terms, conventions, displays_of, open_terms, systems_of
from caseweave.terms.presence import presence


@dataclass(frozen=True, slots=True, order=True)
class LintFinding:
    """One fault of a mapping: an error must be corrected, a warning thought about, a message known.

    >>> LintFinding("breast/diagnosis.yaml", 12, "unused-field", "warning", "Field 'x' says nothing.").place
    'breast/diagnosis.yaml:12'
    """

    file: str
    line: int
    rule: str
    severity: Severity
    message: str
    way_out: str = ""

    @property
    def place(self) -> str:
        """File and line, as an editor takes them."""
        return f"{self.file}:{self.line}"


def as_finding(error: MappingError, rule: str) -> LintFinding:
    """An error of one place as what lint says of it.

    >>> as_finding(MappingError("a.yaml", 3, "no type", way_out="Add one."), "not-loaded").place
    'a.yaml:3'
    """
    at = error.data
    return LintFinding(at["file"], at["line"], rule, "error", f"{at['problem']}.", error.way_out)


@dataclass(frozen=True)
class Knowledge:
    """What lint measures a study against: shapes, vocabularies, names."""

    study: Study
    fhir: FhirShapes
    omop: OmopShapes
    terms: Terms
    systems: Systems
    displays: Mapping[tuple[str, str], Display]
    conventions: Mapping[str, int]
    presence: Presence

    def display(self, system: str, code: str) -> str:
        """What a code means, from the lists of codes, else from the vocabularies; "" where nobody knows."""
        found = self.displays.get((system, code))
        if found is not None:
            return found.text
        vocabulary = self.system(system).omop
        concept = self.terms.concept(vocabulary, code) if vocabulary else None
        return concept.concept_name if concept is not None else ""

    def system(self, alias: str) -> System:
        """A code system by its alias; the study's own count first."""
        own = self.study.systems.get(alias)
        if own is not None:
            return System(alias, own.get("url", ""), own.get("omop", ""))
        return self.systems.systems.get(alias, System(alias))


def knowledge(study: Study, terms: Terms | None = None) -> Knowledge:
    """Gather what a study is measured against, its own codes and systems with it.

    Arguments: `terms` are the vocabularies, else the shipped subset. Raises MappingError where a file of its
    own is wrong.
    """
    cdm = str(study.omop.get("cdm") or "5.4")
    return Knowledge(
        study,
        fhir_shapes(),
        omop_shapes(cdm, oncology=True, imaging=True),
        terms or open_terms(),
        systems_of(study),
        displays_of(study),
        conventions(),
        presence(),
    )
