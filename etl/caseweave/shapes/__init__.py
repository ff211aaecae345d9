"""Which slots exist: the elements of FHIR R4, the profiles of mCODE, the tables of the OMOP CDM."""

from __future__ import annotations

from caseweave.shapes.fhir import Element, FhirShapes, fhir_shapes
from caseweave.shapes.omop import Field, OmopShapes, Table, omop_shapes
from caseweave.shapes.profiles import Profile, ProfileElement, ValueSet, profiles, value_set

__all__ = [
    "Element",
    "FhirShapes",
    "Field",
    "OmopShapes",
    "Profile",
    "ProfileElement",
    "Table",
    "ValueSet",
    "fhir_shapes",
    "omop_shapes",
    "profiles",
    "value_set",
]
