"""Two patients are one, or an id was corrected: the old one goes everywhere, and stays away whatever comes later.

Every test runs against every OMOP database, the embedded one and PostgreSQL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli.app import run as command
from caseweave.errors import UsageError
from caseweave.identity.keyfile import project_key
from caseweave.identity.subjects import KeyedResolver
from caseweave.run.database import remembered
from caseweave.run.merge import Patient, merge, patient_of
from caseweave.run.status import status
from caseweave.run.workspace import Workspace
from tests.targets.databases import DATABASES, Deliver, deliver_to, server_of
from tests.unit.run.registry import STUDY, Rows, fhir, filled, omop, opened, periods, workbook


@pytest.fixture(params=DATABASES)
def deliver(request: pytest.FixtureRequest) -> Deliver:
    """Runs the registry's study into a workspace and a database of its own."""
    return deliver_to(request)


@pytest.fixture
def first(deliver: Deliver, tmp_path: Path) -> Path:
    """A workspace into which the filled form has been run."""
    deliver(tmp_path / "workspace", workbook(tmp_path / "form.xlsx", filled()))
    return tmp_path / "workspace"


def name_of(folder: Path, typed: str) -> str:
    """The pseudonym of an id in the registry's forms."""
    return KeyedResolver(project_key("registry", key_file=folder.parent / "registry.key")).resolve("", typed)


def merged(folder: Path, old: str, new: str, **how: Any) -> dict[str, Any]:
    """Merge two patients of whom the forms' ids are known."""
    return merge(Workspace(folder), *(Patient(name_of(folder, one)) for one in (old, new)), **how)


def without(rows: Rows, typed: str, sheets: tuple[str, ...] = ("Patients", "Visits")) -> dict[str, list[Any]]:
    return {name: [row for row in found if name not in sheets or row[0] != typed] for name, found in rows.items()}


def renamed(rows: Rows, old: str, new: str) -> dict[str, list[Any]]:
    return {name: [[new if cell == old else cell for cell in row] for row in found] for name, found in rows.items()}


def everything(folder: Path) -> tuple[object, ...]:
    return fhir(folder), omop(folder), periods(folder)


def test_what_stood_under_the_old_pseudonym_is_gone_and_nothing_else_changed(
    deliver: Deliver, first: Path, tmp_path: Path
) -> None:
    before = fhir(first), omop(first)
    found = merged(first, "P007", "P008")
    deliver(tmp_path / "fresh", workbook(tmp_path / "fewer.xlsx", without(filled(), "P007")))
    assert everything(first) == everything(tmp_path / "fresh")
    assert sum(found["fhir"].values()) == len(before[0]) - len(fhir(first)) == 7
    assert found["omop"]["person"] == 1 and found["omop"]["measurement"] == 5
    assert found["forms"] == [{"run": 1, "source": "source-1", "sheets": ["patients", "visits"]}]
    after = status(Workspace(first))
    assert after["patients"] == 29
    assert sum(after["last_run"]["fhir"].values()) == len(fhir(first))
    assert after["last_run"]["omop"]["person"] == 29
    with opened(first) as database:
        told = database.execute("SELECT count(*) FROM caseweave_ledger WHERE subject = ?", (name_of(first, "P007"),))
        assert [tuple(row) for row in told] == [(0,)]


def test_other_peoples_rows_keep_their_integers_and_are_not_written_anew(deliver: Deliver, first: Path) -> None:
    before, server = rows_of(first), remembered(Workspace(first).read_state())
    versions_before = versions_of(first)
    merged(first, "P007", "P008")
    after = rows_of(first)
    assert all(after[table] < before[table] for table in after)
    assert len(before["person"]) - len(after["person"]) == 1
    # on PostgreSQL by row versions: there is none that wasn't there, but for our own count of rows
    fresh = {table: found - versions_before[table] for table, found in versions_of(first).items()}
    assert {table for table, found in fresh.items() if found} == ({"caseweave_rows"} if server else set())


def rows_of(folder: Path) -> dict[str, set[tuple[object, ...]]]:
    """The rows of the tables that the registry fills, with their integers."""
    with opened(folder) as database:
        return {
            table: {tuple(row) for row in database.execute(f"SELECT * FROM {table}")}
            for table in ("person", "condition_occurrence", "episode", "episode_event", "measurement")
        }


def versions_of(folder: Path) -> dict[str, set[tuple[Any, ...]]]:
    server = remembered(Workspace(folder).read_state())
    if server is None:
        return {}
    from tests.live.cdm import versions

    return versions(server.dsn, server.schema)


