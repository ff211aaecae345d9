"""Resources a second into a real HAPI server: a delivery, a bare loop over the same bundles, and single PUTs.

    python -m benchmarks.fhir_server [--patients 100] [--rounds 3] [--url http://127.0.0.1:8080/fhir]

Without --url it starts the server of the tests. Rounds alternate, each in another order, so that other work on the
machine meets all alike; four rounds go before, for the server's compiler. The clock counts what others do on the
machine, the CPU that server and client take doesn't: where the server is the limit, its ratio is an idle machine's.
--page FILE writes the figures into a page of Markdown, in a section of their own.
"""

from __future__ import annotations

import argparse
import json
import os
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

from benchmarks.__main__ import machine, workbook
from benchmarks.national import STUDY
from benchmarks.sections import put_section, table
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
WARM_UP = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print JSON."""
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    words.add_argument("--patients", type=int, default=100)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--url", default="")
    words.add_argument("--size", type=int, default=400)
    words.add_argument("--connections", type=int, default=4)
    words.add_argument("--page", type=Path)
    given = words.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, pid = given.url, 0
        if not url:
            process, url = start(folder)
            pid = process.pid
            stack.callback(stop, process)
        found = measure(folder, url, pid, given)
    print(json.dumps(found, indent=2))
    if given.page:
        put_section(given.page, "A FHIR server", section(found))


def measure(folder: Path, url: str, pid: int, given: Any) -> dict[str, Any]:
    """All rounds; the rates are medians, the ratios those of the rounds' two neighbours."""
    here = machine()
    server, hapi = Server(url, size=given.size, connections=given.connections), Hapi(url)
    hapi.get("metadata")  # made at the first request, and kept
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
        found: dict[str, list[float]] = {name: [] for name in ways}
        cpu: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(given.rounds + WARM_UP):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                hapi.wipe()
                started, spent = time.perf_counter(), cpu_seconds(pid)
                sent = ways[name]()
                if number >= WARM_UP:
                    found[name].append(sent / (time.perf_counter() - started))
                    cpu[name].append((cpu_seconds(pid) - spent) / sent * 1000)
        deliver(workspace, server, {})
        started = time.perf_counter()
        deliver(workspace, server, {})
        again = time.perf_counter() - started
    rates = {name: round(statistics.median(one)) for name, one in found.items()}
    each = {name: round(statistics.median(one), 2) for name, one in cpu.items()}
    return {
        "machine": here,
        "resources": count,
        "bundles": len(bundles),
        "connections": server.connections,
        "resources_per_s": rates,
        "rounds": {name: [round(one) for one in rounds] for name, rounds in found.items()},
        "cpu_ms_per_resource": each,
        "cpu_rounds": {name: [round(one, 2) for one in rounds] for name, rounds in cpu.items()},
        "caseweave_to_bare_loop": round(beside(found["caseweave"], found["bare loop"]), 2),
        "caseweave_to_bare_loop_by_cpu": round(beside(cpu["bare loop"], cpu["caseweave"]), 2),
        "caseweave_to_single_puts": round(beside(found["caseweave"], found["single PUTs"]), 1),
        "unchanged_again_s": round(again, 2),
    }


def beside(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of each round's two."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def cpu_seconds(pid: int) -> float:
    """What the server and this process have taken of the CPU; without a server of our own, this process alone."""
    stat = Path(f"/proc/{pid}/stat")
    if not pid or not stat.exists():
        return time.process_time()
    words = stat.read_text().rpartition(")")[2].split()
    return time.process_time() + (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def section(found: dict[str, Any]) -> list[str]:
    """The figures in Markdown."""
    here, rates, each = found["machine"], found["resources_per_s"], found["cpu_ms_per_resource"]
    names = {
        "bare loop": "a bare loop that posts the same bundles",
        "caseweave": "`caseweave deliver`",
        "single PUTs": "single PUTs over one connection",
    }
    lines = [(names[name], f"{rates[name]:,}", f"{each[name]:.2f} ms") for name in names]
    return [
        f"{found['resources']:,} resources into HAPI FHIR in memory, {found['bundles']} transactions over",
        f"{found['connections']} connections; server and client share {here['cores']} cores ({here['cpu']}).",
        f"`python -m benchmarks.fhir_server`; {len(found['rounds']['caseweave'])} rounds, medians; the machine's load",
        f"was {here['load']:.1f}. A delivery reads the capability statement, writes its ledger, reads back.",
        "",
        *table(["", "resources a second", "CPU of server and client, each"], lines),
        "",
        f"Our rate to the bare loop's, round by round: {found['caseweave_to_bare_loop']}; by CPU, which others' work",
        f"hardly touches: {found['caseweave_to_bare_loop_by_cpu']} (wanted: 0.9). To single PUTs:",
        f"{found['caseweave_to_single_puts']} times. Delivered again, unchanged: {found['unchanged_again_s']} s.",
    ]


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
