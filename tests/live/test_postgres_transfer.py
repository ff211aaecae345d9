"""What omop.sqlite holds, brought to a CDM on PostgreSQL: the same content by fact, the difference alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.cdm import SHAPES, ask, their_cdm, theirs, versions
from tests.unit.run.registry import deliver, filled, omop, periods, workbook

from caseweave.cli.app import run
from caseweave.errors import Refusal, TargetError, UsageError
from caseweave.run.database import OmopServer
from caseweave.run.transfer import transfer
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import omop_shapes
from caseweave.targets.omop.server import create_cdm

pytestmark = pytest.mark.live
WEIGHT = 3025315


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with its embedded database."""
    deliver(tmp_path / "a", workbook(tmp_path / "form.xlsx", filled()))
    return Workspace(tmp_path / "a")


def same(workspace: Workspace, server: OmopServer) -> bool:
    return omop(workspace.root, server=server) == omop(workspace.root)


def test_the_difference_is_brought(postgres_database: str, workspace: Workspace, tmp_path: Path) -> None:
    server = their_cdm(postgres_database)
    before = theirs(postgres_database)
    first = transfer(workspace, server)
    assert first["new"]["person"] == first["omop"]["person"] == 30
    assert same(workspace, server)
    assert theirs(postgres_database) == before
    stood = versions(postgres_database, "cdm")
    assert transfer(workspace, server)["new"] == {}
    assert versions(postgres_database, "cdm") == stood

    rows = filled()
    rows["Patients"][4][5] = 12.5
    rows["Patients"][6][2] = None  # no person, no rows
    rows["Visits"] = [*rows["Visits"][1:], ["P001", 3, "2022-01-01", 20, 61]]
    deliver(workspace.root, workbook(tmp_path / "corrected.xlsx", rows))
    told = transfer(workspace, server, dry_run=True)
    assert (told["new"], told["changed"]) == ({"measurement": 2}, {"measurement": 1})
    assert told["retracted"]["person"] == 1
    assert versions(postgres_database, "cdm") == stood
    done = transfer(workspace, server)
    assert {**done, "dry_run": True, "omop": told["omop"]} == told
    assert same(workspace, server)
    assert done["omop"]["person"] == done["omop"]["observation_period"] == 29
    assert theirs(postgres_database) == before


def test_rows_and_their_periods_in_a_cdm_of_ours(postgres_database: str, workspace: Workspace) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    server = OmopServer(postgres_database, "cdm")
    transfer(workspace, server)
    assert same(workspace, server)
    days = "SELECT observation_period_start_date::text, observation_period_end_date::text FROM cdm.observation_period"
    assert sorted(ask(postgres_database, days)) == periods(workspace.root)
    assert ask(postgres_database, "SELECT count(*) FROM cdm.cdm_source") == [(1,)]


def test_a_sheet_that_comes_alone_and_returns(postgres_database: str, workspace: Workspace, tmp_path: Path) -> None:
    server = their_cdm(postgres_database)
    transfer(workspace, server)
    rows = filled()["Patients"]
    rows[4][2] = None
    deliver(workspace.root, workbook(tmp_path / "patients.xlsx", {"Patients": rows}))
    transfer(workspace, server)
    assert same(workspace, server)
    deliver(workspace.root, tmp_path / "form.xlsx", force=True)
    transfer(workspace, server)
    assert same(workspace, server)


def test_several_streams(postgres_database: str, workspace: Workspace, tmp_path: Path) -> None:
    server = their_cdm(postgres_database)
    laboratory = workbook(tmp_path / "laboratory.xlsx", {"Visits": [["P001", 9, "2022-01-01", 20, 61]]})
    deliver(workspace.root, laboratory, stream="laboratory")
    transfer(workspace, server)
    assert same(workspace, server)
    assert ask(postgres_database, "SELECT count(*) FROM cdm.person") == [(30 + 2,)]
    assert transfer(workspace, server)["new"] == {}


def test_what_is_refused(postgres_database: str, workspace: Workspace, tmp_path: Path) -> None:
    create_cdm(postgres_database, omop_shapes("5.3", oncology=True), "old")
    with pytest.raises(UsageError, match=r"holds CDM 5.4 with imaging and schema old .* CDM 5.3 with oncology"):
        transfer(workspace, OmopServer(postgres_database, "old"))
    create_cdm(postgres_database, SHAPES, "other")
    deliver(tmp_path / "elsewhere" / "b", tmp_path / "form.xlsx", omop=OmopServer(postgres_database, "other"))
    with pytest.raises(Refusal, match="is not the one that project registry came with"):
        transfer(workspace, OmopServer(postgres_database, "other"))
    with pytest.raises(UsageError, match=r"Runs of .* write schema other .* themselves"):
        transfer(Workspace(tmp_path / "elsewhere" / "b"), OmopServer(postgres_database, "old"))
    server = their_cdm(postgres_database, without={WEIGHT})
    with pytest.raises(TargetError, match=f"lacks 1 concepts that the rows use: {WEIGHT}"):
        transfer(workspace, server)


def test_the_command(postgres_database: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    words = ["deliver", str(workspace.root), "--omop", postgres_database, "--omop-schema", "cdm"]
    assert run([*words, "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert ask(postgres_database, "SELECT count(*) FROM cdm.person") == [(0,)]
    assert run(words) == 0
    said = capsys.readouterr().out
    assert "New" in said and "measurement 166" in said
    assert run([*words, "--json"]) == 0
    assert '"unchanged": 286' in capsys.readouterr().out
