"""Whether a rule can be asked of the sources at all: one whose column isn't there neither holds nor is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caseweave.plan.sheets import SheetFacts
from caseweave.quality.rules import ACROSS, Rule
from caseweave.spec.syntax import names


def unable_because(rule: Rule, sheets: Mapping[str, SheetFacts]) -> str:
    """Why a rule of a sheet that is there can't be told; "" where it can."""
    for name in sorted(_looks_at(rule)):
        key, dot, field = name.partition(".")
        facts = sheets.get(key if dot else rule.sheet)
        if facts is None:
            return f"the sheet {key} isn't in the sources"
        name = field if dot else key
        if name not in facts.table.columns:
            return f"the sources have no column for {name}"
    return ""


def _looks_at(rule: Rule) -> Iterator[str]:
    """The fields that a rule looks at, `sheet.field` where they stand in another sheet."""
    for part in (rule.expr, rule.when):
        for name in names(part) if part is not None else ():
            across = ACROSS.fullmatch(name)
            yield across[1] if across else name
    yield from rule.fields
