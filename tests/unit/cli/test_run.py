"""`caseweave run`: what it says, what it leaves, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli import progress
from caseweave.cli.progress import ShownClock


def test_all_loaded_is_0(bench: Any, clean: Any) -> None:
    said = bench.run(bench.form(clean))
    assert said.code == 0, said.err
    assert "mini 1.0.0, run 1, in " in said.out
    assert "source-1 4 rows" in said.out
    assert "Cells      21 = 20 loaded + 1 ignored + 0 missing + 0 rejected" in said.out
    assert "Findings   none" in said.out
    assert "Exit code  0: all loaded." in said.out
    assert len(said.out.splitlines()) < 24
    assert said.err == ""


def test_something_rejected_is_1_and_has_its_place(bench: Any, dirty: Any) -> None:
    said = bench.run(bench.form(dirty))
    assert said.code == 1
    assert "main!B4 sex: Not in value set sex." in said.out
    assert "Exit code  1" in said.out
    assert len(said.out.splitlines()) < 25


def test_json_is_the_manifest_alone(bench: Any, dirty: Any) -> None:
    said = bench.run(bench.form(dirty), "--json")
    assert said.code == 1
    assert said.json == json.loads((bench.workspace / "manifest.json").read_text())
    balance = said.json["balance"]
    assert balance["cells"] == sum(balance[name] for name in ("loaded", "ignored", "missing", "rejected"))


def test_the_same_form_again_changes_nothing(bench: Any, clean: Any) -> None:
    form = bench.form(clean)
    first = bench.run(form, "--json").json
    again = bench.run(form, "--json").json
    assert again["run"] == 2
    for target in ("fhir", "omop"):
        assert again["targets"][target] == {
            "new": 0,
            "changed": 0,
            "retracted": 0,
            "unchanged": first["targets"][target]["new"],
        }


def test_a_study_that_is_not_there_is_2(bench: Any, clean: Any) -> None:
    said = bench("run", bench.form(clean), "--study", "minni", "--studies", bench.studies)
    assert said.code == 2
    assert "There is no study 'minni'" in said.err and "mini" in said.err


def test_a_file_that_is_not_there_is_2(bench: Any) -> None:
    said = bench.run(bench.folder / "nowhere.xlsx")
    assert said.code == 2
    assert "isn't there" in said.err
    assert not bench.workspace.exists()


def test_a_damaged_file_is_2_and_leaves_nothing(bench: Any) -> None:
    form = bench.folder / "form.xlsx"
    form.write_bytes(b"PK\x03\x04 nothing")
    said = bench.run(form)
    assert said.code == 2
    assert said.err.startswith("caseweave: form.xlsx: ")
    assert not bench.workspace.exists()


def test_another_key_is_4(bench: Any, clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    form = bench.form(clean)
    assert bench.run(form).code == 0
    assert bench("run", form, "--study", "mini", "--studies", bench.studies, "-o", "two", "--key", "two.key").code == 0
    said = bench.run(form, "--key", bench.folder / "two.key")
    assert said.code == 4
    assert "This key" in said.err and "--key" in said.err
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(bench.folder / "lost.key"))
    assert bench.run(form).code == 4


def test_a_folder_of_something_else_is_4(bench: Any, clean: Any) -> None:
    bench.workspace.mkdir()
    (bench.workspace / "thesis.txt").write_text("mine")
    said = bench.run(bench.form(clean))
    assert said.code == 4
    assert "is no workspace" in said.err
    assert [path.name for path in bench.workspace.iterdir()] == ["thesis.txt"]


def test_streams_stand_beside_each_other(bench: Any, clean: Any) -> None:
    form = bench.form(clean)
    bench.run(form)
    bench.run(bench.form({"Main": clean["Main"][:1]}), "--stream", "registry")
    with sqlite3.connect(bench.workspace / "omop.sqlite") as connection:
        found = connection.execute("SELECT DISTINCT stream FROM caseweave_ledger ORDER BY 1").fetchall()
    assert found == [("main",), ("registry",)]


def test_a_blank_cell_makes_no_fact(bench: Any, clean: Any) -> None:
    # the pattern of a weight could do without a value, its field can't
    full = bench.run(bench.form(clean), "--json").json["fhir"]["Observation"]
    clean["Main"][0][5] = None
    fewer = bench.run(bench.form(clean), "--retract", "all", "--json").json
    assert fewer["fhir"]["Observation"] == full - 1


def protect(path: Path, password: str) -> Path:
    from msoffcrypto.format.ooxml import OOXMLFile

    locked = path.with_name("locked.xlsx")
    with path.open("rb") as plain, locked.open("wb") as out:
        OOXMLFile(plain).encrypt(password, out)
    return locked


def test_a_protected_form_in_a_pipe_needs_the_variable(bench: Any, clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    form = protect(bench.form(clean), "tidal")
    said = bench.run(form)
    assert said.code == 2
    assert "locked.xlsx" in said.err
    monkeypatch.setenv("CASEWEAVE_WORKBOOK_PASSWORD", "tidal")
    assert bench.run(form).code == 0


def test_a_person_is_asked_for_the_password(bench: Any, clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["wrong", "tidal"])
    monkeypatch.setattr("caseweave.cli.intake._ask", lambda clock: next(answers))
    assert bench.run(protect(bench.form(clean), "tidal")).code == 0
    assert list(answers) == []


class Bar:
    """What rich's progress bar is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def add_task(self, name: str, total: int) -> int:
        return 0

    def update(self, task: int, description: str) -> None:
        self.said.append(description)

    def advance(self, task: int) -> None: ...

    def refresh(self) -> None: ...


