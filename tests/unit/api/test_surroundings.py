"""The same forms and key give the same bytes wherever a script runs, and leave nothing running behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.run.registry import STUDY, filled, workbook

import caseweave

DIGEST = """
import hashlib, sys
import caseweave
study, form, key = sys.argv[1:]
result = caseweave.load_study(study).convert(form, key_file=key)
taken = hashlib.sha256()
for resource_type in result.fhir:
    taken.update(b"".join(result.fhir.lines(resource_type)))
for table, frame in result.omop.items():
    if table != "cdm_source":  # it names the day of the run
        taken.update(frame.to_csv(index=False).encode())
taken.update(result.findings.drop(columns="file").to_csv(index=False).encode())
print(taken.hexdigest(), *result.omop["person"]["year_of_birth"].head(2))
"""
ODD = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "4242",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("Año 2024 (ñ, 漢)")
    workbook(folder / "form of site 'é'.xlsx", filled())
    return folder


def form(folder: Path) -> Path:
    return next(folder.glob("*.xlsx"))


def digest(repo: Path, folder: Path, key: Path, surroundings: dict[str, str]) -> str:
    wanted = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, str(STUDY), str(form(folder)), str(key)],
        env={**wanted, "PYTHONPATH": str(repo / "etl"), **surroundings},
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_same_bytes_in_any_surroundings(repo: Path, folder: Path) -> None:
    plain = digest(repo, folder, folder / "a.key", {"TZ": "Etc/GMT+12", "PYTHONHASHSEED": "0"})
    assert digest(repo, folder, folder / "a.key", ODD) == plain
    assert digest(repo, folder, folder / "b.key", ODD) != plain


def test_threads_side_by_side(folder: Path) -> None:
    study = caseweave.load_study(STUDY)

    def patients(_: int) -> list[bytes]:
        return study.convert(form(folder), key_file=folder / "a.key").fhir.lines("Patient")

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(patients, range(3))
    assert len(first) == 30
    assert others == [first, first]


def test_nothing_is_left_behind(folder: Path) -> None:
    study, handles = caseweave.load_study(STUDY), Path("/proc/self/fd")
    study.convert(form(folder), key_file=folder / "a.key")

    def standing() -> tuple[int, int]:  # a process that was left would hold its pipes
        opened = len(list(handles.iterdir())) if handles.is_dir() else 0
        return opened, threading.active_count()

    before = standing()
    for _ in range(3):
        result = study.convert(form(folder), key_file=folder / "a.key")
        assert len(result.omop["person"]) == len(result.fhir["Patient"])
    assert standing() == before
