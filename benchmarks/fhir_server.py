"""Resources a second into a real HAPI server: a delivery, a bare loop over the same bundles, and single PUTs.

    python -m benchmarks.fhir_server [--patients 100] [--rounds 3] [--url http://127.0.0.1:8080/fhir]

Without --url it starts the server of the tests. Rounds alternate, so that other work on the machine meets all alike; a
round of each goes before, for the server's compiler.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from tests.services.hapi import Hapi, start, stop

from benchmarks.__main__ import workbook
from benchmarks.national import STUDY
from caseweave.run.deliver import deliver
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.targets.fhir.server.bundles import assemble
from caseweave.targets.fhir.server.parcels import Change, Parcel, ordered, pack
from caseweave.targets.fhir.server.settings import Server
from caseweave.targets.fhir.server.store import Lines

JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
# single PUTs are slow: of so many resources the rate is known
SINGLE = 400


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print JSON."""
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    words.add_argument("--patients", type=int, default=100)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--url", default="")
    words.add_argument("--size", type=int, default=400)
    words.add_argument("--connections", type=int, default=4)
    given = words.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = given.url
        if not url:
            process, url = start(folder)
            stack.callback(stop, process)
        print(json.dumps(measure(folder, url, given), indent=2))


def measure(folder: Path, url: str, given: Any) -> dict[str, Any]:
    """All rounds; the rates are medians, the ratio is that of the medians."""
    server, hapi = Server(url, size=given.size, connections=given.connections), Hapi(url)
    workspace = Workspace(folder / "out")
    run(load_study(STUDY), [workbook(folder, given.patients)], workspace, Options(key_file=folder / "key"))
    changes = parcels(workspace)
    count = sum(len(parcel.changes) for parcel in changes)
    with Lines(workspace.fhir, [change.ref for parcel in changes for change in parcel.changes]) as lines:
        packed = [[change for parcel in one for change in parcel.changes] for one in pack(changes, server.size)]
        bundles = [assemble(server, one, lines) for one in packed]
        # the server looks whether what is referred to is there
        alone = [(change.ref, lines(change.ref)) for parcel in changes for change in ordered(parcel.changes, lines)]
        ways: dict[str, Callable[[], int]] = {
            "bare loop": lambda: bare(server, bundles, count),
            "caseweave": lambda: delivered(server, workspace, count),
            "single PUTs": lambda: singly(server, alone[:SINGLE]),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(given.rounds + 1):
            for name, way in ways.items():
                hapi.wipe()
                started = time.perf_counter()
                sent = way()
                if number:
                    seconds[name].append(sent / (time.perf_counter() - started))
        deliver(workspace, server, {})
        started = time.perf_counter()
        deliver(workspace, server, {})
        again = time.perf_counter() - started
    rates = {name: round(statistics.median(found)) for name, found in seconds.items()}
    return {
        "resources": count,
        "bundles": len(bundles),
        "connections": server.connections,
        "resources_per_s": rates,
        "rounds": {name: [round(one) for one in found] for name, found in seconds.items()},
        "caseweave_to_bare_loop": round(rates["caseweave"] / rates["bare loop"], 2),
        "caseweave_to_single_puts": round(rates["caseweave"] / rates["single PUTs"], 1),
        "unchanged_again_s": round(again, 2),
    }


def parcels(workspace: Workspace) -> list[Parcel]:
    """Everything that a workspace tells, patient by patient."""
    found: dict[str, list[Change]] = {}
    for path in sorted(workspace.fhir.glob("*.ndjson"), key=lambda path: path.stem != "Patient"):
        for line in path.read_bytes().splitlines():
            resource = json.loads(line)
            ref = f"{path.stem}/{resource['id']}"
            owner = resource["subject"]["reference"] if "subject" in resource else owner_of(resource, ref)
            found.setdefault(owner, []).append(Change(ref, False, ()))
    return [Parcel(owner, (), tuple(changes)) for owner, changes in found.items()]


def owner_of(resource: dict[str, Any], ref: str) -> str:
    """Whose a resource is that names its patient otherwise."""
    named = resource.get("patient") or resource.get("individual")
    return str(named["reference"]) if named else ref


def bare(server: Server, bundles: Sequence[bytes], count: int) -> int:
    """Post prebuilt bundles and look at nothing but the status."""
    limits = httpx.Limits(max_connections=server.connections, max_keepalive_connections=server.connections)
    with httpx.Client(headers=JSON, limits=limits, timeout=300) as client:

        def post(body: bytes) -> None:
            response = client.post(server.url, content=body)
            assert response.status_code == 200, response.text[:500]

        with ThreadPoolExecutor(server.connections) as pool:
            list(pool.map(post, bundles))
    return count


def delivered(server: Server, workspace: Workspace, count: int) -> int:
    """A whole first delivery: capability, ledger, sending, reading back."""
    copy = workspace.ledger.with_suffix(".copy")
    if copy.exists():
        shutil.copy(copy, workspace.ledger)
    else:
        shutil.copy(workspace.ledger, copy)
    done = deliver(workspace, server, {})
    assert done.exit_code == 0 and sum(done.summary["new"].values()) == count, done
    return count


def singly(server: Server, alone: Sequence[tuple[str, bytes]]) -> int:
    """One request for each resource, over one connection."""
    with httpx.Client(headers=JSON, timeout=300) as client:
        for ref, body in alone:
            response = client.put(f"{server.url}/{ref}", content=body)
            assert response.status_code in (200, 201), response.text[:500]
    return len(alone)


if __name__ == "__main__":
    main()
