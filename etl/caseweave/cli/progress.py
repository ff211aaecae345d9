"""A line of progress on a terminal, on standard error; nothing at all in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from caseweave.run.pipeline import Clock

STEPS = {
    "read": "reading the forms",
    "terms": "opening the vocabulary",
    "apply": "checking cells, making facts",
    "validate": "validating what will be written",
    "compare": "comparing with what is held",
    "write": "writing FHIR and OMOP",
    "report": "writing findings and lineage",
}


class ShownClock(Clock):
    """A clock that shows which step runs.

    Arguments: `bar` is rich's; it is refreshed here and by no thread of its own, for a run forks.
    """

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self.bar = bar
        self.task = bar.add_task("starting", total=len(STEPS))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step and show it."""
        self.bar.update(self.task, description=STEPS.get(name, name))
        self.bar.refresh()
        with super().step(name):
            yield
        self.bar.advance(self.task)
        self.bar.refresh()


@contextmanager
def clock() -> Iterator[Clock]:
    """The clock of a run: one that shows its steps where a person looks on."""
    if not sys.stderr.isatty():
        yield Clock()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=20), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        yield ShownClock(bar)


@contextmanager
def paused(clock: Clock) -> Iterator[None]:
    """Take the line away while something is asked."""
    bar = clock.bar if isinstance(clock, ShownClock) else None
    if bar is not None:
        bar.stop()
    try:
        yield
    finally:
        if bar is not None:
            bar.start()
