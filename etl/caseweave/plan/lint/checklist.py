"""Checks that a rules file names, and codes that mean different things in different sheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.plan.lint.rules import condition
from caseweave.spec.expression import Expression
from caseweave.spec.models import Field

REQUIREMENTS = frozenset({"required", "minimal_req", "mandatory_req"})


class CellCheck(Protocol):
    """A check of one field, in every row of `sheet` in which `when` holds."""

    @property
    def id(self) -> str: ...
    @property
    def sheet(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def when(self) -> Expression | None: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


def checklist(known: Knowledge, asked: Iterable[CellCheck]) -> Iterator[LintFinding]:
    """Check what a rules file asks of single fields: it can fail, and asks no more than the field itself does.

    Arguments: `asked`, the checks, wherever they were read.
    """
    for one in asked:
        fields = known.study.sheet(one.sheet).fields
        field = fields[one.field]
        if one.when is not None:
            yield from condition(known, one.when, fields, one.file, one.line, f"'when' of check '{one.id}'")
        elif one.kind in REQUIREMENTS and not isinstance(field.required, bool):
            yield LintFinding(
                one.file,
                one.line,
                "asked-everywhere",
                "warning",
                f"check '{one.id}' asks for '{field.name}' in every row, and the field is required only where "
                f"{field.required}: elsewhere it raises false alarms",
                "Give the check the same condition under `when`.",
            )
        measure = "values" if one.kind == "permissible" else "range"
        if (one.kind == "permissible" and field.valueset is None and not field.matches) or (
            one.kind == "range" and field.range_error is None
        ):
            yield LintFinding(
                one.file,
                one.line,
                "check-without-measure",
                "warning",
                f"check '{one.id}' always passes: '{field.name}' has no {measure}",
                "Give the field what the check asks for, or leave the check out.",
            )


def coded_two_ways(known: Knowledge) -> Iterator[LintFinding]:
    """One field in two sheets has one list of values: the same labels under other codes are taken for each other."""
    seen: dict[str, list[Field]] = {}
    for sheet in known.study.sheets:
        for field in sheet.fields.values():
            if field.valueset is None or field.ignore:
                continue
            for other in seen.get(field.name, ()):
                mine, theirs = _by_label(field), _by_label(other)
                if mine.keys() == theirs.keys() and mine != theirs:
                    coded = "; ".join(
                        f"'{label}' is {theirs[label]} there and {mine[label]} here"
                        for label in mine
                        if mine[label] != theirs[label]
                    )
                    yield LintFinding(
                        field.file,
                        field.line,
                        "coded-two-ways",
                        "warning",
                        f"field '{field.name}' is coded otherwise than in {other.file}:{other.line}: {coded}",
                        "Use one list of codes, or make sure that nobody takes one form's codes for the other's.",
                    )
                    break
            seen.setdefault(field.name, []).append(field)


def _by_label(field: Field) -> dict[str, str]:
    """The local values of a field by what they are called; what has no label goes by its value."""
    assert field.valueset is not None
    return {
        " ".join((one.label.get("en") or next(iter(one.label.values()), key)).split()).casefold(): key
        for key, one in field.valueset.values.items()
    }
