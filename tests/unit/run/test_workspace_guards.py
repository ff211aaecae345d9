"""A workspace keeps to itself: no links out of it, nothing of who was retracted, no hash that lets ids be guessed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import pytest
from tests.unit.run.registry import deliver, filled, workbook

from caseweave.errors import Refusal
from caseweave.run.reports import safe

WORKSPACE = "workspace"


@pytest.mark.parametrize(
    "name", ["private", "findings.csv.part", "fhir/Patient.ndjson.part", "private/sources.json.part"]
)
def test_a_link_that_somebody_laid_is_refused(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "target").write_text("mine", encoding="utf-8")
    form = workbook(tmp_path / "form.xlsx", filled())
    link = tmp_path / WORKSPACE / name
    if name != "private":
        deliver(tmp_path / WORKSPACE, form)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere if name == "private" else elsewhere / "target")
    with pytest.raises(Refusal, match="is a link"):
        deliver(tmp_path / WORKSPACE, form)
    assert (elsewhere / "target").read_text(encoding="utf-8") == "mine"
    assert [one.name for one in elsewhere.iterdir()] == ["target"]


def test_a_workspace_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / WORKSPACE).symlink_to(tmp_path / "disk")
    assert deliver(tmp_path / WORKSPACE, workbook(tmp_path / "form.xlsx", filled())).exit_code == 0


def test_who_was_retracted_is_in_no_free_page(tmp_path: Path) -> None:
    """Deleted rows stay in an SQLite file until their page is used again, unless they are overwritten."""
    rows = filled()
    deliver(tmp_path / WORKSPACE, workbook(tmp_path / "form.xlsx", rows))
    files = (tmp_path / WORKSPACE / "omop.sqlite", tmp_path / WORKSPACE / "private" / "ledger.sqlite")
    with sqlite3.connect(files[0]) as database:
        before = {name for (name,) in database.execute("SELECT person_source_value FROM person")}
    stays = {name: [row for row in found if row[0] in ("P000", "P001")] for name, found in rows.items()}
    deliver(tmp_path / WORKSPACE, workbook(tmp_path / "form.xlsx", stays), complete=True, retract="all")
    with sqlite3.connect(files[0]) as database:
        after = {name for (name,) in database.execute("SELECT person_source_value FROM person")}
    assert len(before) == 30 and len(after) == 2
    for file in files:
        content = file.read_bytes()
        assert [name for name in before - after if name.encode() in content] == [], file.name
        assert all(name.encode() in content for name in after), file.name


def test_a_form_of_one_patient_tells_nothing_by_its_digest(tmp_path: Path) -> None:
    """Who has the outputs knows all of a small csv but the id: with a bare hash of the file it could be tried out."""
    rows = {name: [row for row in found if row[0] == "P003"] for name, found in filled().items()}
    form = workbook(tmp_path / "form.xlsx", rows)
    deliver(tmp_path / WORKSPACE, form)
    bare = hashlib.sha256(form.read_bytes()).hexdigest()
    digests = [one["digest"] for one in json.loads((tmp_path / WORKSPACE / "manifest.json").read_text())["sources"]]
    public = [one for one in (tmp_path / WORKSPACE).rglob("*") if one.is_file() and "private" not in one.parts]
    assert [one.name for one in public if bare[:16].encode() in one.read_bytes()] == []
    assert bare in (tmp_path / WORKSPACE / "private" / "sources.json").read_text(encoding="utf-8")
    deliver(tmp_path / WORKSPACE, form)
    again = [one["digest"] for one in json.loads((tmp_path / WORKSPACE / "manifest.json").read_text())["sources"]]
    assert again == digests and len(digests[0]) == 32


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    assert safe(text) == "'" + text
    assert safe("a" + text) == "a" + text


@pytest.mark.skipif(os.name != "posix", reason="there are no owners")
def test_a_private_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(Refusal, match="belongs to somebody else"):
        deliver(tmp_path / WORKSPACE, workbook(tmp_path / "form.xlsx", filled()))
