"""Findings: what is wrong or doubtful in a source, collected and spoken once, each with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "message"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "message")


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem in one place.

    >>> Finding(rule="not-a-date", severity="error", message="No such day.", sheet="diagnosis", cell="C7").place
    'diagnosis!C7'

    Arguments: `rule` names the kind; `source` the alias, `sheet` the key in the mapping, `cell` an A1 address;
    `subject` the pseudonym; `expected` and `message` never hold what was typed; `found` does and stays in private/.
    """

    rule: str
    severity: Severity
    message: str
    source: str = ""
    sheet: str = ""
    cell: str = ""
    field: str = ""
    subject: str = ""
    expected: str = ""
    suggestion: str = ""
    found: str = ""

    @property
    def place(self) -> str:
        """Sheet and cell as a reader writes them."""
        return f"{self.sheet}!{self.cell}" if self.cell else self.sheet or self.source


def count_by_severity(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings per severity, every severity named.

    >>> count_by_severity([])
    {'error': 0, 'warning': 0, 'message': 0}
    """
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in SEVERITIES}
