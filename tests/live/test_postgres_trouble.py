"""What a hospital's database does to a delivery: rights that lack, sessions that hold, limits, TLS, a replica."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from tests.live.cdm import SHAPES, connected, their_cdm, versions
from tests.services.postgres import Postgres
from tests.unit.run.registry import deliver, filled, workbook

from caseweave.errors import TargetError
from caseweave.run.database import OmopServer
from caseweave.targets.omop.postgres import PostgresDatabase
from caseweave.targets.omop.server import create_cdm
from caseweave.targets.omop.trouble import LOCK

pytestmark = pytest.mark.live
ROLE = "loader"


@pytest.fixture
def form(tmp_path: Path) -> Path:
    """The filled form."""
    return workbook(tmp_path / "form.xlsx", filled())


@pytest.fixture
def loader(postgres_database: str, postgres: Postgres) -> Iterator[OmopServer]:
    """Somebody else's CDM, prepared by its owner, and a user who may do there what a delivery needs, and no more."""
    their_cdm(postgres_database)
    create_cdm(postgres_database, SHAPES, "cdm")
    with connected(postgres_database) as cursor:
        cursor.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD %s", (postgres.password,))
        cursor.execute(f"GRANT USAGE ON SCHEMA cdm, vocab TO {ROLE}; GRANT SELECT ON vocab.concept TO {ROLE}")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cdm TO {ROLE}")
    try:
        yield OmopServer(postgres_database.replace("caseweave@", f"{ROLE}@"), "cdm")
    finally:
        with connected(postgres_database) as cursor:
            cursor.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


@contextmanager
def holding(dsn: str, statement: str) -> Iterator[int]:
    """Another session in the middle of something; yields its number."""
    connection = psycopg2.connect(dsn, application_name="Achilles")
    try:
        connection.cursor().execute(statement)
        yield int(connection.info.backend_pid)
    finally:
        connection.close()


def failed(folder: Path, form: Path, server: OmopServer) -> str:
    """What a delivery that the database stops says; everything in the CDM is as it was, to the row."""
    owner = server.dsn.replace(f"{ROLE}@", "caseweave@").partition("?")[0]
    before = versions(owner, "cdm")
    with pytest.raises(TargetError) as stopped:
        deliver(folder, form, omop=server)
    assert stopped.value.exit_code == 3
    assert versions(owner, "cdm") == before
    return str(stopped.value)


def test_the_documented_rights_are_enough(tmp_path: Path, form: Path, loader: OmopServer) -> None:
    assert deliver(tmp_path / "a", form, omop=loader).exit_code == 0


def test_all_missing_rights_are_told_at_once(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer
) -> None:
    with connected(postgres_database) as cursor:
        cursor.execute(f"REVOKE INSERT, DELETE ON cdm.measurement FROM {ROLE}")
        cursor.execute(f"REVOKE INSERT ON cdm.person, cdm.caseweave_ledger FROM {ROLE}")
    told = failed(tmp_path / "a", form, loader)
    assert "may not do what is needed (table " in told
    assert "it lacks INSERT on caseweave_ledger, measurement, person of schema cdm; DELETE on measurement" in told
    assert "Nothing was written." in told


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            f"REVOKE SELECT ON vocab.concept FROM {ROLE}",
            r"table concept\).*it lacks SELECT on concept.* of schema vocab",
        ),
        (
            f"REVOKE USAGE ON SCHEMA vocab FROM {ROLE}",
            r"may not use schema vocab\. It needs .*SELECT on the vocabulary",
        ),
        ("DROP TABLE cdm.caseweave_rows", r"schema cdm\); it lacks CREATE on schema cdm\. "),
    ],
)
def test_a_right_that_is_missing_is_named(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer, statement: str, told: str
) -> None:
    with connected(postgres_database) as cursor:
        cursor.execute(statement)
    assert re.search(told, failed(tmp_path / "a", form, loader))


def test_without_temporary_tables(postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer) -> None:
    name = postgres_database.rpartition("/")[2]
    with connected(postgres_database) as cursor:
        cursor.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    assert "it lacks TEMPORARY on the database." in failed(tmp_path / "a", form, loader)


def test_a_table_that_another_session_holds(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer
) -> None:
    hurried = OmopServer(f"{loader.dsn}?options=-c%20lock_timeout%3D200", "cdm")
    with holding(postgres_database, "LOCK TABLE cdm.measurement IN SHARE MODE") as session:
        told = failed(tmp_path / "a", form, hurried)
    assert "something else holds a table, longer than lock_timeout allows to wait" in told
    assert f"held by session {session} (user caseweave, Achilles)." in told
    assert deliver(tmp_path / "a", form, omop=loader).exit_code == 0


