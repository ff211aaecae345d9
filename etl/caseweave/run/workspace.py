"""The workspace: the folder of a project's runs. Outside private/ nothing in it names a person."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caseweave.errors import Refusal, UsageError
from caseweave.identity.keyfile import ProjectKey, require_same_key
from caseweave.targets.ledger import FORGET

LAYOUT = 1


@dataclass(frozen=True)
class Workspace:
    """Where the parts of a workspace lie.

    >>> Workspace(Path("caseweave-breast")).manifest
    PosixPath('caseweave-breast/manifest.json')
    """

    root: Path

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def fhir(self) -> Path:
        return self.root / "fhir"

    @property
    def omop(self) -> Path:
        return self.root / "omop.sqlite"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def state(self) -> Path:
        return self.private / "workspace.json"

    @property
    def ledger(self) -> Path:
        return self.private / "ledger.sqlite"

    @property
    def lineage(self) -> Path:
        return self.private / "lineage"

    def create(self) -> None:
        """Make the folder, or take it as it is; private/ is for its owner alone."""
        self.refuse_strange()
        self.refuse_links()
        self.root.mkdir(parents=True, exist_ok=True)
        self.private.mkdir(mode=0o700, exist_ok=True)
        if os.name == "posix":
            try:
                self.private.chmod(0o700)
            except PermissionError:
                raise Refusal(
                    f"{self.private} belongs to somebody else.", way_out="Run as its owner, or name another folder."
                ) from None

    def refuse_links(self) -> None:
        """Raise Refusal where a part of the workspace is a link: it could lead what is private to where others read."""
        for folder in (self.root, self.private, self.fhir):
            for one in sorted(folder.iterdir()) if folder.is_dir() else ():
                if one.is_symlink():
                    raise Refusal(
                        f"{one} is a link, and a workspace has none: it could lead to where others read.",
                        way_out="Remove it; a workspace that is to lie elsewhere is moved as a whole.",
                    )

    def refuse_strange(self) -> None:
        """Raise Refusal for a folder that holds other things than a workspace, UsageError for a file."""
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is a file, not a folder.", way_out="Name an empty or new folder with -o.")
        # a first run that was stopped has left private/ and nothing else
        strange = self.root.exists() and any(one != self.private for one in self.root.iterdir())
        if strange and not self.state.exists():
            raise Refusal(
                f"{self.root} holds other files and is no workspace.", way_out="Name an empty or new folder with -o."
            )

    def read_state(self) -> dict[str, Any]:
        """What the workspace remembers: layout, study, check value of the key, number of runs; {} in a new one."""
        if not self.state.exists():
            return {}
        state = json.loads(self.state.read_text(encoding="utf-8"))
        if state.get("layout", 0) > LAYOUT:
            raise UsageError(f"{self.root} was written by a newer Caseweave.", way_out="Update Caseweave.")
        return dict(state)

    def require(self, study: str, key: ProjectKey) -> dict[str, Any]:
        """The state, if it is this study's and this key's; raises Refusal where it isn't."""
        state = self.read_state()
        if state and state["study"] != study:
            raise Refusal(
                f"{self.root} is the workspace of study {state['study']}, not of {study}.",
                way_out="Name another folder with -o.",
            )
        if state:
            require_same_key(key, state["key"])
        return state

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace for one process; another one is told to wait."""
        try:
            import fcntl
        except ImportError:  # not a Unix: the ledger's own lock still keeps two writers apart
            yield
            return
        with (self.private / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Refusal(f"Another run holds {self.root}.", way_out="Wait until it has ended.") from None
            yield

    @contextlib.contextmanager
    def open_ledger(self) -> Iterator[sqlite3.Connection]:
        """The ledger's database in one transaction; rolled back where something fails."""
        connection = sqlite3.connect(self.ledger, isolation_level=None, timeout=60)
        try:
            connection.execute(FORGET)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)
