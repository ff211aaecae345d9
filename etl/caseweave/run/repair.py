"""The rows of a run held against those that its database holds; what somebody changed or deleted comes again."""

from __future__ import annotations

from dataclasses import replace

from caseweave.issues import Finding
from caseweave.run.convert import Conversion, compare_with
from caseweave.targets.omop.database import Database
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.scope import Scope
from caseweave.terms import conventions


def repair_rows(database: Database, conversion: Conversion, stream: str, scope: Scope) -> list[Finding]:
    """Make a run's rows again in memory, compare, and write those anew that differ though the ledger knows them.

    >>> repair_rows(database, conversion, "main", conversion.scope())  # doctest: +SKIP
    [Finding(rule='rows-repaired', ..., message='Rows of measurement were changed by others: 2. ...')]

    The caller commits. Rows that the run changes anyway, and those of others, aren't compared.
    """
    from caseweave.targets.omop.transfer import Transfer
    from caseweave.targets.omop.verify import repair

    study = conversion.study.name
    with SqliteDatabase(None, conversion.omop.settings.shapes) as wanted:
        compare_with(wanted, replace(conversion), stream, scope).write()
        found = repair(Transfer(wanted.connection, database, study, stream, conventions()))
    words = (("were changed", found.changed), ("were deleted", found.gone))
    return [
        Finding(
            rule="rows-repaired",
            severity="warning",
            message=f"Rows of {table} {what} by others: {count}. They stand as the forms say again.",
        )
        for what, counts in words
        for table, count in sorted(counts.items())
    ]
