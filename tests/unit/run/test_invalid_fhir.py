"""What isn't valid FHIR is a fault of the mapping: a check tells its cell, a run stops and names it; neither quotes."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

OK = "means: {pattern: tumor-marker, code: LNC|16112-5, at: dx, of: cancer}"
SET = OK.replace("of: cancer", 'of: cancer, "fhir.set": {status: "zzz"}')


@pytest.fixture
def faulty(bench: Any) -> Any:
    """The small study with a status that FHIR doesn't know."""
    path = bench.studies / "mini" / "main.yaml"
    text = path.read_text(encoding="utf-8")
    assert OK in text
    path.write_text(text.replace(OK, SET), encoding="utf-8")
    return bench


def check(bench: Any, form: Any, *words: object) -> Any:
    return bench("check", form, "--studies", bench.studies, "--study", "mini", "-o", bench.workspace, *words)


def findings(bench: Any) -> list[dict[str, str]]:
    found = json.loads((bench.workspace / "findings.json").read_text(encoding="utf-8"))
    return [one for one in found if one["rule"] == "invalid-fhir"]


def test_a_check_names_the_cell(faulty: Any, clean: Any) -> None:
    said = check(faulty, faulty.form(clean))
    assert said.code == 1
    (one, *_) = findings(faulty)
    assert (one["severity"], one["sheet"], one["field"]) == ("error", "main", "er")
    assert one["cell"] in ("E2", "E3") and one["subject"]
    assert "'main.er' makes what isn't valid FHIR: Observation.status (required-binding)" in one["message"]
    with (faulty.workspace / "private" / "findings.csv").open(encoding="utf-8", newline="") as lines:
        told = [row["found"] for row in csv.DictReader(lines) if row["rule"] == "invalid-fhir"]
    assert any("zzz" in text for text in told)


def test_every_cell_where_it_is_asked_for(faulty: Any, clean: Any) -> None:
    check(faulty, faulty.form(clean), "--validate", "all")
    assert {one["cell"] for one in findings(faulty)} == {"E2", "E3"}


def test_none_where_it_is_not(faulty: Any, clean: Any) -> None:
    assert check(faulty, faulty.form(clean), "--validate", "none").code == 0
    assert findings(faulty) == []


def test_a_run_stops_with_the_cell_and_writes_nothing(faulty: Any, clean: Any) -> None:
    said = faulty.run(faulty.form(clean))
    assert said.code == 2
    assert "source-1:main!E" in said.err and "(required-binding)" in said.err
    assert "zzz" not in said.err
    assert not (faulty.workspace / "fhir").exists() and not (faulty.workspace / "omop.sqlite").exists()


def test_a_sound_mapping_has_none(bench: Any, dirty: Any) -> None:
    check(bench, bench.form(dirty), "--validate", "all")
    assert findings(bench) == []
