"""A dry run tells the difference that the run then makes, and leaves no trace: not in files, not in databases.

Every test runs against every OMOP database, the embedded one and PostgreSQL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli.app import run as command
from caseweave.run.database import remembered
from caseweave.run.pipeline import Options, Outcome
from caseweave.run.preview import preview
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.targets.fhir.server.settings import Server
from tests.targets.databases import DATABASES, Deliver, deliver_to, server_of
from tests.unit.run.registry import STUDY, TODAY, filled, workbook

NOBODY = "http://127.0.0.1:9/fhir"  # whoever asked there would be refused


@pytest.fixture(params=DATABASES)
def deliver(request: pytest.FixtureRequest) -> Deliver:
    """Runs the registry's study into a workspace and a database of its own."""
    return deliver_to(request)


@pytest.fixture
def first(deliver: Deliver, tmp_path: Path) -> Path:
    """A workspace into which the filled form has been run."""
    deliver(tmp_path / "workspace", workbook(tmp_path / "form.xlsx", filled()))
    return tmp_path / "workspace"


def tried(folder: Path, form: Path, **options: Any) -> Outcome:
    settings = Options(key_file=folder.parent / "registry.key", today=TODAY, **options)
    return preview(load_study(STUDY), [form], Workspace(folder), settings, servers=[Server(NOBODY)])


def traces(folder: Path) -> dict[str, Any]:
    """All files of a workspace with their contents and times, and every version of every row in its database."""
    files: dict[str, Any] = {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    server = remembered(Workspace(folder).read_state())
    if server is None:
        return files
    from tests.live.cdm import versions

    return {**files, **versions(server.dsn, server.schema)}


def corrected(path: Path) -> Path:
    """A new value, a visit less, a patient more."""
    rows = filled()
    rows["Patients"][4][5] = 12.5
    rows["Visits"].pop(0)
    rows["Patients"].append(["P030", "f", "1970-02-03", "2020-03-01", "pos", 11, None])
    return workbook(path, rows)


def test_it_tells_what_the_run_then_does(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    form, before = corrected(tmp_path / "corrected.xlsx"), traces(first)
    outcome = tried(first, form)
    assert traces(first) == before
    told = outcome.manifest["targets"]
    assert told["fhir"] == {
        "new": {"Condition": 1, "Observation": 2, "Patient": 1}, "changed": {"Observation": 1},
        "retracted": {"Observation": 2}, "unchanged": 223,
    }  # fmt: skip
    assert told["omop"]["new"] == {
        "condition_occurrence": 1, "episode": 1, "episode_event": 1, "measurement": 2, "person": 1}  # fmt: skip
    assert (told["omop"]["changed"], told["omop"]["retracted"]) == ({"measurement": 1}, {"measurement": 2})
    # a server that never was delivered to lacks everything, as it will be
    assert sum(told[NOBODY]["new"].values()) == told["fhir"]["unchanged"] + 1 + 4
    assert not told[NOBODY]["changed"] and not told[NOBODY]["retracted"]
    done = deliver(first, form)
    for name in ("fhir", "omop"):
        counts = {kind: sum(told[name][kind].values()) for kind in ("new", "changed", "retracted")}
        assert {**counts, "unchanged": told[name]["unchanged"]} == done.manifest["targets"][name]
    assert outcome.manifest["findings"] == done.manifest["findings"]
    assert outcome.manifest["balance"] == done.manifest["balance"]


def test_the_same_form_has_nothing_to_do(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = traces(first)
    targets = tried(first, tmp_path / "form.xlsx").manifest["targets"]
    for name in ("fhir", "omop"):
        assert (targets[name]["new"], targets[name]["changed"], targets[name]["retracted"]) == ({}, {}, {})
    assert traces(first) == before


def test_what_would_be_refused_is_told_with_its_exit_code(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = traces(first)
    emptied = workbook(tmp_path / "emptied.xlsx", {**filled(), "Visits": []})
    outcome = tried(first, emptied)
    assert outcome.exit_code == 4
    assert "visits: 120 of 120" in outcome.manifest["refused"]
    assert outcome.manifest["targets"]["omop"]["retracted"] == {"measurement": 120}
    assert tried(first, emptied, retract="all").exit_code == 0
    assert traces(first) == before


def test_a_workspace_that_is_not_there_is_not_made_and_no_key_either(deliver: Deliver, tmp_path: Path) -> None:
    form = workbook(tmp_path / "form.xlsx", filled())
    outcome = tried(tmp_path / "new" / "workspace", form)
    assert sum(outcome.manifest["targets"]["fhir"]["new"].values()) == 226
    assert outcome.manifest["targets"]["omop"]["new"]["person"] == 30
    assert sorted(tmp_path.iterdir()) == [form]


@pytest.mark.live
def test_a_database_that_was_never_delivered_to_stays_as_it_is(postgres_database: str, tmp_path: Path) -> None:
    from tests.live.cdm import versions

    server = server_of(postgres_database, tmp_path / "there")
    before = versions(server.dsn, server.schema)
    outcome = tried(tmp_path / "new", workbook(tmp_path / "form.xlsx", filled()), omop=server)
    assert outcome.manifest["targets"]["omop"]["new"]["person"] == 30
    assert versions(server.dsn, server.schema) == before


def test_deliver_tells_it_too_without_asking_anybody(
    deliver: Deliver, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = traces(first)
    assert command(["deliver", str(first), "--fhir", NOBODY, "--dry-run", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["new"]["Patient"] == 30 and told["dry_run"]
    assert traces(first) == before


def test_the_command_shows_the_difference_by_type_and_table(
    deliver: Deliver, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form, before = corrected(tmp_path / "corrected.xlsx"), traces(first)
    line = ["run", str(form), "--study", str(STUDY), "-o", str(first), "--key", str(tmp_path / "registry.key")]
    assert command([*line, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "registry 1.0.0, run 2 as it would be" in said and "nothing was written" in said
    assert "New        4: Observation 2, Condition 1, Patient 1" in said
    assert "New        6: measurement 2, condition_occurrence 1, episode 1, episode_event 1, person 1" in said
    assert "Retracted  2: measurement 2" in said
    assert command([*line, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["targets"]["omop"]["changed"] == {"measurement": 1}
    assert traces(first) == before
