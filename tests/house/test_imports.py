"""Heavy packages load on use, and nothing needs a call that only Linux has."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.files import ROOT, name, python_files

HEAVY = (
    "pandas",
    "great_expectations",
    "fhir",
    "pynetdicom",
    "openpyxl",
    "pydicom",
    "sqlalchemy",
    "dask",
    "pyarrow",
)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "etl"), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


def loaded_after(code: str) -> set[str]:
    done = run_python(f"{code}\nimport sys\nprint(' '.join({{m.split('.')[0] for m in sys.modules}}))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_after("from caseweave.cli.app import run\nassert run(['--help']) == 0")
    assert loaded & set(HEAVY) == set()


def test_help_of_every_command_loads_nothing_heavy() -> None:
    code = (
        "from caseweave.cli.app import run\nfrom caseweave.cli.commands import COMMANDS\n"
        "for name in COMMANDS:\n    assert run([name, '--help']) == 0, name"
    )
    assert loaded_after(code) & set(HEAVY) == set()


def test_the_library_itself_is_light() -> None:
    assert loaded_after("import caseweave") & set(HEAVY) == set()


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in python_files("etl")])
def test_heavy_imports_stand_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    wanted = [
        (node.lineno, module)
        for node in top
        for module in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
        if module.split(".")[0] in HEAVY
    ]
    assert wanted == []


ONLY_UNIX = (
    "fork forkpty sched_getaffinity setsid getuid geteuid getgid nice memfd_create sendfile mkfifo"
    " splice getpgid copy_file_range posix_fadvise posix_fallocate killpg wait4 posix_spawn O_DIRECTORY"
)
# Taken away before anything of ours is imported, after the standard library's own modules that use them.
WITHOUT_LINUX = (
    """
import asyncio, concurrent.futures, multiprocessing.connection, multiprocessing.spawn
import multiprocessing.synchronize, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile
{libraries}
for module in ("resource", "fcntl", "pwd", "grp", "termios", "pty", "syslog"):
    sys.modules[module] = None
for call in """
    + repr(ONLY_UNIX)
    + """.split():
    if hasattr(os, call):
        delattr(os, call)
for name in ("SIGALRM", "SIGKILL", "SIGHUP", "SIGUSR1", "SIGCHLD", "setitimer", "alarm"):
    if hasattr(signal, name):
        delattr(signal, name)
for option in ("TCP_QUICKACK", "AF_UNIX", "SO_REUSEPORT"):
    if hasattr(socket, option):
        delattr(socket, option)
"""
)
EVERY_MODULE = """
import importlib, pkgutil
import caseweave
for found in pkgutil.walk_packages(caseweave.__path__, "caseweave."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
        print(found.name)
"""


def test_every_module_imports_without_linux() -> None:
    done = run_python(WITHOUT_LINUX.format(libraries="import httpx, numpy, pydantic") + EVERY_MODULE)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert "caseweave.cli.app" in done.stdout
