"""`caseweave lint`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from caseweave.plan.lint import LintFinding

EXIT_FAULTY = 2


def lint(
    names: Annotated[
        list[str],
        typer.Argument(metavar="STUDY", show_default=False, help="Studies, by name or folder."),
    ],
    studies: options.Studies = None,
    vocabulary: options.Vocabulary = None,
    everything: Annotated[bool, typer.Option("--all", help="Show messages too, not only errors and warnings.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Prove studies before a patient is read, and run the examples that stand in them.

    Paths and cardinalities are held against FHIR, columns and domains against OMOP, codes against what they mean.
    Every fault has its file and line. The exit code is 2 where one is an error.
    """
    from dataclasses import asdict

    from caseweave.cli.show import count, say, say_json
    from caseweave.issues import SEVERITIES
    from caseweave.run.prove import prove

    found = {name: prove(name, studies=studies or (), vocabulary=vocabulary) for name in names}
    if as_json:
        say_json({name: [asdict(one) for one in faults] for name, faults in found.items()})
        return _exit_code(found)
    for name, faults in found.items():
        for one in faults:
            if everything or one.severity != "message":
                said = " ".join(filter(None, (f"{one.message.rstrip('.')}.", one.way_out)))
                say(f"{one.place}: {one.severity}: {said} [{one.rule}]")
        told = [count(n, one) for one in SEVERITIES if (n := sum(fault.severity == one for fault in faults))]
        say(f"{name}: {', '.join(told) or 'no fault'}")
    return _exit_code(found)


def _exit_code(found: Mapping[str, Sequence[LintFinding]]) -> int:
    return EXIT_FAULTY if any(one.severity == "error" for faults in found.values() for one in faults) else 0