def test_another_delivery_is_waited_for_and_named(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer, caplog: pytest.LogCaptureFixture
) -> None:
    hurried = OmopServer(f"{loader.dsn}?options=-c%20lock_timeout%3D200", "cdm")
    taken = f"SELECT pg_advisory_xact_lock({LOCK}, hashtext('cdm'))"
    with holding(postgres_database, taken) as session, caplog.at_level(logging.WARNING, "caseweave"):
        told = failed(tmp_path / "a", form, hurried)
    assert f"held by session {session} (user caseweave, Achilles)" in told
    assert [one.getMessage() for one in caplog.records] == [
        f"Another delivery writes to schema cdm of the {hurried.name.partition(' of the ')[2]}; waiting for it."
    ]


def test_nobody_waits_for_ever_unless_told_to(postgres_database: str) -> None:
    create_cdm(postgres_database, SHAPES, "cdm")
    waits = {"": "15min", "?options=-c%20lock_timeout%3D2s": "2s"}
    for words, wanted in waits.items():
        with PostgresDatabase(postgres_database + words, SHAPES, "cdm") as database:
            assert database.select("SELECT current_setting('lock_timeout')") == [(wanted,)]


LIMITS = {
    "statement_timeout = '1ms'": "a statement was cancelled. It took longer than statement_timeout allows",
    "default_transaction_read_only = on": "it can only be read. Give the DSN of the server that is written to",
}


@pytest.mark.parametrize("setting", list(LIMITS))
def test_what_the_server_limits_is_named(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer, setting: str
) -> None:
    with connected(postgres_database) as cursor:
        cursor.execute(f"ALTER ROLE {ROLE} SET {setting}")
    assert LIMITS[setting] in failed(tmp_path / "a", form, loader)


def test_a_column_of_their_own_that_wants_a_value(
    postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer
) -> None:
    with connected(postgres_database) as cursor:
        cursor.execute("ALTER TABLE cdm.measurement ADD site_id integer NOT NULL DEFAULT 1")
        cursor.execute("ALTER TABLE cdm.measurement ALTER site_id DROP DEFAULT")
    told = failed(tmp_path / "a", form, loader)
    assert "a column that wants a value got none (table measurement, column site_id). If it is a column of your" in told


def test_rows_guarded_by_policies(postgres_database: str, tmp_path: Path, form: Path, loader: OmopServer) -> None:
    with connected(postgres_database) as cursor:
        cursor.execute("ALTER TABLE cdm.person ENABLE ROW LEVEL SECURITY")
    assert "can't be filled by COPY. Is it a view, or are its rows guarded by policies" in failed(
        tmp_path / "a", form, loader
    )


def test_a_service_file_and_a_password_file(
    postgres: Postgres, tmp_path: Path, form: Path, loader: OmopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, passwords = tmp_path / "pg_service.conf", tmp_path / "pgpass"
    name = loader.dsn.rpartition("/")[2]
    services.write_text(f"[hospital]\nhost=127.0.0.1\nport={postgres.port}\nuser={ROLE}\ndbname={name}\n", "ascii")
    passwords.write_text(f"127.0.0.1:{postgres.port}:*:{ROLE}:{postgres.password}\n", "ascii")
    passwords.chmod(0o600)
    with monkeypatch.context() as environment:
        environment.delenv("PGPASSWORD")
        environment.setenv("PGSERVICEFILE", str(services))
        environment.setenv("PGPASSFILE", str(passwords))
        assert deliver(tmp_path / "a", form, omop=OmopServer("service=hospital", "cdm")).exit_code == 0

        ways = {
            "service=elsewhere": 'definition of service "elsewhere" not found. Services stand in ~/.pg_service.conf',
            "service=hospital sslmode=require": "server does not support SSL, but SSL was required. TLS is set by",
            "service=hospital dbname=none_such": 'database "none_such" does not exist. Name the database in the DSN',
            "service=hospital port=1": "Connection refused",
        }
        for dsn, told in ways.items():
            with pytest.raises(TargetError) as stopped:
                OmopServer(dsn, "cdm").look()
            assert told in str(stopped.value)
            assert "password" not in str(stopped.value).lower()
            assert "with the same files resumes" in str(stopped.value)
