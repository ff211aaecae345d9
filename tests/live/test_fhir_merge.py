"""A merge, a dry run and a script's delivery on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.fhir import ours, send, sent, theirs, versions
from tests.services.hapi import Hapi
from tests.targets.test_merge import merged, name_of, renamed, without
from tests.unit.run.registry import STUDY, filled, workbook
from tests.unit.run.registry import deliver as run_registry

import caseweave
from caseweave.cli.app import run as command

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi")]


@pytest.fixture
def first(hapi: Hapi, tmp_path: Path) -> Path:
    """A workspace that was run and delivered once."""
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    assert send(folder, hapi).exit_code == 0
    return folder


def test_a_merged_patient_leaves_the_server_and_comes_as_the_other(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    before, versions_before = ours(first), versions(first, hapi)
    merged(first, "P007", "P008")
    gone = before.keys() - ours(first).keys()
    assert sent(send(first, hapi)) == (0, 0, 7)
    assert theirs(first, hapi) == ours(first)
    assert {hapi.http.get(f"{hapi.url}/{name}").status_code for name in gone} == {410}
    after = versions(first, hapi)
    assert after == {name: version for name, version in versions_before.items() if name not in gone}
    # tomorrow's form still has the old id, for two visits that are the other patient's third and fourth
    rows = without(filled(), "P007", ("Patients",))
    rows["Visits"] = [[row[0], row[1] + 2 * (row[0] == "P007"), *row[2:]] for row in rows["Visits"]]
    run_registry(first, workbook(tmp_path / "tomorrow.xlsx", rows))
    assert sent(send(first, hapi)) == (4, 0, 0)
    run_registry(tmp_path / "fresh", workbook(tmp_path / "as-one.xlsx", renamed(rows, "P007", "P008")))
    assert theirs(first, hapi) == ours(first) == ours(tmp_path / "fresh")


def test_a_merge_that_is_delivered_at_once(first: Path, hapi: Hapi, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["merge", str(first), name_of(first, "P007"), name_of(first, "P008"), "--fhir", hapi.url]
    assert command(line) == 0
    assert "Retracted  7: Observation 5, Condition 1, Patient 1" in capsys.readouterr().out
    assert hapi.count("Patient") == 29


def test_a_dry_run_sends_nothing(first: Path, hapi: Hapi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = versions(first, hapi)
    rows = filled()
    rows["Patients"][4][5] = 12.5
    rows["Visits"].pop(0)
    form = workbook(tmp_path / "corrected.xlsx", rows)
    line = ["run", str(form), "--study", str(STUDY), "-o", str(first), "--key", str(tmp_path / "registry.key")]
    assert command([*line, "--fhir", hapi.url, "--dry-run"]) == 0
    told = capsys.readouterr().out.partition(f"{hapi.url}: ")[2]
    assert "Changed    1: Observation 1\nRetracted  2: Observation 2" in told
    assert versions(first, hapi) == before
    run_registry(first, form)
    assert sent(send(first, hapi)) == (0, 1, 2)


def test_a_script_delivers(hapi: Hapi, tmp_path: Path) -> None:
    form = workbook(tmp_path / "form.xlsx", filled())
    result = caseweave.load_study(STUDY).convert(form, key_file=tmp_path / "registry.key")
    done = result.deliver(tmp_path / "one", fhir=hapi.url)
    assert done.exit_code == 0
    assert done.manifest["deliveries"][hapi.url]["new"] == done.manifest["fhir"]
    assert theirs(tmp_path / "one", hapi) == ours(tmp_path / "one")
    again = result.deliver(tmp_path / "one", fhir=hapi.url)
    assert again.manifest["deliveries"][hapi.url]["new"] == {}
