"""Caseweave: cancer case report forms into FHIR resources and OMOP rows, from one mapping."""

from __future__ import annotations

from caseweave.version import __version__ as __version__
