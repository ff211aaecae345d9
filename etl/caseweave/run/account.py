"""What a run and a check both say of themselves: findings, work list, and the sums that balance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caseweave.identity.keyfile import ProjectKey
from caseweave.issues import count_by_severity
from caseweave.plan.facts import Facts
from caseweave.run.convert import Conversion
from caseweave.run.reports import rows_of, write_findings
from caseweave.run.testcases import write_testcases
from caseweave.run.worklist import write_worklist
from caseweave.run.workspace import Workspace, write_json
from caseweave.values.grid import Source
from caseweave.version import __version__


def account(conversion: Conversion, sources: Sequence[Source]) -> dict[str, Any]:
    """The part of a manifest that depends on the sources alone, not on what a target held before."""
    study = conversion.study
    parity = conversion.parity()  # it builds every OMOP row, and so meets every code that `concepts` counts
    return {
        "caseweave": __version__,
        "study": {"name": study.name, "version": study.version, "digest": study.digest},
        "sources": [
            {"alias": one.alias, "digest": _keyed(conversion.key, one), "rows": conversion.rows_of(one.alias)}
            | ({"notes": list(one.notes)} if one.notes else {})
            for one in sources
        ],
        "balance": conversion.balance,
        "subjects": _subjects(conversion.applied.facts),
        "facts": len(conversion.applied.facts),
        "findings": count_by_severity(conversion.findings),
        "parity": parity,
        "concepts": conversion.concepts(),
    }


def _keyed(key: ProjectKey, source: Source) -> str:
    """What tells a file from others, to whoever has the key: with a bare hash, the ids in a small file can be guessed.

    private/sources.json has the SHA-256.
    """
    return key.subkey("source", source.sha256.encode("ascii")).hex()[:32]


def _subjects(facts: Facts) -> int:
    """How many patients have a fact."""
    known = np.zeros(len(facts.subjects), dtype=bool)
    for batch in facts:
        known[batch.subjects] = True
    return int(known.sum())


def write_account(workspace: Workspace, conversion: Conversion, sources: Sequence[Source]) -> None:
    """Write the findings, at home and for everyone, the work list, and which files the aliases in them stand for."""
    names = {source.alias: source.path for source in sources}
    rows = rows_of(conversion, names)
    write_findings(workspace.root, workspace.private, rows)
    write_testcases(workspace.root / "findings.junit.xml", conversion, rows)
    write_worklist(workspace.private, conversion)
    write_json(workspace.private / "sources.json", list_sources(sources))


def list_sources(sources: Sequence[Source]) -> list[dict[str, str]]:
    """Aliases with the files they stand for; it names files, so it stays in private/."""
    return [{"alias": one.alias, "path": one.path, "sha256": one.sha256} for one in sources]
