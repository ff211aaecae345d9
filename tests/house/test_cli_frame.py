"""Whatever happens inside a command becomes words on standard error and the exit code of the design."""

from __future__ import annotations

import sys
import types

import pytest

import caseweave
from caseweave.cli.app import EXIT_FAULT, EXIT_INTERRUPTED, TRACEBACK, run
from caseweave.cli.commands import COMMANDS
from caseweave.errors import CaseweaveError, MappingError, Refusal, SourceDamaged, TargetError

RAISED: dict[str, tuple[BaseException, int]] = {
    "mapping": (MappingError("s.yaml", 3, "unknown key 'sheet'", way_out="Valid here: sheets."), 2),
    "source": (SourceDamaged("a.xlsx", "the zip is cut off", way_out="Save it again."), 2),
    "target": (TargetError("The FHIR server is away.", way_out="Run `caseweave deliver` again."), 3),
    "refusal": (Refusal("Another key.", way_out="Give the right one with --key."), 4),
    "plain": (CaseweaveError("No.", way_out="Yes."), 2),
    "interrupted": (KeyboardInterrupt(), EXIT_INTERRUPTED),
    "fault": (KeyError("Jane Doe"), EXIT_FAULT),
}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A command of the table that does what the parameter says: raise it, or return it."""
    outcome = request.param

    def act() -> int:
        """Do it."""
        if isinstance(outcome, BaseException):
            raise outcome
        return int(outcome)

    module = types.ModuleType("a_command")
    module.act = act  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_command", module)
    monkeypatch.setitem(COMMANDS, "act", "a_command:act")
    return "act"


@pytest.mark.parametrize(("command", "code"), list(RAISED.values()), ids=list(RAISED), indirect=["command"])
def test_what_is_raised_becomes_words(command: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("caseweave: ")
    assert "Traceback" not in streams.err
    assert "Jane" not in streams.err  # the text of a fault may quote a cell


@pytest.mark.parametrize("command", [0, 1, 3], indirect=True)
def test_what_is_returned_is_the_exit_code(command: str, request: pytest.FixtureRequest) -> None:
    assert run([command]) == request.node.callspec.params["command"]


@pytest.mark.parametrize("command", [KeyError("Jane Doe")], indirect=True)
def test_a_fault_names_its_place_and_shows_more_when_asked(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    assert run([command]) == EXIT_FAULT
    error = capsys.readouterr().err
    assert "KeyError at " in error
    assert "Traceback (most recent call last)" in error


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"caseweave {caseweave.__version__}\n"


@pytest.mark.parametrize("line", [["nonsense"], ["--nonsense"], []])
def test_a_wrong_command_line_is_2(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 2
    streams = capsys.readouterr()
    assert "Usage: " in streams.out + streams.err
