"""EuCanImage's own checks of its 29 records: the imported rules give the same 2,332 answers, lint their faults."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli.app import run

NAME = "eucanimage-dq"
SCORES = {
    "use-case-1": 0.8006,
    "use-case-3": 0.8360,
    "use-case-4-and-5": 0.9758,
    "use-case-6-and-8": 0.8338,
    "use-case-7": 0.8611,
}
# the parts of the blocks of drugs that the workbook asks for in every record
BLOCKS = [f"uc7_{part}_{n}_man_req" for n in range(2, 6) for part in ("acc_dose_units", "chemo_dur", "chemo_units")]
# and what else it asks for in every record, though the dictionary has a condition: failures that go
OTHERS = {"uc7_acc_dose_units_man_req": 2, "uc6&8_dcis_man_req": 1}
Row = tuple[str, ...]


@pytest.fixture
def imported(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the dictionary and rules, with more options if there are any, and check the records."""
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "keys" / "project.key"))
    quality = shared / "data" / "eucanimage_quality"
    records = sorted((shared / "data" / "eucanimage").glob("*/CSV/*.csv"))

    def work(place: str, *options: str) -> list[dict[str, str]]:
        studies, out = tmp_path / place, tmp_path / f"{place}-out"
        sources = [str(quality / "data_dictionary.xlsx"), str(quality / "data_quality_rules.xlsx")]
        assert run(["import", *sources, "-o", str(studies), "--name", NAME, *options]) == 0
        check = [
            "check",
            *map(str, records),
            "--studies",
            str(studies),
            "--study",
            NAME,
            "-o",
            str(out),
            "--all-checks",
        ]
        assert run(check) == 1
        with (out / "private" / "checks.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return work


def rows(found: list[dict[str, str]], *columns: str) -> list[Row]:
    return sorted(tuple(one[column] for column in columns) for one in found)


def test_the_same_answers_row_by_row(shared: Path, tmp_path: Path, imported: Any) -> None:
    found = imported("studies")
    oracle = shared / "data" / "eucanimage_quality" / "oracle_29records_2332checks.csv"
    with oracle.open(encoding="utf-8", newline="") as file:
        wanted = list(csv.DictReader(file))
    theirs = ("redcap_record_id", "variable", "check_type", "check_name", "check_value", "check_passed")
    assert len(found) == 2332
    assert Counter(one["passed"] for one in found) == {"1": 2166, "0": 166}
    assert rows(found, "record", "field", "kind", "rule", "value", "passed") == rows(wanted, *theirs)
    told = json.loads((tmp_path / "studies-out" / "check.json").read_text(encoding="utf-8"))["checks"]
    assert told == {"made": 2332, "failed": 166, "not_run": 0, "scores": told["scores"]}
    assert told["scores"] == SCORES


def test_lint_names_the_faults_of_the_rules(tmp_path: Path, imported: Any, capsys: pytest.CaptureFixture[str]) -> None:
    imported("studies")
    capsys.readouterr()
    assert run(["lint", NAME, "--studies", str(tmp_path / "studies"), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)[NAME]
    by_rule: dict[str, list[str]] = {}
    for one in found:
        by_rule.setdefault(one["rule"], []).append(one["message"])
    assert [one["rule"] for one in found if one["severity"] == "error"] == ["never-holds"] * 5
    for n, message in enumerate(by_rule["never-holds"]):
        assert f"'neoadj_chemo{f'_{n + 1}' if n else ''}'" in message
    for check in BLOCKS:
        assert any(f"'{check}'" in message for message in by_rule["asked-everywhere"]), check
    (coded,) = by_rule["coded-two-ways"]
    assert "field 'laterality'" in coded
    assert "'right' is 2 there and 1 here" in coded


def test_the_difference_that_mending_makes(tmp_path: Path, imported: Any) -> None:
    key = ("record", "rule")
    before = {(one["record"], one["rule"]): one for one in imported("studies")}
    after = {(one["record"], one["rule"]): one for one in imported("mended", "--mend")}
    assert rows(list(before.values()), *key) == rows(list(after.values()), *key)
    changed = {spot: one for spot, one in before.items() if one["passed"] != after[spot]["passed"]}
    # only false alarms go: whatever changes failed before and passes now
    assert {one["passed"] for one in changed.values()} == {"0"}
    in_blocks = [rule for _, rule in changed if rule in BLOCKS]
    assert len(in_blocks) == 48
    mandatory = [one for one in before.values() if one["kind"] == "mandatory_req" and one["rule"].startswith("uc7_")]
    assert sum(one["passed"] == "0" for one in mandatory) == 62
    others = Counter(rule for _, rule in changed if rule not in BLOCKS)
    assert others == Counter(OTHERS)
    report = (tmp_path / "mended" / "import-report.md").read_text(encoding="utf-8")
    assert all(f"'{rule}' asks for" in report for rule in {*BLOCKS, *OTHERS})
