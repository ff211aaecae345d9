"""Two pieces of work side by side: only where no other thread can hold a lock that a forked child would wait for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from caseweave.run.sides import side_by_side

ALONE = """
import os
from caseweave.run.sides import side_by_side
aside, here = side_by_side(os.getpid, os.getpid)
print(aside != here, here == os.getpid())

class Kept(Exception):
    def __reduce__(self):
        raise TypeError("it doesn't pickle")

def fail():
    raise Kept

try:
    side_by_side(fail, os.getpid)
except MemoryError:
    print("told once")
"""


def test_beside_other_threads_it_stays_in_this_process() -> None:
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        assert side_by_side(os.getpid, os.getpid) == (os.getpid(), os.getpid())
    finally:
        ended.set()
        other.join()


@pytest.mark.skipif(not hasattr(os, "fork") or (os.cpu_count() or 1) < 2, reason="there is one core, or no fork")
def test_alone_it_forks_and_no_child_goes_on_by_itself(repo: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(repo / "etl"), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", ALONE], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True True\ntold once\n", "")
