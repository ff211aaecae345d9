"""What the tests of delivery to a FHIR server share: workspaces, deliveries, and the two sides compared."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from tests.services.hapi import Hapi
from tests.unit.run.registry import fhir

from caseweave.run.deliver import Delivery, deliver
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.targets.fhir.server.settings import Server

TAG = "urn:caseweave:study"
NOTHING: dict[str, str] = {}


def run_into(folder: Path, study: str, *sources: Path) -> Workspace:
    """Run a shipped study's files into a workspace."""
    workspace = Workspace(folder)
    run(load_study(study), list(sources), workspace, Options(key_file=folder.parent / f"{study}.key"))
    return workspace


def send(folder: Path, hapi: Hapi, *, environment: Mapping[str, str] = NOTHING, **how: Any) -> Delivery:
    """Deliver a workspace to a server; `dry_run` and `verify` are the delivery's, the rest the server's."""
    options = {name: how.pop(name) for name in ("dry_run", "verify", "validate") if name in how}
    return deliver(Workspace(folder), Server(hapi.url, **how), environment, **options)


def ours(folder: Path) -> dict[str, dict[str, Any]]:
    """What a workspace tells, by type and id."""
    return {name: orjson.loads(line) for name, line in fhir(folder).items()}


def theirs(folder: Path, hapi: Hapi) -> dict[str, dict[str, Any]]:
    """What the server holds of the workspace's types, without what the server adds."""
    types = sorted({path.stem for path in (folder / "fhir").glob("*.ndjson")})
    return {name: without_own(one) for name, one in hapi.contents(types).items()}


def without_own(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without what the server adds."""
    meta = {name: value for name, value in resource["meta"].items() if name in ("tag", "profile")}
    return {**resource, "meta": meta}


def versions(folder: Path, hapi: Hapi) -> dict[str, str]:
    """The version that the server holds of each resource."""
    types = sorted({path.stem for path in (folder / "fhir").glob("*.ndjson")})
    return {name: one["meta"]["versionId"] for name, one in hapi.contents(types).items()}


def references(node: Any) -> Iterator[str]:
    """Every reference in a resource."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def sent(delivery: Delivery) -> tuple[int, int, int]:
    """How many resources were new, changed, retracted."""
    new, changed, retracted = (sum(delivery.summary[name].values()) for name in ("new", "changed", "retracted"))
    return new, changed, retracted


def quarantined(folder: Path) -> list[dict[str, Any]]:
    """The reasons that lie in quarantine."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((folder / "private" / "quarantine").glob("*/*/*/reason.json"))
    ]


def forget(folder: Path) -> None:
    """Take what is known of all servers out of a workspace's ledger, as if it had been lost."""
    connection = sqlite3.connect(folder / "private" / "ledger.sqlite")
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE 'fhir_at_%' OR name = 'fhir_server')"
    ).fetchall()
    for (name,) in tables:
        connection.execute(f"DROP TABLE {name}")
    connection.commit()
    connection.close()
