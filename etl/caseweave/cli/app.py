"""The frame around every command: finds it, runs it, and turns what happened into words and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import caseweave
from caseweave.cli.commands import COMMANDS
from caseweave.cli.show import harmless
from caseweave.errors import CaseweaveError

EXIT_FAULT = 70  # EX_SOFTWARE: a fault of ours; 0 to 4 have meanings of their own
EXIT_INTERRUPTED = 130
TRACEBACK = "CASEWEAVE_TRACEBACK"
# BadParameter < UsageError < ClickException: typer has its own copy of click or the real one, by its version
WrongCommandLine: Any = typer.BadParameter.__mro__[2]


class CommandTable(TyperGroup):
    """The commands of the table, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command; None where there is no such name."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, function = target.partition(":")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name)(getattr(importlib.import_module(module), function))
        return typer.main.get_command(single)


app = typer.Typer(
    name="caseweave",
    cls=CommandTable,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caseweave {caseweave.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Cancer case report forms become FHIR resources and OMOP rows, from one description of the form.

    Exit codes: 0 all loaded; 1 finished, some input rejected or queries open; 2 usage or mapping error,
    nothing done; 3 a target failed, resumable with `deliver`; 4 refused to protect data.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; everything raised becomes words on standard error.

    >>> run(["--version"])
    caseweave ...
    0
    """
    try:
        outcome = app(args=arguments, standalone_mode=False)
    except CaseweaveError as error:
        _say(f"caseweave: {error}")
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        outcome = EXIT_INTERRUPTED
    except WrongCommandLine as error:
        error.show()
        return int(error.exit_code)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  the interpreter flushes it at its end
        return 0
    except Exception as error:  # noqa: BLE001  the last door: a fault of ours must not look like one of the user's
        _say(describe_fault(error))
        return EXIT_FAULT
    if outcome == EXIT_INTERRUPTED:  # typer's own answer to Ctrl-C, without a word
        _say("caseweave: interrupted.")
    return outcome if isinstance(outcome, int) else 0


def describe_fault(error: Exception) -> str:
    """Words for a fault of ours: its kind and place, never its text, for that may quote a patient's cell.

    >>> print(describe_fault(KeyError("Jane Doe")))
    caseweave: a fault of Caseweave's own, not of your data: KeyError at an unknown place (...).
    ...
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "caseweave" in Path(frame.filename).parts] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
    what = f"{type(error).__name__} at {place}"
    versions = f"Caseweave {caseweave.__version__}, Python {sys.version.split()[0]}"
    lines = [
        f"caseweave: a fault of Caseweave's own, not of your data: {what} ({versions}).",
        "What was written before it is whole. Please report this line and the command.",
        f"{TRACEBACK}=1 shows the traceback; it can quote what stands in cells: read it before you send it.",
    ]
    if os.environ.get(TRACEBACK) == "1":
        lines.append("".join(traceback.format_exception(error)))
    return "\n".join(lines)


def _say(text: str) -> None:
    typer.echo(harmless(text), err=True)


def prepare_streams(*streams: Any) -> None:
    """Let text that the terminal's encoding lacks come out escaped instead of ending the program."""
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
