"""The tree stays as the design has it: where things lie, how long files are, and what no file may say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.files import ROOT, name, python_files, repository_files

DATA_FOLDERS = ("mappings", "vocabularies", "validators")
LINES = 400
WRITTEN = {".py", ".java", ".md", ".yaml", ".yml", ".toml", ".sh", ".html", ".css", ".js", ""}
# file -> why it is longer
LONGER: dict[str, str] = {
    "LICENSE": "the licence's own text",
    "docs/patterns.md": "made from mappings/patterns, a section each",
    "docs/reference/bad-cells.md": "made from the table of faults, a line each",
}
# folders of one machine, and what belongs to its tools, have no place in a file of the repository
MACHINE = re.compile(r"(?<![\w.:/\\$}*-])/(?:wor[k]|roo[t]|far[m])(?=[/\"'`\s,;:)]|$)|\.librar[y]\b", re.MULTILINE)
INDEX = re.compile(r"--(?:extra-)?index-ur[l]|--find-link[s]|--trusted-hos[t]")


def test_data_folders_hold_no_python() -> None:
    programs = {".py", ".pyc", ".pyi", ".sh", ".ipynb", ".so"}
    wrong = [
        path for path in repository_files() if name(path).split("/")[0] in DATA_FOLDERS and path.suffix in programs
    ]
    assert wrong == []


def test_source_root_holds_the_package_only() -> None:
    others = {name(path).split("/")[1] for path in repository_files() if name(path).startswith("etl/")}
    assert others == {"caseweave"}


def test_no_file_is_too_long() -> None:
    lengths = {name(path): path.read_bytes().count(b"\n") for path in repository_files() if path.suffix in WRITTEN}
    assert {file: n for file, n in lengths.items() if n > LINES and file not in LONGER} == {}
    assert [file for file in LONGER if file not in lengths] == []


def test_no_paths_of_a_machine() -> None:
    found = [
        f"{name(path)}: {match[0]}"
        for path in repository_files()
        for match in MACHINE.finditer(path.read_bytes().decode("utf-8", "replace"))
        if path.suffix not in {".tgz", ".xlsx", ".xls", ".dcm", ".png", ".zip"}
    ]
    assert found == []


def test_locked_requirements_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert not INDEX.search(text), path.name
        assert "://" not in text, path.name
        pinned = re.findall(r"^[\w.\[\]-]+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert pinned, path.name
        assert [entry.split()[0] for entry in pinned if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("path", [pytest.param(path, id=name(path)) for path in python_files()])
def test_nothing_that_hides_faults_or_runs_data(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    assert [f"line {line}: {what}" for line, what in forbidden(tree)] == []


def forbidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The places where a program swallows errors, runs text as code, or gives a shell its words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _swallows(node):
            yield node.lineno, "an exception is swallowed"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {
                "eval",
                "exec",
                "os.system",
                "os.popen",
                "yaml.load",
            }:
                yield node.lineno, f"{called}(...)"
            if called in {"suppress", "contextlib.suppress"} and {"Exception", "BaseException"} & _names(node):
                yield node.lineno, "suppress(Exception)"
            if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords):
                yield node.lineno, "shell=True"


def _swallows(node: ast.ExceptHandler) -> bool:
    silent = all(isinstance(line, ast.Pass) or _is_ellipsis(line) for line in node.body)
    caught = _names(node.type) if node.type else {"BaseException"}
    return silent and bool({"Exception", "BaseException"} & caught)


def _is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    a()\nexcept:\n    pass",
        "try:\n    a()\nexcept (KeyError, Exception):\n    ...",
        "with contextlib.suppress(Exception):\n    a()",
        "eval('1')",
        "yaml.load(text)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_finds_them(source: str) -> None:
    assert list(forbidden(ast.parse(source)))
