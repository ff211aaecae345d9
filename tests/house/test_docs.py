"""The pages keep up with the program: each command and option stands in docs/commands.md, links work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from caseweave.cli.app import CommandTable, app
from caseweave.cli.commands import COMMANDS
from tests.house.files import ROOT, name, repository_files

PAGE = ROOT / "docs" / "commands.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
HEADING = re.compile(r"^## caseweave (\w+)$", re.MULTILINE)


def sections() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    parts = HEADING.split(text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def options(command: str) -> list[str]:
    group: Any = typer.main.get_command(app)
    assert isinstance(group, CommandTable)
    parameters = group.get_command(None, command).params
    return [text for one in parameters for text in (*one.opts, *one.secondary_opts) if text.startswith("--")]


def test_the_page_has_the_commands_of_the_program() -> None:
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_option_is_documented(command: str) -> None:
    words = set(re.findall(r"--[\w-]+", sections().get(command, "")))
    assert [option for option in options(command) if option not in words] == []


@pytest.mark.parametrize(
    "page", [pytest.param(path, id=name(path)) for path in repository_files() if path.suffix == ".md"]
)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_page_of_patterns_is_up_to_date() -> None:
    check = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
