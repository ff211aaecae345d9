"""The table of commands: a new one is a module of this package and a line here.

A command is a function whose parameters are typer options and whose docstring is its help. It returns the
exit code (None is 0) and imports whatever is heavy inside, so that `caseweave --help` stays quick.
"""

from __future__ import annotations

# name -> module:function, in the order in which the help shows them
COMMANDS: dict[str, str] = {
    "studies": "caseweave.cli.studies:studies",
    "template": "caseweave.cli.template:template",
    "check": "caseweave.cli.check:check",
    "run": "caseweave.cli.run:run",
    "omop": "caseweave.cli.omop:omop",
    "deliver": "caseweave.cli.deliver:deliver",
    "merge": "caseweave.cli.merge:merge",
    "status": "caseweave.cli.status:status",
    "trace": "caseweave.cli.trace:trace",
    "lint": "caseweave.cli.lint:lint",
    "explain": "caseweave.cli.explain:explain",
    "expectations": "caseweave.cli.expectations:expectations",
    "import": "caseweave.cli.import_:import_",
}
