"""`caseweave explain`: what a field holds and where it goes."""

from __future__ import annotations

from typing import Any


def test_one_field(bench: Any) -> None:
    said = bench("explain", "mini", "er", "--studies", bench.studies)
    assert said.code == 0, said.err
    for expected in ("main.er", "posneg", "Observation.valueCodeableConcept", "measurement.value_as_concept_id"):
        assert expected in said.out
    assert "pos SCT|10828004 Positive" in said.out
    assert "mini/main.yaml:8" in said.out


def test_every_field_and_why_one_is_ignored(bench: Any) -> None:
    said = bench("explain", "mini", "--studies", bench.studies)
    heads = [block.split()[0] for block in said.out.split("\n\n")]
    assert heads == [
        *(f"main.{one}" for one in ("pid", "sex", "birth", "dx", "er", "weight", "note")),
        *(f"visits.{one}" for one in ("pid", "n", "at", "ki67")),
    ]
    assert "Ignored    free text" in said.out


def test_json_and_language(bench: Any) -> None:
    english, spanish = (
        bench("explain", "breast", "diagnosis.er_status", "--language", one, "--json").json[0] for one in ("en", "es")
    )
    assert english["field"] == spanish["field"] == "er_status"
    assert english["label"] != spanish["label"]


def test_no_such_field_is_2_and_names_the_nearest(bench: Any) -> None:
    said = bench("explain", "mini", "wieght", "--studies", bench.studies)
    assert said.code == 2
    assert "has no field 'wieght'. Did you mean 'weight'?" in said.err
