"""An installed wheel is whole: code, data, entry point, licence; it finds its data on its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.files import name, repository_files

ASK = """
import sys
sys.path.insert(0, sys.argv[1])
import caseweave
from caseweave.assets import data_path
assert caseweave.__file__.startswith(sys.argv[1]), caseweave.__file__
print(*(data_path(folder) for folder in ("mappings", "vocabularies", "validators")), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=repo, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


def test_data_is_inside(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"caseweave/_data/{name(path)}"
        for path in repository_files()
        if name(path).split("/")[0] in ("mappings", "vocabularies", "validators")
    }
    assert expected
    assert expected - inside == set()
    assert [entry for entry in inside if "/_data/" in entry and entry.endswith((".py", ".pyc"))] == []


def test_every_module_is_inside_and_nothing_else(wheel: Path) -> None:
    inside = {entry for entry in zipfile.ZipFile(wheel).namelist() if "/_data/" not in entry}
    expected = {name(path)[4:] for path in repository_files() if name(path).startswith("etl/")}
    assert {entry for entry in inside if ".dist-info/" not in entry} == expected
    assert [entry for entry in inside if entry.endswith("licenses/LICENSE")]


def test_unpacked_it_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    command = [sys.executable, "-c", ASK, str(tmp_path / "site")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [Path(line).parent for line in done.stdout.splitlines()] == [tmp_path / "site/caseweave/_data"] * 3


def test_entry_point(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entry,) = (item for item in archive.namelist() if item.endswith("entry_points.txt"))
    assert "caseweave = caseweave.cli:main" in archive.read(entry).decode()
