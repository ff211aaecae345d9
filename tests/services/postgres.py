"""A throwaway PostgreSQL on loopback and a Unix socket, for whoever needs a real one."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.need import require

USER = "caseweave"
SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A running server. DSNs hold no password: over TCP it comes from PGPASSWORD, over the socket none is asked."""

    socket_folder: Path
    port: int
    password: str

    def dsn(self, database: str = "postgres") -> str:
        """The DSN of a database over TCP on loopback."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def socket_dsn(self, database: str = "postgres") -> str:
        """The DSN of a database over the Unix socket."""
        return f"postgresql://{USER}@/{database}?host={self.socket_folder}&port={self.port}"

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, in the database `postgres`."""
        import psycopg2

        connection = psycopg2.connect(self.socket_dsn())
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test session, made by initdb and taken away at the end."""
    with running("-c fsync=off") as server:
        yield server


@contextmanager
def running(settings: str = "") -> Iterator[Postgres]:
    """Start a server of its own and take it away afterwards.

    Arguments: `settings` as the command line of `postgres` has them.
    """
    binaries = _binaries()
    require(binaries, "PostgreSQL (initdb, pg_ctl) is not installed")
    assert binaries is not None
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    prefix = _as_postgres() if as_root else []
    # not below pytest's own folder: only its owner may enter that, and PostgreSQL refuses to run as root
    home = Path(tempfile.mkdtemp(prefix="caseweave-pg-"))
    try:
        password = secrets.token_hex(16)
        secret = home / "password"
        secret.write_text(password + "\n", encoding="ascii")
        if as_root:
            for path in (home, secret):
                shutil.chown(path, "postgres", "postgres")
        port = _free_port()
        made = [
            "-D",
            str(home / "data"),
            "-U",
            USER,
            "--pwfile",
            str(secret),
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]
        access = ["--auth-local=trust", "--auth-host=scram-sha-256"]
        _run([*prefix, str(binaries / "initdb"), *made, *access], home)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={home} {settings}"
        control = [*prefix, str(binaries / "pg_ctl"), "-D", str(home / "data"), "-w", "-t", str(SECONDS)]
        _run([*control, "-o", options, "-l", str(home / "log"), "start"], home)
        try:
            yield Postgres(home, port, password)
        finally:
            _run([*control, "-m", "immediate", "stop"], home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of an empty database of its own; PGPASSWORD is set while the test runs."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    try:
        yield postgres.dsn(name)
    finally:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _binaries() -> Path | None:
    """Where initdb is: Debian keeps it out of PATH, one folder for each version."""
    found = [Path(path) for path in (shutil.which("initdb"),) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return next((path.parent for path in found if (path.parent / "pg_ctl").exists()), None)


def _as_postgres() -> list[str]:
    import pwd

    try:
        pwd.getpwnam("postgres")
    except KeyError:
        require(False, "this runs as root and there is no user postgres to run the server as")
    require(shutil.which("setpriv"), "this runs as root and setpriv (util-linux) is not here")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], home: Path) -> None:
    # the server keeps the output of pg_ctl open: a pipe would never end
    with (home / "output").open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", timeout=SECONDS * 2, check=False)
    if done.returncode:
        text = "".join(path.read_text("utf-8", "replace") for path in (home / "output", home / "log") if path.exists())
        pytest.fail(f"{command[-1]} of PostgreSQL failed: {text[-2000:]}", pytrace=False)