def test_the_old_id_in_the_next_form_makes_facts_of_the_new_patient(
    deliver: Deliver, first: Path, tmp_path: Path
) -> None:
    """The visits of both are one patient's; of the two rows of the register the one with the id that stayed counts."""
    rows = filled()
    rows["Visits"] = [[row[0], row[1] + 2 * (row[0] == "P007"), *row[2:]] for row in rows["Visits"]]
    merged(first, "P007", "P008")
    deliver(first, workbook(tmp_path / "tomorrow.xlsx", rows))
    as_one = renamed(without(rows, "P007", ("Patients",)), "P007", "P008")
    deliver(tmp_path / "fresh", workbook(tmp_path / "as-one.xlsx", as_one))
    assert everything(first) == everything(tmp_path / "fresh")
    (told,) = [one for one in json.loads((first / "findings.json").read_text()) if one["rule"] == "duplicate-row"]
    assert (told["severity"], told["sheet"], told["cell"]) == ("error", "patients", "A9")
    assert "merged into the other, was not loaded" in told["message"]


def test_the_same_form_again_brings_the_facts_back_under_a_corrected_id(
    deliver: Deliver, first: Path, tmp_path: Path
) -> None:
    """An id was mistyped: nobody else bears the right one, which is typed, for no target knows it yet."""
    right = patient_of(Workspace(first), "P907", study=str(STUDY), key_file=tmp_path / "registry.key")
    assert right == Patient(name_of(first, "P907"), typed=True)
    merge(Workspace(first), Patient(name_of(first, "P007")), right)
    outcome = deliver(first, tmp_path / "form.xlsx")
    assert outcome.manifest["targets"]["fhir"]["new"] == 7
    deliver(tmp_path / "fresh", workbook(tmp_path / "corrected.xlsx", renamed(filled(), "P007", "P907")))
    assert everything(first) == everything(tmp_path / "fresh")
    # the corrected form then says nothing new
    again = deliver(first, tmp_path / "corrected.xlsx")
    assert [(one["new"], one["changed"], one["retracted"]) for one in again.manifest["targets"].values()] == [
        (0, 0, 0), (0, 0, 0)]  # fmt: skip
    assert everything(first) == everything(tmp_path / "fresh")


