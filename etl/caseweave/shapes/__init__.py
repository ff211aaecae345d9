"""Which slots exist: the elements of FHIR R4, the profiles of mCODE, the tables of the OMOP CDM."""

from __future__ import annotations

from caseweave.shapes.fhir import Element, FhirShapes, fhir_shapes
from caseweave.shapes.omop import Field, OmopShapes, Table, omop_shapes

__all__ = ["Element", "FhirShapes", "Field", "OmopShapes", "Table", "fhir_shapes", "omop_shapes"]
