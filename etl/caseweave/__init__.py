"""Caseweave: cancer case report forms into FHIR resources and OMOP rows, from one mapping."""

from __future__ import annotations

__version__ = "0.1.0"