def test_a_terminal_sees_every_step(bench: Any, clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    bar = Bar()
    monkeypatch.setattr(progress, "clock", lambda: nullcontext(ShownClock(bar)))
    assert bench.run(bench.form(clean)).code == 0
    first = [text for name, text in progress.STEPS.items() if name != "compare"]
    assert bar.said == first
    assert bench.run(bench.form(clean)).code == 0
    assert bar.said == [*first, *progress.STEPS.values()]


def many(patients: int) -> dict[str, list[list[Any]]]:
    return {
        "Main": [[f"P{n:03}", "f", "1960-01-02", "2020-02-03", "pos", 60, None] for n in range(patients)],
        "Visits": [],
    }


def test_a_mass_retraction_is_4_until_it_is_allowed(bench: Any) -> None:
    bench.run(bench.form(many(40)))
    held = (bench.workspace / "omop.sqlite").read_bytes()
    emptied = {"Main": [[*row[:4], None, None, None] for row in many(40)["Main"]], "Visits": []}
    said = bench.run(bench.form(emptied))
    assert said.code == 4
    assert "--retract all" in said.err
    assert (bench.workspace / "omop.sqlite").read_bytes() == held
    assert bench.run(bench.form(emptied), "--increment", "--json").json["targets"]["fhir"]["retracted"] == 0
    assert bench.run(bench.form(emptied), "--retract", "all", "--json").json["targets"]["fhir"]["retracted"] == 80


def test_older_forms_are_4_until_they_are_forced(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean), "--as-of", "2021-03-31")
    clean["Main"][0][5] = 62
    corrected = bench.form(clean)
    said = bench.run(corrected, "--as-of", "2021-03-30T18:00")
    assert said.code == 4
    assert "--force" in said.err
    assert bench.run(corrected, "--as-of", "2021-03-30T18:00", "--force").code == 0


def test_patients_who_are_gone_stay_unless_the_form_holds_everybody(bench: Any) -> None:
    bench.run(bench.form(many(40)))
    fewer = bench.form(many(39))
    assert bench.run(fewer, "--json").json["targets"]["fhir"]["retracted"] == 0
    assert bench.run(fewer, "--complete", "--json").json["targets"]["fhir"]["retracted"] == 4


@pytest.mark.parametrize("wrong", [["--as-of", "31.3.2021"], ["--retract", "some"], ["--nonsense"]])
def test_a_wrong_option_is_2(bench: Any, clean: Any, wrong: list[str]) -> None:
    said = bench.run(bench.form(clean), *wrong)
    assert said.code == 2
    assert wrong[0] in said.err
