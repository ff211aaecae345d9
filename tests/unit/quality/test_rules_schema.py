"""Editors and readers are told what files of rules hold: schemas and reference are current, the files keep to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from caseweave.assets import data_path
from caseweave.quality.kinds import KINDS
from caseweave.quality.schema import FILES, published, reference, schema_of
from caseweave.quality.tables import read_table
from caseweave.spec.blocks import Block
from caseweave.spec.loader import list_studies
from caseweave.spec.schema import all_blocks
from caseweave.spec.syntax import AGGREGATES
from caseweave.spec.words import At
from caseweave.spec.yamlfile import read_yaml

VALIDATORS = data_path("validators")
TABLES = sorted(path.stem for path in (VALIDATORS / "tables").glob("*.yaml"))
SHIPPED = [
    *(("rules", VALIDATORS / f"{name}.yaml") for name in list_studies() if (VALIDATORS / f"{name}.yaml").is_file()),
    *(("table", VALIDATORS / "tables" / f"{name}.yaml") for name in TABLES),
]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in published()])
def test_what_is_published_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == published()[path], "run: python -m caseweave.quality.schema"


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize(("kind", "path"), [pytest.param(*one, id=one[1].stem) for one in SHIPPED])
def test_every_file_that_is_shipped_satisfies_its_schema(kind: str, path: Path) -> None:
    tree, _ = read_yaml(path, path.name)
    found: list[Any] = list(jsonschema.Draft202012Validator(schema_of(kind)).iter_errors(tree))
    assert [f"{list(error.absolute_path)}: {error.message}" for error in found] == []


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_one_answer_to_each_question(name: str) -> None:
    table = read_table(name, Path(), At("rules.yaml", 1))
    assert len({row[:-1] for row in table.rows}) == len(table.rows)
    assert table.source and all(row[-1] for row in table.rows)


def test_the_reference_names_every_kind_key_and_function() -> None:
    text = reference()
    blocks: list[Block] = all_blocks(FILES.values())
    assert all(f"`{key.name}`" in text for block in blocks for key in block.keys)
    assert all(f"| `{name}` | {kind.about}" in text for name, kind in KINDS.items())
    assert all(f"`{name}(" in text for name in AGGREGATES)
