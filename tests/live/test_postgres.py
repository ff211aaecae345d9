"""Somebody else's CDM on PostgreSQL, and one of ours: what is ours is exact, what is theirs stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.cdm import SHAPES, ask, connected, their_cdm, theirs, versions, vocabulary_release
from tests.unit.run.registry import deliver, filled, omop, workbook

from caseweave.errors import Refusal, TargetError, UsageError
from caseweave.run.database import OmopServer
from caseweave.run.held import omop_holdings
from caseweave.run.status import status
from caseweave.run.trace import trace
from caseweave.run.workspace import Workspace
from caseweave.shapes.omop import omop_shapes
from caseweave.targets.omop.server import create_cdm, look

pytestmark = pytest.mark.live
WEIGHT = 3025315  # LOINC 29463-7, of 60 visits


@pytest.fixture
def form(tmp_path: Path) -> Path:
    """The filled form."""
    return workbook(tmp_path / "form.xlsx", filled())


def done(outcome: object) -> tuple[int, int, int]:
    one = outcome.manifest["targets"]["omop"]  # type: ignore[attr-defined]
    return one["new"], one["changed"], one["retracted"]


def test_the_rows_of_others_stay(postgres_database: str, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database)
    before = theirs(postgres_database)
    outcome = deliver(tmp_path / "a", form, omop=server)
    deliver(tmp_path / "embedded", form)
    assert omop(tmp_path / "a") == omop(tmp_path / "embedded")
    assert theirs(postgres_database) == before
    ours = "SELECT min(person_id), count(*) FROM cdm.person WHERE person_source_value IS DISTINCT FROM 'theirs'"
    assert ask(postgres_database, ours) == [(7002, 30)]
    assert ask(postgres_database, "SELECT min(measurement_id) FROM cdm.measurement WHERE person_id > 7001") == [
        (41001,)
    ]
    assert outcome.manifest["omop"]["person"] == 30  # theirs aren't counted

    rows = filled()
    rows["Patients"][4][5] = 12.5
    assert done(deliver(tmp_path / "a", workbook(tmp_path / "corrected.xlsx", rows))) == (0, 1, 0)
    nobody = workbook(tmp_path / "empty.xlsx", {name: found[:1] for name, found in rows.items()})
    outcome = deliver(tmp_path / "a", nobody, complete=True, retract="all")
    assert outcome.manifest["omop"]["person"] == 1
    assert theirs(postgres_database) == before
    assert ask(postgres_database, "SELECT count(*) FROM cdm.person") == [(3,)]


def test_a_second_run_writes_no_row_and_a_corrected_cell_its_own(
    postgres_database: str, tmp_path: Path, form: Path
) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    deliver(tmp_path / "a", form, omop=OmopServer(postgres_database, "cdm"))
    before = versions(postgres_database, "cdm")
    assert done(deliver(tmp_path / "a", form)) == (0, 0, 0)
    assert versions(postgres_database, "cdm") == before
    rows = filled()
    rows["Patients"][4][5] = 12.5
    deliver(tmp_path / "a", workbook(tmp_path / "corrected.xlsx", rows))
    after = versions(postgres_database, "cdm")
    new = {table: len(after[table] - before[table]) for table in after if after[table] != before[table]}
    assert new == {"measurement": 1, "caseweave_ledger": 1}


def test_a_concept_that_moved_is_a_change(postgres_database: str, tmp_path: Path, form: Path) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    deliver(tmp_path / "a", form, omop=OmopServer(postgres_database, "cdm"))
    release = vocabulary_release(tmp_path / "athena", {WEIGHT: 43025315})
    assert done(deliver(tmp_path / "a", form, vocabulary=release)) == (0, 60, 0)
    told = (tmp_path / "a" / "findings.csv").read_text(encoding="utf-8")
    assert f"LNC|29463-7 (Body weight): concept {WEIGHT} became concept 43025315 with vocabulary v-next" in told
    assert told.count("concept-moved") == 1
    query = (
        "SELECT measurement_concept_id, count(*) FROM cdm.measurement WHERE measurement_source_value = 'LNC|29463-7' "
        "GROUP BY 1"
    )
    assert ask(postgres_database, query) == [(43025315, 60)]
    assert done(deliver(tmp_path / "a", form, vocabulary=release)) == (0, 0, 0)
    assert "concept-moved" not in (tmp_path / "a" / "findings.csv").read_text(encoding="utf-8")


def test_a_concept_that_their_vocabulary_lacks(postgres_database: str, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database, without={WEIGHT})
    before = versions(postgres_database, "cdm")
    with pytest.raises(TargetError, match=rf"lacks 1 concepts that the rows use: {WEIGHT}.*vocabulary release"):
        deliver(tmp_path / "a", form, omop=server)
    assert {**versions(postgres_database, "cdm"), **before} == versions(postgres_database, "cdm")
    assert ask(postgres_database, "SELECT count(*) FROM vocab.concept WHERE concept_id = %s", WEIGHT) == [(0,)]


def test_without_keys_a_lacking_concept_is_told_and_loaded(postgres_database: str, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database, without={WEIGHT}, keys=False)
    outcome = deliver(tmp_path / "a", form, omop=server)
    assert outcome.manifest["findings"]["warning"] == 1
    assert str(WEIGHT) in (tmp_path / "a" / "findings.csv").read_text(encoding="utf-8")
    deliver(tmp_path / "embedded", form)
    assert omop(tmp_path / "a") == omop(tmp_path / "embedded")


def test_status_and_trace_read_it_there(postgres_database: str, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database)
    deliver(tmp_path / "a", form, omop=server)
    workspace = Workspace(tmp_path / "a")
    assert not workspace.omop.exists()
    assert [one["omop"] for one in status(workspace)["sheets"]] == [30, 30]
    found = trace(workspace, "measurement:41001")
    assert found.ways[0].omop == ("measurement:41001",)
    with pytest.raises(UsageError, match="measurement:41000"):
        trace(workspace, "measurement:41000")  # theirs
    with omop_holdings(workspace) as held:
        assert sum(held.units().values()) == 60


def test_a_cdm_of_5_3(postgres_database: str, tmp_path: Path, form: Path) -> None:
    create_cdm(postgres_database, omop_shapes("5.3", oncology=True), "old")
    outcome = deliver(tmp_path / "a", form, omop=OmopServer(postgres_database, "old"))
    assert outcome.manifest["omop"]["measurement"] == 166
    found = ask(postgres_database, "SELECT count(modifier_of_event_id), count(*) FROM old.measurement")
    assert found == [(76, 166)]
    assert done(deliver(tmp_path / "a", form)) == (0, 0, 0)


def test_a_cdm_is_made_once_and_prepared_where_it_stands(postgres_database: str) -> None:
    assert len(create_cdm(postgres_database, SHAPES, "cdm")) == len(SHAPES.tables) + 3
    assert create_cdm(postgres_database, SHAPES, "cdm") == []
    with pytest.raises(Refusal, match=r"holds CDM 5.4 with imaging, not CDM 5.3 with oncology"):
        create_cdm(postgres_database, omop_shapes("5.3", oncology=True), "cdm")
    assert look(postgres_database, "cdm").vocabulary == "own"
    made = create_cdm(postgres_database, SHAPES, "second", "cdm")  # it points to the vocabulary of the first
    assert "person" in made and "concept" not in made
    assert look(postgres_database, "second").vocabulary_schema == "cdm"


def test_another_key_is_refused_before_anything_is_written(postgres_database: str, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database)
    deliver(tmp_path / "a", form, omop=server)
    before = versions(postgres_database, "cdm")
    other = tmp_path / "elsewhere" / "b"
    with pytest.raises(Refusal, match="no key at"):
        deliver(other, form, omop=server)
    deliver(tmp_path / "elsewhere" / "own", form)
    with pytest.raises(Refusal, match="is not the one that the project's data were made with"):
        deliver(other, form, omop=server)
    assert not (other / "fhir").exists()
    assert versions(postgres_database, "cdm") == before


def test_a_user_with_few_rights(postgres_database: str, postgres: object, tmp_path: Path, form: Path) -> None:
    server = their_cdm(postgres_database)
    create_cdm(postgres_database, SHAPES, "cdm")
    role = f"loader_{tmp_path.name[-8:].replace('-', '_')}".lower()
    with connected(postgres_database) as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", (postgres.password,))  # type: ignore[attr-defined]
        cursor.execute(f"GRANT USAGE ON SCHEMA cdm, vocab TO {role}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA cdm, vocab TO {role}")
    mine = OmopServer(postgres_database.replace("caseweave@", f"{role}@"), "cdm")
    try:
        with pytest.raises(TargetError, match=r"may not do what is needed.*INSERT, UPDATE and DELETE"):
            deliver(tmp_path / "a", form, omop=mine)
        with connected(postgres_database) as cursor:
            cursor.execute(f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cdm TO {role}")
        assert deliver(tmp_path / "a", form, omop=mine).exit_code == 0
    finally:
        with connected(postgres_database) as cursor:
            cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert server.schema == "cdm"
