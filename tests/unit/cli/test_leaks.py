"""Outside private/ nobody is named: not in a file, not in what a command prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS: dict[str, Callable[[Any, Path], Any]] = {
    "run": lambda bench, form: bench.run(form),
    "run again": lambda bench, form: (bench.run(form), bench.run(form))[1],
    "run --json": lambda bench, form: bench.run(form, "--json"),
    "check": lambda bench, form: bench(
        "check", form, "--studies", bench.studies, "--study", "mini", "-o", bench.workspace
    ),
    "check --json": lambda bench, form: bench(
        "check", form, "--studies", bench.studies, "--study", "mini", "-o", bench.workspace, "--json"
    ),
    "status": lambda bench, form: (bench.run(form), bench("status", bench.workspace))[1],
    "status --json": lambda bench, form: (bench.run(form), bench("status", bench.workspace, "--json"))[1],
}


def told(secrets: tuple[str, ...], data: bytes) -> list[str]:
    spelled = {one: [one.lower().encode(), one.lower().encode("utf-16-le")] for one in secrets}
    return [one for one, spellings in spelled.items() if any(each in data.lower() for each in spellings)]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_no_one_is_named(
    command: str, bench: Any, dirty: Any, secrets: Any, public_bytes: Callable[[Path], dict[str, bytes]]
) -> None:
    said = COMMANDS[command](bench, bench.form(dirty))
    assert said.code in (0, 1)
    assert told(secrets, (said.out + said.err).encode()) == []
    files = public_bytes(bench.workspace)
    assert "findings.csv" in files
    assert {name: found for name, data in files.items() if (found := told(secrets, data + name.encode()))} == {}


def test_a_sheet_that_is_called_like_a_person(
    bench: Any, clean: Any, secrets: Any, public_bytes: Callable[[Path], dict[str, bytes]]
) -> None:
    import openpyxl

    form = bench.form(clean)
    book = openpyxl.load_workbook(form)
    book.create_sheet("Elena Moreno").append(["pid", "Dr Vidal"])
    book["Main"]["H1"] = "phone of Maria"
    book.save(form)
    said = bench.run(form)
    assert said.code == 1
    assert told(secrets, (said.out + said.err).encode()) == []
    assert [name for name, data in public_bytes(bench.workspace).items() if told(secrets, data)] == []


def test_private_is_for_its_owner_alone_and_knows_the_names(bench: Any, dirty: Any) -> None:
    bench.run(bench.form(dirty))
    private = bench.workspace / "private"
    assert private.stat().st_mode & 0o077 == 0
    assert "Garcia_Lopez.xlsx" in (private / "sources.json").read_text()
    assert "Elena Moreno" in (private / "findings.csv").read_text()


def test_a_terminal_obeys_neither_names_of_files_nor_servers(bench: Any) -> None:
    said = bench("check", bench.folder / "\x1b]0;owned\x07\x1b[2J\u202exslx.exe", "--study", "breast")
    assert said.code == 2
    assert "isn't there" in said.err
    assert not set("\x1b\x07\u202e") & set(said.out + said.err)
