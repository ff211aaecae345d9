"""Examples run as they stand: each block of Python in docs/script-writers.md, and each docstring of the library."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import runpy
import shutil
from pathlib import Path

import pytest
from tests.house.files import ROOT

import caseweave.api
import caseweave.run.views
from caseweave.cli.app import run as command

BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "script-writers.md").read_text(encoding="utf-8"), re.DOTALL
)
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    with contextlib.redirect_stdout(io.StringIO()):
        assert command(["template", "breast", "--example", "-o", str(folder / "site-a.xlsx")]) == 0
    shutil.copy(folder / "site-a.xlsx", folder / "site-b.xlsx")
    return folder


@pytest.fixture(autouse=True)
def here(forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(forms, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "usual.key"))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "example.py").write_text(BLOCKS[number], encoding="utf-8")
    runpy.run_path(str(tmp_path / "example.py"))
    said = [one for one in SAID.findall(BLOCKS[number]) if "turn" not in one]
    heard = capsys.readouterr().out.splitlines()
    assert len(heard) == len(said)
    for line, wanted in zip(heard, said, strict=True):
        parts = [re.escape(one) for one in wanted.split("...")]
        assert re.match(".*".join(parts).removesuffix(re.escape("}")), line), line


def test_docstrings() -> None:
    names = vars(caseweave.api)
    found = [one for one in doctest.DocTestFinder().find(caseweave.api, extraglobs=names) if one.examples]
    assert {one.name.removeprefix("caseweave.api.") for one in found} >= {
        "Delivery",
        "Result",
        "Result.deliver",
        "Study",
        "Study.convert",
        "list_studies",
        "load_study",
    }
    runner, told = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), io.StringIO()
    for one in found:
        for example in one.examples:  # what pytest leaves out, since it has no form at hand
            example.options.pop(doctest.SKIP, None)
        runner.run(one, out=told.write)
    assert runner.summarize(verbose=False).failed == 0, told.getvalue()
