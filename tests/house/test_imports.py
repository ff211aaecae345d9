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
# its classes have bases from there, so that it is itself imported inside functions only
BASES_ELSEWHERE = {"etl/caseweave/quality/expectations/custom.py"}


def run_python(
    code: str, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "etl"), "PYTHONUTF8": "1", **(environment or {})}
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
        for module in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if module.split(".")[0] in HEAVY
    ]
    assert bool(wanted) is (name(path) in BASES_ELSEWHERE), wanted


@pytest.mark.parametrize("path", sorted(BASES_ELSEWHERE))
def test_modules_with_heavy_bases_are_imported_inside_functions(path: str) -> None:
    module = path.removeprefix("etl/").removesuffix(".py").replace("/", ".")
    package, _, stem = module.rpartition(".")
    for other in python_files("etl"):
        for node in ast.parse(other.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                assert node.module != module, other
                assert node.module != package or all(one.name != stem for one in node.names), other


# What only Linux, or only Unix, has. It is taken away in every process that starts, children too, after the
# standard library's own modules have taken what they need of it, and before anything of ours is imported.
ONLY_UNIX = """
import asyncio, concurrent.futures, multiprocessing.connection, multiprocessing.spawn
import multiprocessing.synchronize, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile

MODULES = "resource fcntl pwd grp termios pty syslog"
CALLS = {
    os: "fork forkpty sched_getaffinity setsid getuid geteuid getgid nice memfd_create sendfile splice mkfifo"
    " getpgid copy_file_range posix_fadvise posix_fallocate killpg wait4 posix_spawn O_DIRECTORY",
    signal: "SIGALRM SIGHUP SIGUSR1 SIGCHLD setitimer alarm",
    socket: "TCP_QUICKACK AF_UNIX SO_REUSEPORT",
}
sys.modules.update(dict.fromkeys(MODULES.split()))
for module, names in CALLS.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""
EVERY_MODULE = """
import importlib, pkgutil
import caseweave
for found in pkgutil.walk_packages(caseweave.__path__, "caseweave."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
        print(found.name)
"""
READ = """
import os, sys
from caseweave.sources import read_sources
assert not hasattr(os, "fork")
(source,) = read_sources(sys.argv[1:])
print([column.distinct for column in source.grids[0].columns])
"""


@pytest.fixture
def without_linux(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python starts as on a system that isn't Linux."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(ONLY_UNIX, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT / "etl")))}


def test_every_module_imports_without_linux(without_linux: dict[str, str]) -> None:
    done = run_python(EVERY_MODULE, environment=without_linux)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert "caseweave.cli.app" in done.stdout


@pytest.mark.parametrize("file_name", ["form.csv", "form.xlsx"])
def test_a_file_is_read_without_linux(without_linux: dict[str, str], tmp_path: Path, file_name: str) -> None:
    import openpyxl

    path = tmp_path / file_name
    if path.suffix == ".csv":
        path.write_text("patient_id\nAA-00001\n", encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        for row in (["patient_id"], ["AA-00001"]):
            book.worksheets[0].append(row)
        book.save(path)
    done = run_python(READ, str(path), environment=without_linux)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "[[None, 'patient_id', 'AA-00001']]"


RUN = """
import datetime, os, sys
from pathlib import Path
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
assert not hasattr(os, "fork")
study, form, folder, key = map(Path, sys.argv[1:])
for _ in range(2):
    outcome = run(load_study(study), [form], Workspace(folder), Options(key_file=key))
    print(outcome.exit_code, outcome.manifest["facts"], outcome.manifest["targets"]["omop"]["new"])
"""


def test_a_form_is_run_twice_without_linux(without_linux: dict[str, str], tmp_path: Path) -> None:
    from tests.unit.run.registry import STUDY, filled, workbook

    form = workbook(tmp_path / "form.xlsx", filled())
    arguments = (str(STUDY), str(form), str(tmp_path / "workspace"), str(tmp_path / "registry.key"))
    done = run_python(RUN, *arguments, environment=without_linux)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = done.stdout.splitlines()
    code, facts, new = first.split()
    assert (code, int(facts) > 200, int(new) > 200) == ("0", True, True)
    assert second == f"0 {facts} 0"
