"""What the tests start is inside: only loopback exists there, and it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.house.files import ROOT

OFFLINE = ROOT / "tests" / "services" / "offline"
LOOK = """
import errno, json, os, socket
with socket.socket() as server:
    server.bind(("127.0.0.1", 0))
    server.listen()
    with socket.create_connection(server.getsockname(), timeout=10) as client:
        inside = client.getpeername()[0]
with socket.socket() as stranger:
    stranger.settimeout(10)
    outside = stranger.connect_ex(("192.0.2.1", 80))  # an address for documentation (RFC 5737)
said = os.environ.get("CASEWEAVE_OFFLINE", "")
print(json.dumps({"inside": inside, "outside": errno.errorcode.get(outside, ""), "said": said}))
"""


def test_offline_leaves_loopback_and_nothing_else() -> None:
    done = subprocess.run([str(OFFLINE), sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    if "does not let me" in done.stderr:
        pytest.skip(done.stderr.strip())
    found = json.loads(done.stdout)
    assert (found["inside"], found["outside"], found["said"]) == ("127.0.0.1", "ENETUNREACH", "1")


def test_a_command_that_fails_fails_there_too() -> None:
    done = subprocess.run([str(OFFLINE), sys.executable, "-c", "raise SystemExit(7)"], check=False)
    assert done.returncode == 7


def test_the_tests_go_through_it() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    tests = [line for line in lines if "-m pytest" in line and line.startswith("\t")]
    assert tests and all("tests/services/offline " in line for line in tests)
    assert os.access(OFFLINE, os.X_OK)
