"""Editors and readers are told what the loader takes: the published schemas and the reference are current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from caseweave.assets import data_path
from caseweave.spec.fieldfile import TYPES
from caseweave.spec.folders import folders
from caseweave.spec.loader import list_studies, load_study
from caseweave.spec.schema import FILES, REFERENCE, all_blocks, published, reference, schema_of
from caseweave.spec.syntax import FUNCTIONS
from caseweave.spec.yamlfile import read_yaml


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in published()])
def test_what_is_published_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == published()[path], "run: python -m caseweave.spec.schema"


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def shipped() -> Iterator[tuple[str, Path]]:
    for name, folder in list_studies().items():
        yield "study", folder / "study.yaml"
        yield from (("sheet", folder / f"{key}.yaml") for key in load_study(name).sheet_keys)
    yield from (("pattern", path) for path in folders().patterns().values())
    yield from (("valueset", path) for path in folders().valuesets().values() if path.suffix == ".yaml")


@pytest.mark.parametrize(
    ("kind", "path"), [pytest.param(kind, path, id=f"{path.parent.name}/{path.stem}") for kind, path in shipped()]
)
def test_every_file_that_is_shipped_satisfies_its_schema(kind: str, path: Path) -> None:
    tree, _ = read_yaml(path, path.name)
    found: list[Any] = list(jsonschema.Draft202012Validator(schema_of(kind)).iter_errors(tree))
    assert [f"{list(error.absolute_path)}: {error.message}" for error in found] == []


@pytest.mark.parametrize(
    ("kind", "tree"),
    [
        ("study", {"study": "lung"}),
        ("study", {"study": "lung", "sheets": ["a"], "sheat": 1}),
        ("sheet", {"sheet": "A", "fields": {"x": {"type": "numeric"}}}),
        ("sheet", {"sheet": "A", "fields": {"x": {"type": "date", "means": {"code": "SCT|1"}}}}),
        ("valueset", {"values": {}}),
        ("valueset", {"values": {"a": {"code": "10828004"}}}),
        ("pattern", {"pattern": "p", "about": "x", "slots": {"a": "needed"}, "fhir": "none", "omop": "none"}),
    ],
)
def test_an_editor_marks_what_the_loader_refuses(kind: str, tree: dict[str, Any]) -> None:
    assert list(jsonschema.Draft202012Validator(schema_of(kind)).iter_errors(tree))


def test_the_reference_names_every_key_and_function() -> None:
    text = reference()
    for block in all_blocks():
        assert block.about in text
        for key in block.keys:
            assert f"`{key.name}`" in text and key.about, key.name
    assert all(f"`{name}(" in text for name in FUNCTIONS)
    assert all(kind in text for kind in TYPES)
    assert (data_path("vocabularies").parent / REFERENCE).is_file()
