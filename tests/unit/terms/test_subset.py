"""Every shipped concept, checked against the material that it was taken from."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from caseweave.assets import data_path
from caseweave.terms.athena import Athena
from caseweave.terms.build_subset import BY_FORMULA, BY_HAND, BY_LIST, EXTRACT, LISTED, build
from caseweave.terms.conventions import read_conventions
from caseweave.terms.subset import CONCEPT_COLUMNS, load_subset

AGAIN = "run `python -m caseweave.terms.build_subset` again, as its docstring says"


def rows() -> list[dict[str, str]]:
    with (data_path("vocabularies") / "omop_concepts.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def extract(folder: Path) -> dict[str, dict[str, str]]:
    with Athena(folder) as athena:
        return {row[0]: dict(zip(CONCEPT_COLUMNS, row, strict=False)) for row in athena.rows("CONCEPT.csv")}


@cache
def seen(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["concept_id"]: row for row in csv.DictReader(lines)}


def test_every_row_is_what_the_material_says(shared: Path) -> None:
    known, public = extract(shared / "data" / "vocabulary"), seen(shared / "standards" / "omop_concepts_seen.csv")
    for row in rows():
        concept_id, source = row["concept_id"], row["source"]
        assert source, concept_id
        if concept_id not in known and row["concept_code"] == f"hand-{concept_id}":
            # only conventions may be completed by hand, and they say so
            assert BY_HAND in source and int(concept_id) in {one.concept_id for one in read_conventions()}
            continue
        if concept_id == str(LISTED.concept_id):
            # seen by id and name; what else was seen of it stands in its source
            assert (public[concept_id]["concept_name"], row["concept_name"]) == ("no", "No") and BY_LIST in source
            continue
        told = known.get(concept_id) or {**public[concept_id], "invalid_reason": ""}
        assert {name: row[name] for name in CONCEPT_COLUMNS} == {name: told[name] for name in CONCEPT_COLUMNS}
        other = public.get(concept_id)
        if other is None:
            assert source == EXTRACT or BY_HAND in source, concept_id
        elif other["row_kind"] == "full":
            assert source == other["source"], concept_id
            # the extract was put together from these rows: what both say must be the same
            assert row["concept_code"] == other["concept_code"], concept_id
            assert row["vocabulary_id"] == other["vocabulary_id"], concept_id
        else:
            assert source.startswith(other["source"]) and source.endswith((BY_FORMULA, BY_HAND, EXTRACT)), concept_id


def test_every_link_is_one_of_the_material(shared: Path) -> None:
    with Athena(shared / "data" / "vocabulary") as athena:
        links = {tuple(row[:3]) for row in athena.rows("CONCEPT_RELATIONSHIP.csv") if not row[3]}
    for row in rows():
        for column, kind in (("maps_to", "Maps to"), ("maps_to_value", "Maps to value")):
            for other in filter(None, row[column].split("|")):
                assert other == row["concept_id"] or (row["concept_id"], other, kind) in links


def test_links_stay_inside() -> None:
    ids = {row["concept_id"] for row in rows()}
    assert all(other in ids for row in rows() for other in filter(None, row["maps_to"].split("|")))


def test_conventions_are_in_it_and_not_invalid() -> None:
    terms = load_subset()
    for one in read_conventions():
        concept = terms.concept_by_id(one.concept_id)
        assert concept is not None, f"{one.name}: {AGAIN}"
        assert not concept.invalid_reason, one.name


def test_the_subset_is_what_the_script_makes(shared: Path, tmp_path: Path) -> None:
    standards = shared / "standards" / "omop_concepts_seen.csv"
    build(data_path("vocabularies") / "codes", standards, shared / "data" / "vocabulary", tmp_path / "made.csv")
    shipped = data_path("vocabularies") / "omop_concepts.csv"
    assert (tmp_path / "made.csv").read_text("utf-8") == shipped.read_text("utf-8"), AGAIN


@pytest.mark.parametrize("code", ["8500/3-C50.4", "8140/3-C20.9", "8480/3-C18.0"])
def test_histology_joined_with_a_site(code: str) -> None:
    assert load_subset().resolve("ICDO3", code).domain == "Condition"


def test_yes_and_no_are_answers_in_omop() -> None:
    for code, concept_id in (("373066001", 4188539), ("373067005", 4188540)):
        assert load_subset().resolve("SNOMED", code).standard[0].concept_id == concept_id


def test_units_of_mappings_are_in_it() -> None:
    assert load_subset().resolve("UCUM", "mm").standard[0].concept_id == 8588
