"""The small study and forms of the command line's tests."""

from __future__ import annotations

from tests.unit.cli.conftest import bench, clean, dirty, public_bytes, secrets

__all__ = ["bench", "clean", "dirty", "public_bytes", "secrets"]
