"""From a code to standard concepts; the index and the subset answer alike."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.unit.terms.athena_sample import CONCEPTS, RELATIONSHIPS

from caseweave.terms import Terms
from caseweave.terms.subset import COLUMNS, load_subset


@pytest.fixture(scope="session")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    """The same sample, written as a subset."""
    path = tmp_path_factory.mktemp("subset") / "concepts.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for row in CONCEPTS:
            to, value = (
                "|".join(
                    str(two) for one, two, link, gone in RELATIONSHIPS if one == row[0] and link == kind and not gone
                )
                for kind in ("Maps to", "Maps to value")
            )
            writer.writerow((*row, to, value, "sample"))
    return load_subset(path)


@pytest.fixture(params=["index", "subset"])
def either(request: pytest.FixtureRequest, terms: Terms, subset: Terms) -> Terms:
    return {"index": terms, "subset": subset}[request.param]


@pytest.mark.parametrize(
    ("vocabulary", "code", "source", "standard", "value", "status", "domain"),
    [
        ("SNOMED", "B1", 1, (1,), (), "standard", "Condition"),
        ("ICD10CM", "C50", 2, (1,), (), "mapped", "Condition"),
        ("ICD10CM", "Z88.0", 3, (4,), (5,), "mapped", "Observation"),
        ("SNOMED", "OLD", 6, (1,), (), "mapped", "Condition"),
        ("SNOMED", "HEN", 8, (), (), "not-standard", ""),
        ("SNOMED", "GONE", 10, (), (), "invalid", ""),
        ("SNOMED", "NONE", 11, (), (), "not-standard", ""),
        ("SNOMED", "EX", 19, (), (), "invalid", ""),
        ("ATC", "L01", 12, (), (), "not-standard", ""),
        ("LOINC", "T-1", 15, (15,), (), "standard", "Measurement"),
        ("ICD10CM", "TWO", 16, (1, 17), (), "mapped", "Condition"),
        ("SNOMED", "nothing", 0, (), (), "unknown", ""),
        ("ICD10CM", "B1", 0, (), (), "unknown", ""),
    ],
)
def test_resolve(
    either: Terms,
    vocabulary: str,
    code: str,
    source: int,
    standard: tuple[int, ...],
    value: tuple[int, ...],
    status: str,
    domain: str,
) -> None:
    found = either.resolve(vocabulary, code)
    assert (found.source_concept_id, found.status, found.domain) == (source, status, domain)
    assert tuple(one.concept_id for one in found.standard) == standard
    assert tuple(one.concept_id for one in found.value) == value


def test_concepts(either: Terms) -> None:
    found = either.concept("LOINC", "Q-1")
    assert found is not None and found.concept_name == 'A "quoted" name, with comma'
    assert either.concept_by_id(18) == found
    assert either.concept_by_id(999) is None and either.concept("LOINC", "nothing") is None


def test_candidates(either: Terms) -> None:
    assert either.candidates("breast cancer (suspected)")[0].concept_id == 1
    assert [one.concept_id for one in either.candidates("Estrogen receptor", domain="Measurement")] == [17]
    assert either.candidates("Estrogen receptor", domain="Drug") == ()
    # withdrawn and non-standard ones are no candidates
    assert either.candidates("Withdrawn carcinoma Hen") == ()
    assert len(either.candidates("breast drug receptor penicillin twice", limit=2)) == 2


@pytest.mark.parametrize("text", ["", "  ", '"', "NEAR(", "a AND OR NOT *", "%_'--", "“”…"])
def test_any_text_may_be_looked_for(either: Terms, text: str) -> None:
    either.candidates(text)


def test_release(terms: Terms, subset: Terms) -> None:
    assert terms.release == "v5.0 27-FEB-26"
    assert subset.release == "Caseweave subset"


def test_the_shared_extract(shared: Path, tmp_path: Path) -> None:
    from caseweave.terms import open_terms

    terms = open_terms(shared / "data" / "vocabulary", tmp_path)
    assert terms.release == "extract of public sources, not a release"
    assert terms.resolve("Type Concept", "OMOP4976882").standard[0].concept_id == 32809
    marker = terms.resolve("LOINC", "16112-5")
    assert (marker.standard[0].concept_id, marker.domain) == (3004390, "Measurement")
    first = terms.resolve("Episode", "OMOP4822259")
    assert (first.source_concept_id, first.status) == (32528, "invalid")
    staged = terms.concept_by_id(1537692)
    assert staged is not None and not staged.standard
