from __future__ import annotations

from pathlib import Path

import pytest

from caseweave.errors import MappingError
from caseweave.identity.keyfile import ProjectKey
from caseweave.issues import Finding
from caseweave.quality.rules import read_rules, rules_of
from caseweave.run.convert import convert
from caseweave.sources import read_sources
from caseweave.spec.loader import list_studies, load_study
from caseweave.terms import open_terms

STUDY = load_study("hcc-tace")
HEAD = "study: hcc-tace\nrules:\n"
RULE = "  - {id: a, sheet: data-table, expr: age > 18, message: Too young.}\n"


def rules(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "hcc-tace.yaml"
    path.write_text(text, encoding="utf-8")
    return [rule.id for rule in read_rules(path, STUDY)]


@pytest.mark.parametrize("name", sorted(list_studies()))
def test_the_rules_of_every_study_can_be_read(name: str) -> None:
    rules_of(load_study(name))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: breast\nrules: []\n", "hcc-tace.yaml:1: these are rules of 'breast'"),
        (HEAD + RULE + RULE, "hcc-tace.yaml:4: two rules are called 'a'"),
        (HEAD + RULE.replace("data-table", "data"), "unknown sheet 'data'.*data-table"),
        (HEAD + RULE.replace("age >", "agee >"), "unknown field 'agee'.*Did you mean 'age'"),
        (HEAD + RULE.replace("age > 18", "1 > 2"), "asks nothing of a row"),
        (HEAD + RULE.replace("age > 18", "age >"), "hcc-tace.yaml:3"),
        (HEAD + RULE.replace("message: Too young.", "mark: xyz, message: Too young."), "unknown field 'xyz'"),
        (HEAD + RULE.replace("expr", "exp"), "unknown key 'exp'"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MappingError, match=said):
        rules(tmp_path, text)


def findings(tmp_path: Path, *rows: str) -> list[Finding]:
    path = tmp_path / "form.csv"
    path.write_text("\n".join(("TCIA_ID,age,agegp,AFP,AFP_group", *rows)) + "\n", encoding="utf-8")
    made = convert(STUDY, read_sources([path]), key=ProjectKey("hcc-tace", bytes(32)), terms=open_terms())
    return [one for one in made.findings if one.rule.endswith(("-fits-age", "-fits-afp"))]


def test_a_contradiction_has_its_cell_and_patient(tmp_path: Path) -> None:
    found = findings(
        tmp_path, "HCC_001,40,<=40,12,<400", "HCC_002,41,<=40,12,<400", "HCC_003,,<=40,400,<400", "HCC_004,50,41-50,,"
    )
    assert [(one.rule, one.subject, one.cell, one.severity) for one in found] == [
        ("age-group-fits-age", "HCC_002", "C3", "error"),
        ("afp-group-fits-afp", "HCC_003", "E4", "error"),
    ]
    assert not any(one.found for one in found)
