"""findings.json and findings.csv: of the published form, the same story, the same ids however often a form comes."""

from __future__ import annotations

import csv
import json
from typing import Any

import jsonschema
import pytest
from tests.unit.cli.conftest import SECRETS

from caseweave.assets import data_path
from caseweave.run.reports import PUBLIC


@pytest.fixture(scope="module")
def schema() -> Any:
    path = data_path("vocabularies") / "shapes" / "findings.schema.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def findings(bench: Any, form: Any) -> list[dict[str, str]]:
    bench("check", form, "--studies", bench.studies, "--study", "mini", "-o", bench.workspace)
    found: list[dict[str, str]] = json.loads((bench.workspace / "findings.json").read_text(encoding="utf-8"))
    return found


def test_it_is_what_is_published(bench: Any, dirty: Any, schema: Any) -> None:
    found = findings(bench, bench.form(dirty))
    assert {"error", "message"} <= {one["severity"] for one in found} | {"message"} and len(found) > 4
    jsonschema.Draft202012Validator(schema).validate(found)
    assert tuple(schema["items"]["properties"]) == PUBLIC
    assert len({one["id"] for one in found}) == len(found)


def test_both_files_say_the_same_and_nothing_that_was_typed(bench: Any, dirty: Any) -> None:
    found = findings(bench, bench.form(dirty))
    with (bench.workspace / "findings.csv").open(encoding="utf-8", newline="") as lines:
        assert list(csv.DictReader(lines)) == found
    public = (bench.workspace / "findings.json").read_text(encoding="utf-8")
    assert [one for one in SECRETS if one in public] == []


def test_at_home_stands_what_was_typed_and_what_was_likely_meant(bench: Any, dirty: Any) -> None:
    found = findings(bench, bench.form(dirty))
    with (bench.workspace / "private" / "findings.csv").open(encoding="utf-8", newline="") as lines:
        private = {row["id"]: row for row in csv.DictReader(lines)}
    assert private.keys() == {one["id"] for one in found}
    by_cell = {row["cell"]: row for row in private.values() if row["sheet"] == "main"}
    assert by_cell["B4"]["found"] == "Elena Moreno"
    assert by_cell["C4"]["found"] == "1960-13-45"
    assert by_cell["B4"]["file"].endswith("Garcia_Lopez.xlsx")


def test_ids_stay_where_rows_move_and_files_are_renamed(bench: Any, dirty: Any) -> None:
    before = {(one["subject"], one["field"], one["rule"]): one for one in findings(bench, bench.form(dirty))}
    moved = {**dirty, "Main": [dirty["Main"][-1], *dirty["Main"][:-1]]}
    after = {(one["subject"], one["field"], one["rule"]): one for one in findings(bench, bench.form(moved, "b.xlsx"))}
    mine = [key for key, one in before.items() if one["sheet"] == "main" and one["subject"]]
    assert len(mine) > 2
    assert {key: after[key]["id"] for key in mine} == {key: before[key]["id"] for key in mine}
    assert any(after[key]["cell"] != before[key]["cell"] for key in mine)


def test_a_corrected_cell_loses_its_finding_and_the_others_keep_their_ids(bench: Any, dirty: Any) -> None:
    before = {one["id"]: one for one in findings(bench, bench.form(dirty))}
    row = [*dirty["Main"][-1]]
    row[1] = "f"
    after = {one["id"] for one in findings(bench, bench.form({**dirty, "Main": [*dirty["Main"][:-1], row]}))}
    assert {before[one]["cell"] for one in before.keys() - after} == {"B4"}
    assert after < before.keys()
