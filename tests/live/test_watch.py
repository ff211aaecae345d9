"""The watch over a drop folder with the real command and server: down, up again, a broken workbook, a restart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live.fhir import ours, theirs, versions
from tests.live.misbehaviour import status
from tests.services.hapi import Hapi
from tests.services.need import require
from tests.services.proxy import Proxy, Rule, proxy_to
from tests.unit.run.registry import STUDY, filled, workbook

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi"), pytest.mark.torture]
WATCH = Path(__file__).parents[2] / "containers" / "etl-fhir" / "watch"
SECONDS = 240


@dataclass
class Watched:
    """The watch at work."""

    folder: Path
    proxy: Proxy

    def __post_init__(self) -> None:
        self.process = self.started()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def environment(self) -> dict[str, str]:
        places = {"DROP": "drop", "OUT": "out", "STATE": "state", "BEAT": "beat", "CASEWEAVE_KEY_FILE": "key"}
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "EVERY": "1",
            "ARGUMENTS": f"--study {STUDY} --fhir {self.proxy.url}",
            **{name: str(self.folder / place) for name, place in places.items()},
        }

    def started(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(["sh", str(WATCH)], env=self.environment(), stdout=log, stderr=log)

    def restart(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self.process = self.started()

    def healthy(self) -> bool:
        done = subprocess.run(["sh", str(WATCH), "health"], env=self.environment(), check=False)
        return done.returncode == 0

    def failed(self) -> str:
        path = self.folder / "state" / "failed"
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def until(self, wanted: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not wanted():
            assert time.monotonic() < end, (self.folder / "log").read_text(encoding="utf-8")
            time.sleep(0.2)


@pytest.fixture
def watched(hapi: Hapi, tmp_path: Path) -> Iterator[Watched]:
    require(shutil.which("find"), "there is no find here")
    (tmp_path / "drop").mkdir()
    with proxy_to(hapi.url) as proxy:
        found = Watched(tmp_path, proxy)
        yield found
        found.process.send_signal(signal.SIGTERM)
        found.process.wait(SECONDS)


def test_a_night(watched: Watched, hapi: Hapi) -> None:
    form = watched.folder / "drop" / "form.xlsx"
    watched.proxy.script(Rule(status(403), times=0))
    workbook(form, filled())
    watched.until(lambda: watched.failed() == "3")
    assert not watched.healthy()
    assert hapi.count("Patient") == 0

    watched.proxy.script()
    watched.until(watched.healthy)
    assert theirs(watched.out, hapi) == ours(watched.out)
    assert set(versions(watched.out, hapi).values()) == {"1"}

    # a broken workbook beside a corrected one, while the watch was away
    watched.process.kill()
    watched.process.wait(30)
    (form.parent / "broken.xlsx").write_bytes(b"PK, and no workbook")
    rows = filled()
    rows["Patients"][4][5] = 12.5
    workbook(form, rows)
    watched.restart()
    watched.until(lambda: watched.failed() == "2")
    assert theirs(watched.out, hapi) == ours(watched.out)
    assert sorted(versions(watched.out, hapi).values())[-2:] == ["1", "2"]

    (form.parent / "broken.xlsx").unlink()
    watched.until(watched.healthy)
    assert sorted(versions(watched.out, hapi).values())[-2:] == ["1", "2"]
