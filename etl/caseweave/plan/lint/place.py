"""Where a walk through a FHIR tree is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from caseweave.plan.lint.domain import Samples
from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.spec.models import Statement
from caseweave.spec.pattern import Pattern, Rendering

SLOT = re.compile(r"\$([a-z][a-z0-9_]*)(?:\.([a-z][a-z0-9-]*))?")
KEY = re.compile(r"([A-Za-z]+)(?:\[([^\]]+)\])?")
BACKBONE = frozenset({"BackboneElement", "Element"})
CODED = frozenset({"code", "Coding", "CodeableConcept"})


@dataclass(frozen=True)
class Place:
    """Where a walk is: the rendering, the type or path whose elements stand here, the line."""

    known: Knowledge
    pattern: Pattern
    rendering: Rendering
    statement: Statement | None
    samples: Mapping[str, Samples]

    def finding(self, line: int, rule: str, message: str, way_out: str) -> LintFinding:
        return LintFinding(self.rendering.file, line or self.rendering.line, rule, "error", message, way_out)
