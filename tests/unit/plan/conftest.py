"""The small study of the spec tests, for lint and explain."""

from __future__ import annotations

from tests.unit.spec.conftest import edit, lung

__all__ = ["edit", "lung"]
