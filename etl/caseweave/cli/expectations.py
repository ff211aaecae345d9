"""`caseweave expectations`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caseweave.cli import options


def expectations(
    study: Annotated[str, typer.Argument(metavar="STUDY", show_default=False, help="The study: its name or folder.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            show_default=False,
            help="Filled forms, whose sheets are written as csv beside the suites.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", show_default="STUDY-expectations", help="Where to write."),
    ] = None,
    studies: options.Studies = None,
) -> None:
    """Write the checks and rules of a study as suites for Great Expectations.

    They run where there is no Caseweave, on the csv files that are written of SOURCE: what was typed stands in these.
    """
    from caseweave.cli.intake import take_in
    from caseweave.cli.progress import clock
    from caseweave.cli.show import count, say
    from caseweave.run.expectations import write_suites
    from caseweave.spec.loader import load_study

    with clock() as timer:
        read = take_in(sources, study, studies, timer) if sources else None
        made = read.study if read else load_study(study, studies=studies or ())
        folder = output or Path(f"{made.name}-expectations")
        with timer.step("write"):
            written = write_suites(made, folder, read.sources if read else ())
    say(f"{folder}: {made.name} {made.version}")
    for name, many in written.suites.items():
        say(f"  {name}: {count(many, 'expectation')}")
    for name, many in written.tables.items():
        say(f"  {name}: {count(many, 'row')}; what was typed stands in it")
    if written.own:
        say(f"Not expressible in Great Expectations' own: {', '.join(written.own)}")
