"""`caseweave studies`."""

from __future__ import annotations

from caseweave.cli import options


def studies(studies: options.Studies = None, language: options.Language = "en") -> None:
    """List the studies at hand: name, version and title."""
    from caseweave.cli.show import say, table
    from caseweave.run.studies import describe_studies

    found = describe_studies(studies or ())
    rows = [[one.name, one.version, one.title_in(language)] for one in found]
    say(table(["name", "version", "title"], rows))
