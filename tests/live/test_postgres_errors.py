"""What goes wrong with a database is said in words: which table and constraint, never a value, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.live.cdm import SHAPES, ask, connected
from tests.unit.run.registry import deliver, filled, workbook

from caseweave.cli.app import run
from caseweave.errors import Refusal, TargetError, UsageError
from caseweave.run.database import OmopServer
from caseweave.targets.omop.connect import parse, place
from caseweave.targets.omop.postgres import PostgresDatabase
from caseweave.targets.omop.server import create_cdm

SECRET = "s3cret-word"


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://etl:{SECRET}@cdm.example/omop",
        f"postgresql://cdm.example/omop?password={SECRET}",
        f"host=cdm.example dbname=omop password={SECRET}",
        f"postgresql://cdm.example/omop?sslpassword={SECRET}",
        f"postgresql://etl:{SECRET}@[broken/omop",
        f"postgresql://etl:{SECRET}@cdm.example:port/omop?nonsense=1",
        f"nonsense {SECRET}",
        "",
    ],
)
def test_a_dsn_with_a_password_is_refused_and_not_repeated(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not dsn:
        assert parse(dsn) == {}  # libpq's own defaults
        return
    with pytest.raises(UsageError, match=r"PGPASSWORD|postgresql://USER@HOST") as refused:
        OmopServer(dsn)
    assert SECRET not in str(refused.value)
    assert refused.value.exit_code == 2
    assert run(["omop", "init", dsn]) == 2
    assert SECRET not in "".join(capsys.readouterr())


def test_a_service_and_words_are_dsns_too() -> None:
    assert place("service=cdm") == "database cdm"
    assert place("host=cdm.example port=5433 dbname=omop user=etl") == "database omop at cdm.example:5433"


def test_nobody_answers(tmp_path: Path) -> None:
    form = workbook(tmp_path / "form.xlsx", filled())
    with pytest.raises(TargetError, match=r"omop at 127.0.0.1:1 can't be reached: .*[Cc]onnection refused") as failed:
        deliver(tmp_path / "a", form, omop=OmopServer("postgresql://etl@127.0.0.1:1/omop"))
    assert failed.value.exit_code == 3
    assert "with the same files resumes" in str(failed.value)
    assert not (tmp_path / "a" / "fhir").exists()  # found before anything was written


@pytest.mark.live
def test_a_wrong_password(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with pytest.raises(TargetError, match=r"password authentication failed.*PGPASSWORD") as failed:
        OmopServer(postgres_database).look()
    assert SECRET not in str(failed.value)


@pytest.mark.live
def test_a_database_without_a_cdm(postgres_database: str) -> None:
    with pytest.raises(UsageError, match=r"Schema public .* holds no OMOP CDM\. Make one with `caseweave omop init`"):
        OmopServer(postgres_database).look()
    create_cdm(postgres_database, SHAPES, "cdm")
    with pytest.raises(UsageError, match=r"holds no table CONCEPT.*--vocabulary-schema"):
        OmopServer(postgres_database, "cdm", "elsewhere").look()


@pytest.mark.live
def test_the_command_makes_a_cdm(postgres_database: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["omop", "init", postgres_database, "--imaging", "--schema", "CDM"]
    assert run(words) == 0
    assert f"{len(SHAPES.tables) + 3} tables made in schema cdm of the database test_" in capsys.readouterr().out
    assert run(words) == 0
    assert "0 tables made" in capsys.readouterr().out
    assert run([*words[:3], "--schema", "cdm", "--cdm", "5.3"]) == 4
    assert run([*words[:3], "--schema", "no;name"]) == 2


PERSON = ("person_id", "gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id")
VIOLATIONS = {
    "concept": ([*PERSON], (1, 987654, 1950, 0, 0), r"key points to a row.*table person, constraint person_gender"),
    "key": ([*PERSON], (77, 0, 1950, 0, 0), r"constraint of the database.*table person, constraint person_pkey"),
    "null": ([*PERSON], (1, 0, None, 0, 0), r"wants a value got none.*table person, column year_of_birth"),
    "width": ([*PERSON, "person_source_value"], (1, 0, 1950, 0, 0, "Garcia" * 20), r"doesn't fit.*person_source_value"),
    "type": ([*PERSON], (1, 0, "Garcia", 0, 0), r"doesn't fit.*table person, column year_of_birth"),
    "column": ([*PERSON, "nickname"], (1, 0, 1950, 0, 0, "Garcia"), r"not those of the CDM \(.*nickname"),
}


@pytest.mark.live
@pytest.mark.parametrize("kind", list(VIOLATIONS))
def test_a_violation_names_table_and_constraint_and_no_value(postgres_database: str, kind: str) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    columns, row, told = VIOLATIONS[kind]
    with connected(postgres_database) as cursor:
        cursor.execute("SET session_replication_role = replica")  # concept 0 isn't there yet
        cursor.execute("INSERT INTO cdm.person VALUES (77, 0, 1950, NULL, NULL, NULL, 0, 0)")
    with (
        pytest.raises(TargetError, match=told) as failed,
        PostgresDatabase(postgres_database, SHAPES, "cdm") as database,
    ):
        if kind != "concept":
            database.execute("ALTER TABLE person DROP CONSTRAINT person_gender_concept_id_fkey")
        database.insert("person", columns, [row])
    assert not any(one in str(failed.value) for one in ("Garcia", "987654", "1950"))
    assert failed.value.__cause__ is None
    assert ask(postgres_database, "SELECT count(*) FROM cdm.person") == [(1,)]


@pytest.mark.live
def test_a_connection_that_is_lost(postgres_database: str) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    with (
        pytest.raises(TargetError, match=r"(connection was lost|server ended the work).*Nothing was written") as failed,
        PostgresDatabase(postgres_database, SHAPES, "cdm") as database,
    ):
        (pid,) = database.select("SELECT pg_backend_pid()")[0]
        ask(postgres_database, "SELECT pg_terminate_backend(%s)", pid)
        database.largest("person", "person_id")
    assert failed.value.exit_code == 3
    assert failed.value.retry


@pytest.mark.live
def test_text_that_copy_has_to_write_with_care(postgres_database: str) -> None:
    odd = ["tab\there", "line\nbreak", "back\\slash", "\\N", "", "ñ µ ≤", "nul\x00", "\r"]
    create_cdm(postgres_database, SHAPES, "cdm")
    columns = ("metadata_id", "metadata_concept_id", "metadata_type_concept_id", "name", "value_as_string")
    with PostgresDatabase(postgres_database, SHAPES, "cdm") as database:
        keys = "SELECT conname FROM pg_constraint WHERE conrelid = 'metadata'::regclass AND contype = 'f'"
        for (name,) in database.select(keys):
            database.execute(f"ALTER TABLE metadata DROP CONSTRAINT {name}")
        database.insert("metadata", columns, [(n, 0, 0, "odd", text) for n, text in enumerate(odd, 1)])
    found = [
        text for (text,) in ask(postgres_database, "SELECT value_as_string FROM cdm.metadata ORDER BY metadata_id")
    ]
    assert found == [text.replace("\x00", "\ufffd") for text in odd]


@pytest.mark.live
def test_integers_that_are_used_up(postgres_database: str, tmp_path: Path) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    form = workbook(tmp_path / "form.xlsx", filled())
    with connected(postgres_database) as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"INSERT INTO cdm.person VALUES ({2**31 - 10}, 0, 1950, NULL, NULL, NULL, 0, 0)")
    with pytest.raises(Refusal, match=r"uses the integers up to 2147483638; there are none above"):
        deliver(tmp_path / "a", form, omop=OmopServer(postgres_database, "cdm"))
