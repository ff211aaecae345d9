"""`python -m caseweave` is the command line."""

from __future__ import annotations

from caseweave.cli import main

if __name__ == "__main__":
    main()
