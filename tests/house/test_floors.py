"""Imports only point down the floors; the check is tried on copies of the package with a wrong import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(source_root: Path, config: Path) -> tuple[int, str]:
    command = [sys.executable, "-c", CHECK, "--no-cache", "--no-logo", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(source_root)}
    done = subprocess.run(command, cwd=source_root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_floors_are_kept(repo: Path) -> None:
    code, output = lint(repo / "etl", repo / "pyproject.toml")
    assert code == 0, output


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("values/types.py", "import caseweave.run", "floors"),  # upwards
        ("terms/__init__.py", "import caseweave.shapes", "floors"),  # between siblings
        ("plan/__init__.py", "import caseweave", "public door"),  # round by the public door
        ("targets/fhir/__init__.py", "import caseweave.targets.omop", "never see each other"),
    ],
)
def test_a_wrong_import_is_found(repo: Path, tmp_path: Path, module: str, line: str, contract: str) -> None:
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repo / "etl" / "caseweave", tmp_path / "caseweave", ignore=skip)
    with (tmp_path / "caseweave" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    code, output = lint(tmp_path, repo / "pyproject.toml")
    broken = [row for row in output.splitlines() if row.rstrip().endswith("BROKEN")]
    assert code == 1
    assert [row for row in broken if contract in row], output
