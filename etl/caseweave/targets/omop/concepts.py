"""Codes into OMOP concepts, once per distinct value: `Maps to` followed, source kept, unmapped is 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from caseweave.terms import Terms
from caseweave.terms.systems import System
from caseweave.values.types import Code, Coding

# where a standard concept's domain puts a row (OMOP CDM 5.4, "domain drives the table")
DOMAIN_TABLES = {
    "Condition": "condition_occurrence",
    "Procedure": "procedure_occurrence",
    "Drug": "drug_exposure",
    "Measurement": "measurement",
    "Observation": "observation",
    "Device": "device_exposure",
    "Specimen": "specimen",
    "Meas Value": "observation",
    "Race": "observation",
    "Gender": "observation",
}
SOURCE_VALUE_WIDTH = 50


@dataclass(frozen=True, slots=True)
class Resolved:
    """What OMOP says of one code.

    Arguments: `concept_id` standard or 0; `source_concept_id` of the code itself or 0; `source_value` the code as
    text; `value_concept_id` where `Maps to value` gives one; `domain` of the standard concept, "" where there is none.
    """

    concept_id: int
    source_concept_id: int
    source_value: str
    value_concept_id: int | None = None
    domain: str = ""
    status: str = "unknown"


@dataclass
class Concepts:
    """Resolves codes and remembers how each fared, for the demo's count and the work list."""

    terms: Terms
    systems: Mapping[str, System]
    conventions: Mapping[str, int]
    seen: dict[Code, Resolved] = field(default_factory=dict)
    asked: dict[Coding, Resolved] = field(default_factory=dict)

    def resolve(self, code: Code) -> Resolved:
        """The best of a code's codings: the first with a standard concept, else the first."""
        found = self.seen.get(code)
        if found is None:
            answers = [self.coding(coding) for coding in code.codings]
            found = next((one for one in answers if one.concept_id), None) or (
                answers[0] if answers else Resolved(0, 0, (code.local or code.label)[:SOURCE_VALUE_WIDTH])
            )
            self.seen[code] = found
        return found

    def coding(self, coding: Coding) -> Resolved:
        """What OMOP says of one coding; the vocabulary is asked once, however many values have the same unit."""
        if coding not in self.asked:
            self.asked[coding] = self.ask(coding)
        return self.asked[coding]

    def ask(self, coding: Coding) -> Resolved:
        text = str(coding)[:SOURCE_VALUE_WIDTH]
        if coding.system == "OMOP":
            return Resolved(self.conventions[coding.code], 0, text, domain="", status="convention")
        system = self.systems.get(coding.system)
        if system is None or not system.omop:
            return Resolved(0, 0, text)
        answer = self.terms.resolve(system.omop, coding.code)
        standard = answer.standard[0] if answer.standard else None
        return Resolved(
            concept_id=standard.concept_id if standard else 0,
            source_concept_id=answer.source_concept_id or 0,
            source_value=text,
            value_concept_id=answer.value[0].concept_id if answer.value else None,
            domain=standard.domain_id if standard else "",
            status=answer.status,
        )

    def histology(self, morphology: Code | None, site: Code | None) -> Resolved | None:
        """The ICD-O-3 concept `morphology-topography` of a cancer, where both are known and the pair exists."""
        morph = _of(morphology, "ICDO3")
        topo = _of(site, "ICDO3")
        if morph is None or topo is None:
            return None
        found = self.coding(Coding("ICDO3", f"{morph}-{topo}"))
        return found if found.concept_id else None


def _of(code: Code | None, system: str) -> str | None:
    if code is None:
        return None
    return next((coding.code for coding in code.codings if coding.system == system), None)
