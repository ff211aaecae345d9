"""findings.junit.xml: what a pipeline shows of a check, in the form that JUnit XML commonly has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree
from tests.unit.cli.conftest import SECRETS

from caseweave.quality.junit import Case, Suite, junit

OUTCOMES = {"failure", "error", "skipped"}
COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}
RULES = """\
study: mini
rules:
  - {id: light, sheet: main, kind: coherence, expr: "weight > 62", severity: warning, message: {en: "Light."}}
  - {id: kept, sheet: main, expr: "weight > 1", severity: warning, message: {en: "No."}}
  - {id: after, sheet: main, expr: "earliest(visits.at) >= dx", severity: warning, message: {en: "Before."}}
  - {id: counted, sheet: visits, expr: "n > 0", severity: warning, message: {en: "Not counted."}}
"""


def parse(content: bytes) -> Element:
    """Parse and hold against the common form of JUnit XML: names, order of nesting, counts that are true."""
    root: Element = ElementTree.fromstring(content)
    assert root.tag == "testsuites" and root.get("name")
    for suite in root:
        assert suite.tag == "testsuite" and set(suite.keys()) == {"name", "tests", *COUNTS}
        for case in suite:
            assert case.tag == "testcase" and set(case.keys()) == {"name", "classname", "time"}
            assert float(case.get("time", "")) >= 0
            assert len(case) <= 1
            for inside in case:
                assert inside.tag in OUTCOMES and inside.get("message") and len(inside) == 0
        names = [case.get("name") for case in suite]
        assert len(set(names)) == len(names)
    for node in (root, *root):
        assert int(node.get("tests", "")) == len(list(node.iter("testcase")))
        for attribute, tag in COUNTS.items():
            assert int(node.get(attribute, "")) == len(list(node.iter(tag)))
    return root


def case_of(root: Element, sheet: str, name: str) -> Element:
    (found,) = (one for one in root.iter("testcase") if (one.get("classname"), one.get("name")) == (sheet, name))
    return found


def outcome(root: Element, sheet: str, name: str) -> str:
    return next((one.tag for one in case_of(root, sheet, name)), "passed")


@pytest.fixture
def checked(bench: Any) -> Any:
    """Checks a form and returns its test cases."""
    (bench.studies / "mini" / "rules.yaml").write_text(RULES, encoding="utf-8")

    def check(rows: Any) -> Element:
        said = bench("check", bench.form(rows), "--studies", bench.studies, "--study", "mini", "-o", bench.workspace)
        assert said.code in (0, 1), said.err
        return parse((bench.workspace / "findings.junit.xml").read_bytes())

    return check


def test_a_field_or_rule_with_findings_fails(bench: Any, checked: Any, dirty: Any) -> None:
    root = checked(dirty)
    assert outcome(root, "main", "sex") == "failure"
    failure = case_of(root, "main", "sex")[0]
    assert failure.get("type") == "error"
    assert (failure.text or "").startswith("source-1:main!B4: error: ")
    assert outcome(root, "main", "weight") == "failure"
    assert outcome(root, "main", "light") == "failure"
    assert "source-1:main!F2: warning: Light. [light, " in (case_of(root, "main", "light")[0].text or "")
    assert outcome(root, "main", "pid") == "passed"
    found = json.loads((bench.workspace / "findings.json").read_text(encoding="utf-8"))
    told = "\n".join(one.text or "" for one in root.iter("failure"))
    assert {one["id"] for one in found if one["severity"] != "message"} <= set(told.replace("]", " ").split())


def test_nothing_typed_is_told(checked: Any, bench: Any, dirty: Any) -> None:
    checked(dirty)
    content = (bench.workspace / "findings.junit.xml").read_text(encoding="utf-8")
    assert [one for one in SECRETS if one in content] == []


def test_a_rule_about_a_column_that_isn_t_there_is_an_error(
    bench: Any, checked: Any, clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.cli import conftest

    monkeypatch.setitem(conftest.HEADS, "Main", conftest.HEADS["Main"][:5])
    root = checked({"Main": [row[:5] for row in clean["Main"]], "Visits": clean["Visits"]})
    assert outcome(root, "main", "kept") == "error"
    error = case_of(root, "main", "kept")[0]
    assert (error.get("type"), error.get("message")) == ("could not run", "the sources have no column for weight")
    found = json.loads((bench.workspace / "findings.json").read_text(encoding="utf-8"))
    assert {one["rule"] for one in found} & {"kept", "light"} == set()


def test_a_sheet_that_isn_t_there_is_skipped(
    bench: Any, checked: Any, clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.cli import conftest

    monkeypatch.delitem(conftest.HEADS, "Visits")
    root = checked({"Main": clean["Main"]})
    assert outcome(root, "visits", "ki67") == "skipped"
    assert outcome(root, "visits", "counted") == "skipped"
    assert outcome(root, "main", "after") == "error"


def test_a_clean_form_fails_nowhere(checked: Any, clean: Any) -> None:
    rows = {
        "Main": [[*row[:5], 70, None] for row in clean["Main"]],
        "Visits": [*clean["Visits"], ["Lopez-02", 1, "2020-06-03", 20]],
    }
    root = checked(rows)
    assert [one.text for one in root.iter("failure")] == []
    assert root.get("errors") == "0"
    assert int(root.get("tests", "")) > 10


def test_text_that_xml_has_no_place_for(tmp_path: Path) -> None:
    content = junit("a\x00b", [Suite("<&>", [Case("\ud800\x1b", "failure", 'a "b"', "x", ["]]>", "\ufffe"])])])
    root = parse(content)
    assert root[0].get("name") == "<&>"
    assert (root[0][0][0].text or "").startswith("]]>")
