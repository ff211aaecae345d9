"""A real HAPI FHIR server on loopback, one for each test session, wiped for each test that asks for it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services import java
from tests.services.need import require

# 22 s on two idle cores
SECONDS = 420
MEMORY = "-Xmx1500m"
NOTHING: Mapping[str, str] = {}
IN_MEMORY = "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1"
PAGE = 500


@dataclass(frozen=True)
class Hapi:
    """A running server, and a look into it that shares nothing with what is tested."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120))

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Read something as JSON."""
        # the server would give what it found a minute ago
        headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
        response = self.http.get(f"{self.url}/{path}", params=parameters, headers=headers)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text[:500]}"
        return dict(response.json())

    def all(self, resource_type: str, **parameters: str) -> list[dict[str, Any]]:
        """All resources that a search finds."""
        bundle = self.get(resource_type, _count=str(PAGE), **parameters)
        found = []
        while True:
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                return found
            response = self.http.get(following[0], headers={"Accept": "application/fhir+json"})
            assert response.status_code == 200
            bundle = response.json()

    def contents(self, types: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Everything of some types, by type and id."""
        return {f"{name}/{one['id']}": one for name in types for one in self.all(name)}

    def count(self, resource_type: str) -> int:
        """How many resources of a type there are."""
        return int(self.get(resource_type, _summary="count")["total"])

    def history(self, ref: str) -> list[tuple[str, str]]:
        """The versions of a resource, the newest first, each with how it came to be: PUT or DELETE."""
        entries = self.get(f"{ref}/_history").get("entry", ())
        return [(one["response"]["etag"].strip('W/"'), one["request"]["method"]) for one in entries]

    def validate(self, resource: dict[str, Any]) -> list[str]:
        """The errors that the server's own $validate finds, without those about profiles that it doesn't hold."""
        path = f"{self.url}/{resource['resourceType']}/$validate"
        response = self.http.post(path, json=resource, headers={"Content-Type": "application/fhir+json"})
        issues = response.json()["issue"]
        errors = [one.get("diagnostics", "") for one in issues if one["severity"] in ("error", "fatal")]
        return [text for text in errors if "Profile reference" not in text and "StructureDefinition" not in text]

    def wipe(self) -> None:
        """Take out everything, history too."""
        everything = [{"name": "expungeEverything", "valueBoolean": True}]
        body = {"resourceType": "Parameters", "parameter": everything}
        response = self.http.post(f"{self.url}/$expunge", json=body)
        assert response.status_code == 200, response.text[:500]


def start(
    folder: Path, database: str = IN_MEMORY, *options: str, environment: Mapping[str, str] = NOTHING
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server; returns its process and its address once it serves.

    Arguments: `options` of Java come last and win; `environment` holds what must not stand on a command line.
    """
    command = java.command("hapi", "FhirServer", MEMORY, "-Dport=0", f"-Ddb={database}", *options)
    log = folder / "hapi.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent(),
            env={**os.environ, **environment},
        )
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        ready = [line for line in log.read_text("utf-8", "replace").splitlines() if line.startswith("ready ")]
        if ready:
            return process, ready[0].removeprefix("ready ")
        time.sleep(0.5)
    process.kill()
    pytest.fail(f"HAPI FHIR did not start: {log.read_text('utf-8', 'replace')[-2000:]}", pytrace=False)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


def _die_with_parent() -> Callable[[], None] | None:
    """A server must not outlive a test run that was killed; where the platform can't say so, nothing."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(1, signal.SIGKILL)


@pytest.fixture(scope="session")
def hapi_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hapi]:
    """The server of this session, whatever it holds: use `hapi`, which is empty.

    CASEWEAVE_TEST_HAPI names one on this machine that runs already, and that may be wiped.
    """
    running = os.environ.get("CASEWEAVE_TEST_HAPI", "")
    if running:
        assert running.startswith("http://127.0.0.1:"), "only a server of this machine is wiped"
        yield Hapi(running)
        return
    require(not java.missing("hapi"), java.missing("hapi"))
    process, url = start(tmp_path_factory.mktemp("hapi"))
    try:
        found = Hapi(url)
        found.get("metadata")  # made at the first request, which takes a busy machine a minute
        yield found
    finally:
        stop(process)


@pytest.fixture
def hapi(hapi_server: Hapi) -> Hapi:
    """The server, wiped."""
    hapi_server.wipe()
    return hapi_server
