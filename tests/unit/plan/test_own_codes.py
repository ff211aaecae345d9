"""A study's own codes.csv and systems.yaml: known to lint, explain and rendering, part of its digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caseweave.errors import MappingError
from caseweave.plan.explain import explain
from caseweave.plan.lint import knowledge, lint
from caseweave.run.prove import prove
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.terms import displays_of, systems_of

CODES = "system,code,display,source\nHOUSE,7,Marker seven,our lab\n"
SYSTEMS = "systems:\n  HOUSE: {url: https://lab.example/codes}\nextensions:\n  ours: https://lab.example/ours\n"


@pytest.fixture
def own(lung: Path, edit: Callable[[str, str, str], Study]) -> Path:
    """The small study with a code of its own."""
    (lung / "systems.yaml").write_text(SYSTEMS, encoding="utf-8")
    edit("diagnosis.yaml", "LNC|21665-5", "HOUSE|7")
    return lung


def unknown(study: Study) -> list[str]:
    return [one.message for one in lint(study) if one.rule == "unknown-code" and "HOUSE" in one.message]


def test_a_code_is_known_once_the_study_lists_it(own: Path) -> None:
    assert unknown(load_study(own)) == ["nobody here knows what HOUSE|7 means"]
    (own / "codes.csv").write_text(CODES, encoding="utf-8")
    study = load_study(own)
    assert unknown(study) == []
    assert displays_of(study)["HOUSE", "7"].text == "Marker seven"
    assert systems_of(study).systems["HOUSE"].url == "https://lab.example/codes"
    assert systems_of(study).extensions["ours"] == "https://lab.example/ours"
    assert knowledge(study).display("SCT", "10828004") == "Positive"
    (field,) = [one for one in explain(study) if one.field == "egfr"]
    assert "Marker seven" in {one.display for one in field.codes}


def test_both_files_belong_to_the_digest(own: Path) -> None:
    first = load_study(own)
    assert "lung/systems.yaml" in dict(first.files)
    (own / "codes.csv").write_text(CODES, encoding="utf-8")
    second = load_study(own)
    assert "lung/codes.csv" in dict(second.files)
    (own / "codes.csv").write_text(CODES.replace("seven", "eight"), encoding="utf-8")
    assert len({first.digest, second.digest, load_study(own).digest}) == 3


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("codes.csv", "code,display\n1,x\n", r"lung/codes\.csv:1: not a list of codes"),
        ("codes.csv", CODES + "HOUSE,8,,x\n", r"lung/codes\.csv:3: a row isn't complete"),
        ("codes.csv", CODES + "SCT,10828004,Negative,x\n", r"lung/codes\.csv:3: .*'Positive' in codes/"),
        ("systems.yaml", SYSTEMS + "  SCT: 5\n", r"lung/systems\.yaml:5: 5 isn't a url"),
        (
            "systems.yaml",
            SYSTEMS.replace("extens", "  SCT: {url: x}\nextens"),
            r"lung/systems\.yaml:3: .* else already",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line(own: Path, name: str, text: str, said: str) -> None:
    (own / name).write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=said):
        knowledge(load_study(own))
    (found,) = prove(str(own))
    assert (found.rule, found.file) == ("not-loaded", f"lung/{name}")


def test_a_file_that_is_no_text(own: Path) -> None:
    (own / "codes.csv").write_bytes(b"system,code\xff\n")
    with pytest.raises(MappingError, match=r"lung/codes\.csv:1: not UTF-8 text"):
        load_study(own)
