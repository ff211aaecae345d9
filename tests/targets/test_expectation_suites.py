"""Suites written as JSON run where Caseweave can't be imported, and fail in the rows that our own engine names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from caseweave.cli.app import run as caseweave
from caseweave.quality.expectations.build import suites
from caseweave.quality.expectations.planned import Where
from caseweave.run.expectations import write_suites
from caseweave.spec.evaluate import Presence
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from tests.golden.test_planted_contradictions import HCC, IN_HCC, IN_ISPY, ISPY, Book, Plant, plant
from tests.unit.quality.expected import by_ours, converted

# -I leaves out PYTHONPATH and the current folder; an editable install would still be found
WITHOUT_CASEWEAVE = """
import sys

class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "caseweave":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nobody())
"""


def documented(repo: Path) -> str:
    """The script that the documentation shows."""
    (script,) = re.findall(r"```python\n(.*?)```", (repo / "docs" / "expectations.md").read_text("utf-8"), re.DOTALL)
    return str(script)


def failing(repo: Path, folder: Path, name: str) -> Counter[tuple[str, ...]]:
    code = WITHOUT_CASEWEAVE + documented(repo)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder), name],
        capture_output=True, text=True, check=False, encoding="utf-8",
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Counter(tuple(line.split("\t")) for line in done.stdout.splitlines() if "\t" in line)


@pytest.mark.parametrize(("book", "plants"), [(HCC, IN_HCC), (ISPY, IN_ISPY)], ids=["hcc-tace", "ispy1"])
def test_a_plain_great_expectations_finds_the_same_rows(
    book: Book, plants: list[Plant], shared: Path, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form, folder = tmp_path / "planted.xlsx", tmp_path / "suites"
    plant(book, plants, shared / book.file, form)
    assert caseweave(["expectations", book.study, str(form), "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    ours = by_ours(converted(book.study, form))
    found: set[tuple[str, str, str]] = set()
    own: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        for rule, _, *rest in failing(repo, folder, path.stem):
            assert rest != ["could not run"], rule
            if rest == ["not expressible"]:
                own.add(rule)
                assert rule in said
            else:
                found.add((rule, json.loads(path.read_text("utf-8"))["meta"]["sheet"], rest[1]))
    expected = {(rule, sheet, re.sub(r"\D", "", cell)) for _, sheet, cell, rule in ours if rule not in own}
    assert found == expected
    assert len({rule for rule, *_ in found}) >= len(plants) // 2


def test_a_coded_timepoint_has_a_suite_of_its_own() -> None:
    study = load_study("breast")
    sheet = study.sheet("follow-up")
    roles = {"visit_date": "", "extent": "timepoint"}
    fields = {name: replace(one, role=roles.get(name, one.role)) for name, one in sheet.fields.items()}
    study = replace(study, sheets=(replace(sheet, fields=fields),))
    found = {one.name: one for one in suites(study, (), Presence())}
    assert found.keys() == {"breast.follow-up", *(f"breast.follow-up.{one}" for one in extents(study))}
    for key in extents(study):
        suite = found[f"breast.follow-up.{key}"]
        assert suite.timepoint == key
        assert all(tests[-1] == Where(("extent", ""), "in", (key,)) for one in suite.planned for tests in one.condition)
        assert all(one.condition for one in suite.planned)


def extents(study: Study) -> list[str]:
    valueset = study.sheet("follow-up").fields["extent"].valueset
    assert valueset is not None
    return [key for key, one in valueset.values.items() if not one.missing]


def test_a_suite_says_what_fields_ask_and_what_it_leaves_out(tmp_path: Path) -> None:
    write_suites(load_study("breast"), tmp_path / "suites")
    suite = json.loads((tmp_path / "suites" / "demographics.json").read_text("utf-8"))
    ranges = {one["kwargs"]["column"]: one for one in suite["expectations"] if one["meta"]["rule"] == "out-of-range"}
    field = load_study("breast").sheet("demographics").fields["height"]
    assert field.range_error is not None
    low, high = field.range_error
    assert low is not None and high is not None
    assert ranges["height.number"]["type"] == "expect_column_values_to_be_between"
    assert ranges["height.number"]["kwargs"]["min_value"] == float(low)
    assert ranges["height.number"]["kwargs"]["max_value"] == float(high)
    assert {one["rule"] for one in suite["meta"]["not_expressible"]} >= {"far-from-the-others.height"}


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.docx").write_text("my own", encoding="utf-8")
    assert caseweave(["expectations", "ispy1", "-o", str(tmp_path)]) == 4
    assert "thesis.docx" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.docx"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_the_tables_are_for_their_owner_alone(tmp_path: Path) -> None:
    form = tmp_path / "form.csv"
    form.write_text("TCIA_ID,age,agegp\nHCC_001,41,=41-50\n", encoding="utf-8")
    folder = tmp_path / "suites"
    assert caseweave(["expectations", "hcc-tace", str(form), "-o", str(folder)]) == 0
    table = folder / "data-table.csv"
    assert table.stat().st_mode & 0o777 == 0o600
    assert "'=41-50" in table.read_text("utf-8") and ",=41-50" not in table.read_text("utf-8")
