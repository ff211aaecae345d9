"""Night after night on a real server: only what differs is sent, what is gone is deleted, a lost ledger comes back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.live.fhir import forget, ours, quarantined, send, sent, theirs, versions
from tests.live.misbehaviour import after, reset
from tests.services.hapi import Hapi
from tests.services.proxy import Exchange, Rule, good, proxy_to
from tests.unit.run.registry import deliver as run_registry
from tests.unit.run.registry import filled, workbook

from caseweave.cli.app import run
from caseweave.errors import UsageError
from caseweave.run.status import status
from caseweave.run.trace import trace
from caseweave.run.workspace import Workspace

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi")]


def typed_id(folder: Path, patient: str) -> str:
    """The id of a patient as it was typed, by the row of the form that the Patient was made of."""
    (way,) = trace(Workspace(folder), patient).ways
    row = next(int(use.cell[1:]) for use in way.cells if use.sheet == "patients")
    return str(filled()["Patients"][row - 2][0])


@pytest.fixture
def first(hapi: Hapi, tmp_path: Path) -> Path:
    """A workspace that was run and delivered once."""
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    assert send(folder, hapi).exit_code == 0
    return folder


def test_one_corrected_cell_is_sent_alone(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    before, versions_before = ours(first), versions(first, hapi)
    rows = filled()
    rows["Patients"][4][5] = 12.5
    run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
    differing = [name for name, one in ours(first).items() if before[name] != one]
    assert len(differing) == 1
    assert send(first, hapi, dry_run=True).summary["changed"] == {"Observation": 1}
    assert versions(first, hapi) == versions_before
    assert sent(send(first, hapi)) == (0, 1, 0)
    assert theirs(first, hapi) == ours(first)
    after = versions(first, hapi)
    assert {name: after[name] for name in after if after[name] != versions_before[name]} == {differing[0]: "2"}
    assert sent(send(first, hapi)) == (0, 0, 0)


def test_a_retracted_row_is_gone_and_history_keeps_it(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    before = ours(first)
    rows = filled()
    rows["Visits"].pop(0)
    run_registry(first, workbook(tmp_path / "shorter.xlsx", rows))
    gone = before.keys() - ours(first).keys()
    assert len(gone) == 2
    assert sent(send(first, hapi)) == (0, 0, 2)
    assert theirs(first, hapi) == ours(first)
    for name in gone:
        assert hapi.http.get(f"{hapi.url}/{name}").status_code == 410
        assert [how for _, how in hapi.history(name)] == ["DELETE", "POST"]
    assert sent(send(first, hapi)) == (0, 0, 0)
    # what was retracted by mistake comes back
    run_registry(first, workbook(tmp_path / "again.xlsx", filled()))
    assert sent(send(first, hapi)) == (2, 0, 0)
    assert {hapi.history(name)[0][0] for name in gone} == {"3"}


def test_a_patient_who_is_gone_is_deleted_whole(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    rows = {name: [row for row in found if row[0] != "P007"] for name, found in filled().items()}
    run_registry(first, workbook(tmp_path / "fewer.xlsx", rows), complete=True)
    assert sent(send(first, hapi)) == (0, 0, 7)
    assert hapi.count("Patient") == 29
    assert theirs(first, hapi) == ours(first)


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_lost_ledger_is_rebuilt_from_the_server(first: Path, hapi: Hapi, tmp_path: Path, form: str) -> None:
    before = versions(first, hapi)
    forget(first)
    again = send(first, hapi, format=form)
    assert sent(again) == (0, 0, 0)
    assert again.summary["found"] == {"same": len(ours(first)), "different": 0, "missing": 0, "stray": 0, "others": 0}
    assert versions(first, hapi) == before


def test_what_changed_while_the_ledger_was_lost_is_sent(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    other = {"resourceType": "Observation", "id": "of-another", "status": "final", "code": {"text": "theirs"},
             "meta": {"tag": [{"system": "urn:caseweave:study", "code": "registry"}]}}  # fmt: skip
    assert hapi.http.put(f"{hapi.url}/Observation/of-another", json=other).status_code == 201
    rows = filled()
    rows["Patients"][4][5] = 12.5  # a changed value
    rows["Visits"].pop(0)  # two facts gone
    rows["Patients"].append(["P030", "f", "1970-02-03", "2020-03-01", "pos", 11, None])  # a patient with four facts
    run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
    forget(first)
    again = send(first, hapi)
    assert again.exit_code == 0
    assert sent(again) == (4, 1, 2)
    assert again.summary["found"] == {
        "same": len(ours(first)) - 5, "different": 1, "missing": 4, "stray": 2, "others": 1,
    }  # fmt: skip
    there = theirs(first, hapi)
    assert there.pop("Observation/of-another")["code"] == {"text": "theirs"}
    assert there == ours(first)


def test_the_whole_ledger_lost(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    before = versions(first, hapi)
    (first / "private" / "ledger.sqlite").unlink()
    with pytest.raises(UsageError):
        send(first, hapi)
    run_registry(first, tmp_path / "form.xlsx")
    assert sent(send(first, hapi)) == (0, 0, 0)
    assert versions(first, hapi) == before


def test_verify_repairs_what_others_did_to_the_server(first: Path, hapi: Hapi) -> None:
    here = ours(first)
    observations = [name for name in here if name.startswith("Observation/")]
    changed = {**here[observations[0]], "status": "amended"}
    assert hapi.http.put(f"{hapi.url}/{observations[0]}", json=changed).status_code == 200
    assert hapi.http.delete(f"{hapi.url}/{observations[1]}").status_code == 200
    assert sent(send(first, hapi)) == (0, 0, 0)  # the ledger knows nothing of it
    repaired = send(first, hapi, verify=True)
    assert sent(repaired) == (1, 1, 0)
    assert theirs(first, hapi) == here


def test_a_wiped_server_is_filled_again(first: Path, hapi: Hapi) -> None:
    hapi.wipe()
    assert sent(send(first, hapi, verify=True)) == (len(ours(first)), 0, 0)
    assert theirs(first, hapi) == ours(first)


def test_two_servers_are_two_ledgers(first: Path, hapi: Hapi) -> None:
    other = Hapi(hapi.url.replace("127.0.0.1", "localhost"))
    assert sent(send(first, other)) == (0, 0, 0)  # it is the same behind another name: found as it is
    tables = [name for (name,) in sqlite3.connect(first / "private" / "ledger.sqlite").execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'fhir_at_%'")]  # fmt: skip
    assert len(tables) == 2


def test_what_was_sent_and_never_confirmed_is_not_forgotten(hapi: Hapi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    with proxy_to(hapi.url) as proxy:
        there = Hapi(proxy.url)
        there.get("metadata")  # the proxy keeps it: on a busy machine it takes longer than this test allows
        proxy.script(Rule(after(reset), times=0))
        assert send(folder, there, give_up=5.0, size=50).exit_code == 3
        proxy.script()
        assert hapi.count("Observation") > 0  # the server took what it never answered
        rows = filled()
        rows["Visits"] = rows["Visits"][1:]
        rows["Patients"][0][4] = None
        run_registry(folder, workbook(tmp_path / "shorter.xlsx", rows))
        assert send(folder, there).exit_code == 0
        assert theirs(folder, hapi) == ours(folder)
        assert sent(send(folder, there)) == (0, 0, 0)


def test_what_was_taken_back_before_it_was_confirmed_stands_as_it_was(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    with proxy_to(hapi.url) as proxy:
        there = Hapi(proxy.url)
        assert sent(send(first, there)) == (0, 0, 0)  # another name of the same server: found as it is
        rows = filled()
        rows["Patients"][4][5] = 12.5
        rows["Visits"].pop(0)
        run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
        proxy.script(Rule(after(reset), times=0))
        assert send(first, there, give_up=3.0).exit_code == 3
        assert theirs(first, hapi) == ours(first)  # the server took it, and nobody knows
        run_registry(first, workbook(tmp_path / "back.xlsx", filled()))
        proxy.script()
        assert send(first, there).exit_code == 0
        assert theirs(first, hapi) == ours(first)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param(b'"status":"final"', b'"status":"zzz"', id="a value that R4 doesn't know"),
        pytest.param(b'"reference":"Patient/', b'"reference":"Patient/x', id="a reference that leads nowhere"),
    ],
)
def test_what_the_server_refuses_is_kept_apart_with_its_cell(
    first: Path, hapi: Hapi, tmp_path: Path, right: bytes, wrong: bytes
) -> None:
    rows = filled()
    rows["Visits"][0][3] = 88.25  # this one is broken below; the other must get through
    rows["Patients"][4][5] = 12.5
    run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
    here = ours(first)
    (ki67,) = [name for name, one in here.items() if one.get("valueQuantity", {}).get("value") == 88.25]
    path = first / "fhir" / "Observation.ndjson"
    whole = path.read_bytes()
    path.write_bytes(
        b"".join(line.replace(right, wrong) if b'"value":88.25' in line else line for line in whole.splitlines(True))
    )
    done = send(first, hapi)
    assert done.exit_code == 3
    assert sent(done) == (0, 1, 0)
    (reason,) = quarantined(first)
    assert (reason["sheet"], reason["status"]) == ("visits", 400)
    assert [one["ref"] for one in reason["resources"]] == [ki67]
    assert "source-1:visits!D2" in reason["resources"][0]["cells"]
    assert reason["issues"][0]["text"]
    assert done.refused[0]["cells"] == reason["resources"][0]["cells"]
    # once it is mended it goes through, and nothing lies in quarantine any more
    path.write_bytes(whole)
    assert sent(send(first, hapi)) == (0, 1, 0)
    assert quarantined(first) == []
    assert theirs(first, hapi) == ours(first)


def test_what_is_stored_otherwise_is_found_by_contents(hapi: Hapi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    rows = filled()
    rows["Visits"][0][3] = 88.25
    run_registry(folder, workbook(tmp_path / "form.xlsx", rows))

    async def changed(exchange: Exchange) -> None:
        exchange.body = exchange.body.replace(b'"value":88.25', b'"value":88.5')
        await good(exchange)

    with proxy_to(hapi.url) as proxy:
        proxy.script(Rule(changed, times=0))
        done = send(folder, Hapi(proxy.url), confirm="contents")
        assert done.exit_code == 3
        assert done.summary["waiting"] == 1
        assert "doesn't hold it as it was sent" in next(iter(done.summary["waiting_why"]))
        proxy.script()
        assert send(folder, Hapi(proxy.url)).exit_code == 0
    assert theirs(folder, hapi) == ours(folder)


def test_what_the_server_calls_invalid_is_not_even_sent(hapi: Hapi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    rows = {name: [row for row in found if row[0] in ("P000", "P004")] for name, found in filled().items()}
    run_registry(folder, workbook(tmp_path / "form.xlsx", rows))
    path = folder / "fhir" / "Observation.ndjson"
    whole = path.read_bytes()
    # R4 has an invariant that the server doesn't hold a PUT against: a value, and a reason why there is none
    first = next(line for line in whole.splitlines() if b'"value":5' in line and b"85330-9" in line)
    broken = first.replace(b'"valueQuantity"', b'"dataAbsentReason":{"text":"none"},"valueQuantity"')
    path.write_bytes(whole.replace(first, broken))
    total = send(folder, hapi, dry_run=True).summary["new"]["Observation"]
    done = send(folder, hapi, validate=True)
    assert done.exit_code == 3
    (reason,) = quarantined(folder)
    assert (reason["sheet"], reason["status"]) == ("visits", 422)
    assert len(reason["resources"]) == 1
    assert "source-1:visits!D2" in reason["resources"][0]["cells"]
    assert hapi.count("Observation") == total - 4
    path.write_bytes(whole)
    assert send(folder, hapi, validate=True).exit_code == 0
    assert theirs(folder, hapi) == ours(folder)


def test_a_patient_of_two_studies_stays(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    patient = next(name for name in ours(first) if name.startswith("Patient/"))
    theirs_too = {
        "resourceType": "Observation",
        "id": "of-another-study",
        "status": "final",
        "code": {"text": "theirs"},
        "subject": {"reference": patient},
    }
    assert hapi.http.put(f"{hapi.url}/Observation/of-another-study", json=theirs_too).status_code == 201
    who = typed_id(first, patient)
    rows = {name: [row for row in found if row[0] != who] for name, found in filled().items()}
    run_registry(first, workbook(tmp_path / "fewer.xlsx", rows), complete=True)
    done = send(first, hapi)
    assert done.exit_code == 0
    assert done.summary["kept"] == 1
    assert theirs(first, hapi).keys() - ours(first).keys() == {patient, "Observation/of-another-study"}
    assert sent(send(first, hapi)) == (0, 0, 0)


def test_status_tells_what_each_server_lacks(first: Path, hapi: Hapi, tmp_path: Path) -> None:
    total = len(ours(first))
    (told,) = status(Workspace(first))["deliveries"]
    assert (told["server"], told["unchanged"], told["waiting"], told["quarantined"]) == (hapi.url, total, 0, 0)
    assert sum(told["new"].values()) == total
    rows = filled()
    rows["Patients"][4][5] = 12.5
    run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
    (told,) = status(Workspace(first))["deliveries"]
    assert told["waiting"] == 1
    send(first, hapi)
    (told,) = status(Workspace(first))["deliveries"]
    assert (told["changed"], told["waiting"]) == ({"Observation": 1}, 0)


def test_the_commands(
    hapi: Hapi, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "key"))
    study = Path(__file__).parents[1] / "fixtures" / "registry"
    form, out = workbook(tmp_path / "form.xlsx", filled()), tmp_path / "out"
    words = ["run", str(form), "--study", str(study), "-o", str(out), "--fhir", hapi.url]
    assert run(words) == 0
    assert f"New        {len(ours(out))}:" in capsys.readouterr().out
    assert run(["deliver", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Unchanged" in said
    assert run(["status", str(out)]) == 0
    assert hapi.url in capsys.readouterr().out
    assert "New" not in said
    assert theirs(out, hapi) == ours(out)
