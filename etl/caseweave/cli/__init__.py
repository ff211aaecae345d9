"""The command line: words in, report out; no logic of its own."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and end it with the exit code; the entry point `caseweave`."""
    import sys

    from caseweave.cli.app import prepare_streams, run

    prepare_streams(sys.stdout, sys.stderr)
    sys.exit(run())
