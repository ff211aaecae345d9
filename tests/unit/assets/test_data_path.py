"""The data folders are found in the source tree and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

import caseweave.assets as assets
from caseweave.errors import UsageError


def test_source_tree(repo: Path) -> None:
    assert assets.data_path("mappings") == repo / "mappings"


def test_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "caseweave"
    (package / "_data" / "mappings").mkdir(parents=True)
    monkeypatch.setattr(assets, "_PACKAGE", package)
    assert assets.data_path("mappings") == package / "_data" / "mappings"
    with pytest.raises(UsageError, match="no folder 'vocabularies'"):
        assets.data_path("vocabularies")