def test_the_corrected_form_may_come_before_the_merge(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    corrected = workbook(tmp_path / "corrected.xlsx", renamed(filled(), "P007", "P907"))
    deliver(first, corrected)
    assert omop(first).keys() > omop_of(deliver, tmp_path, corrected).keys()
    merged(first, "P007", "P907")
    assert everything(first) == everything(tmp_path / "fresh")


def omop_of(deliver: Deliver, tmp_path: Path, form: Path) -> dict[str, Any]:
    deliver(tmp_path / "fresh", form)
    return omop(tmp_path / "fresh")


def test_all_streams_of_the_workspace_let_go(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    more = {"Patients": filled()["Patients"], "Visits": [["P007", 3, "2022-05-06", 9, 70.0]]}
    deliver(first, workbook(tmp_path / "more.xlsx", more), stream="clinic")
    merged(first, "P007", "P008")
    deliver(tmp_path / "fresh", workbook(tmp_path / "fewer.xlsx", without(filled(), "P007")))
    assert fhir(first) == fhir(tmp_path / "fresh")
    assert omop(first) == omop(tmp_path / "fresh")
    assert periods(first) == periods(tmp_path / "fresh")


def test_a_merge_is_taken_back(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    before = everything(first)
    rows = filled()
    rows["Visits"] = [[row[0], row[1] + 2 * (row[0] == "P007"), *row[2:]] for row in rows["Visits"]]
    form = workbook(tmp_path / "tomorrow.xlsx", rows)
    merged(first, "P007", "P008")
    deliver(first, form)
    found = merged(first, "P007", "P008", undo=True)
    assert found["fhir"]["Patient"] == 1
    deliver(first, form)
    deliver(tmp_path / "fresh", form)
    assert everything(first) == everything(tmp_path / "fresh")
    deliver(first, tmp_path / "form.xlsx", force=True)
    assert everything(first) == before


def test_who_was_merged_into_the_old_one_follows_it(deliver: Deliver, first: Path, tmp_path: Path) -> None:
    merged(first, "P007", "P008")
    merged(first, "P008", "P009")
    rows = without(without(filled(), "P008"), "P007", ("Patients",))
    rows["Visits"] = [[row[0], row[1] + 2 * (row[0] == "P007"), *row[2:]] for row in rows["Visits"]]
    deliver(first, workbook(tmp_path / "tomorrow.xlsx", rows))
    deliver(tmp_path / "fresh", workbook(tmp_path / "as-one.xlsx", renamed(rows, "P007", "P009")))
    assert everything(first) == everything(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("P003", "P003", "can't be merged into itself"),
        ("P008", "P007", "go in a circle"),
        ("P007", "P003", "was merged into .* already"),
        ("P003", "P007", "was itself merged into"),
        ("P099", "P003", "No patient of this workspace"),
        ("P003", "P099", "No patient of this workspace"),
        ("P007", "P008", "nothing is left to retract"),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(deliver: Deliver, first: Path, old: str, new: str, said: str) -> None:
    merged(first, "P007", "P008")
    before = everything(first), Workspace(first).read_state()
    with pytest.raises(UsageError, match=said) as error:
        merged(first, old, new)
    assert not any(typed in str(error.value) for typed in ("P003", "P007", "P008", "P099"))
    assert (everything(first), Workspace(first).read_state()) == before


def test_a_merge_that_died_is_finished(
    deliver: Deliver, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("caseweave.run.merge.retract_fhir", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            merged(first, "P007", "P008")
    assert sum(merged(first, "P007", "P008")["fhir"].values()) == 7
    deliver(tmp_path / "fresh", workbook(tmp_path / "fewer.xlsx", without(filled(), "P007")))
    assert everything(first) == everything(tmp_path / "fresh")


def test_a_dry_run_tells_it_and_changes_nothing(deliver: Deliver, first: Path) -> None:
    before, files = everything(first), contents(first)
    found = merged(first, "P007", "P008", dry_run=True)
    assert (sum(found["fhir"].values()), found["omop"]["person"]) == (7, 1)
    assert (everything(first), contents(first)) == (before, files)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.live
def test_others_rows_and_other_workspaces_stay(postgres_database: str, tmp_path: Path) -> None:
    """Another stream of another workspace tells of the patient too: what it says stays, and the merge says so."""
    from tests.unit.run import registry

    server = server_of(postgres_database, tmp_path / "shared")
    registry.deliver(tmp_path / "one", workbook(tmp_path / "form.xlsx", filled()), omop=server)
    few = {"Patients": filled()["Patients"][7:8], "Visits": [["P007", 3, "2022-05-06", 9, 70.0]]}
    registry.deliver(tmp_path / "two", workbook(tmp_path / "few.xlsx", few), omop=server, stream="clinic")
    before = counted(tmp_path / "one")
    found = merged(tmp_path / "one", "P007", "P008")
    assert found["elsewhere"] == ["study registry, stream clinic"]
    assert found["omop"] == {"measurement": 4}  # the four of two visits; the rest the other stream says as well
    after = counted(tmp_path / "one")
    assert after == {**before, "measurement": before["measurement"] - 4}
    assert (before["person"], len(periods(tmp_path / "one"))) == (30, 30)
    assert ("2020-03-08", "2022-05-06") in periods(tmp_path / "one")


@pytest.mark.live
def test_a_merge_goes_to_a_database_that_is_delivered_to(postgres_database: str, tmp_path: Path) -> None:
    """The only patient of a stream goes: the transfer takes the whole stream out of the other database."""
    from caseweave.run.transfer import transfer
    from tests.unit.run import registry

    server, folder = server_of(postgres_database, tmp_path / "there"), tmp_path / "one"
    registry.deliver(folder, workbook(tmp_path / "form.xlsx", filled()))
    odd = {"Patients": [["P907", "f", "1950-01-01", "2020-05-06", "pos", 11, None]], "Visits": []}
    registry.deliver(folder, workbook(tmp_path / "odd.xlsx", odd), stream="clinic")
    transfer(Workspace(folder), server)
    assert len(omop(folder, server=server)) == 256
    line = ["merge", str(folder), name_of(folder, "P907"), name_of(folder, "P007"), "--omop", server.dsn]
    assert command([*line, "--omop-schema", server.schema]) == 0
    with opened(folder, server) as database:
        assert [tuple(row) for row in database.execute("SELECT count(*) FROM person")] == [(30,)]
    assert omop(folder, server=server) == omop(folder)


def counted(folder: Path) -> dict[str, int]:
    """How many rows the tables hold that the registry fills."""
    with opened(folder) as database:
        return {
            table: int(next(iter(database.execute(f"SELECT count(*) FROM {table}")))[0])
            for table in ("person", "condition_occurrence", "episode", "episode_event", "measurement")
        }


def test_an_id_given_for_a_pseudonym_is_not_repeated(
    deliver: Deliver, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(first)
    assert command(["merge", str(first), "P007", "P008"]) == 2
    said = capsys.readouterr()
    assert "No patient of this workspace has the pseudonym that is to go." in said.err
    assert "P007" not in said.out + said.err and "P008" not in said.out + said.err
    assert everything(first) == before


def test_the_command_takes_ids_that_are_typed_and_never_repeats_them(
    deliver: Deliver, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("P007\nP008\n"))
    line = ["merge", str(first), "-", "-", "--study", str(STUDY), "--key", str(tmp_path / "registry.key")]
    assert command(line) == 0
    said = capsys.readouterr()
    assert f"{name_of(first, 'P007')} is {name_of(first, 'P008')}" in said.out
    assert "FHIR       7 resources retracted" in said.out
    assert "Run again  source-1 of run 1 (patients, visits)" in said.out
    assert "P007" not in said.out + said.err + (first / "manifest.json").read_text()
    assert not any(b"P007" in path.read_bytes() for path in (first / "private").glob("*.json"))
