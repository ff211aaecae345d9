"""Conditions: whether they can hold, and whether what they compare with exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from caseweave.issues import Severity
from caseweave.plan.lint.domain import can_hold, literals, of_field, of_slots
from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.spec.expression import Binary, CodeLiteral, Expression, In, Literal, Name, Unary, names, walk
from caseweave.spec.models import Expr, Field, Sheet, Statement, Study
from caseweave.spec.pattern import Pattern
from caseweave.spec.words import names_here
from caseweave.values.types import Integer, Value


def rules(known: Knowledge) -> Iterator[LintFinding]:
    """Check every condition of a study: `when`, `required`, expressions in slots, and the patterns' own conditions."""
    study = known.study
    for sheet in study.sheets:
        fields = visible(study, sheet)
        for field in sheet.fields.values():
            if not isinstance(field.required, bool):
                yield from condition(
                    known, field.required, fields, field.file, field.line, f"'required' of '{field.name}'"
                )
        for statement in sheet.statements:
            place = (statement.file, statement.line)
            if statement.when is not None:
                yield from condition(known, statement.when, fields, *place, f"'when' of '{statement.name}'")
            for filler in statement.slots.values():
                if isinstance(filler, Expr):
                    yield from compared(filler.expression, fields, *place)
            yield from renderings(known, statement)


class RowRule(Protocol):
    """A rule of coherence: in every row of `sheet` in which `when` holds, `expr` must."""

    @property
    def id(self) -> str: ...
    @property
    def sheet(self) -> str: ...
    @property
    def when(self) -> Expression | None: ...
    @property
    def expr(self) -> Expression | None: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


def coherence(known: Knowledge, given: Iterable[RowRule]) -> Iterator[LintFinding]:
    """Check rules of coherence: they compare with values that exist, can be kept, and can be broken.

    Arguments: `given`, the rules, wherever they were read.
    """
    everywhere = {f"{sheet.key}.{name}": one for sheet in known.study.sheets for name, one in sheet.fields.items()}
    for rule in given:
        fields = {**everywhere, **visible(known.study, known.study.sheet(rule.sheet))}
        parts = [part for part in (rule.when, rule.expr) if part is not None]
        wrong = [one for part in parts for one in compared(part, fields, rule.file, rule.line)]
        yield from wrong
        if wrong:
            continue
        yield from _decides(known, rule, fields)


def _decides(known: Knowledge, rule: RowRule, fields: Mapping[str, Field]) -> Iterator[LintFinding]:
    if rule.expr is None:  # its rows are judged together
        return
    kept = rule.expr if rule.when is None else Binary("and", rule.when, rule.expr)
    broken: Expression = Unary("not", rule.expr)
    broken = broken if rule.when is None else Binary("and", rule.when, broken)
    for expression, what, way_out in (
        (kept, "can never be kept: every row that it is about would be a finding", "Correct the comparison."),
        (broken, "can never be broken, so it finds nothing", "Correct the comparison, or leave the rule out."),
    ):
        numbers, texts = literals([expression])
        used = {
            name: samples
            for name in names(expression)
            if (samples := _samples(known.study, name, fields, numbers, texts)) is not None
        }
        answer = can_hold(expression, used, known.presence)
        if answer is not None and not answer[0]:
            yield LintFinding(
                rule.file, rule.line, "rule-decides-nothing", "error", f"rule '{rule.id}' {what}", way_out
            )


def _samples(
    study: Study, name: str, fields: Mapping[str, Field], numbers: Sequence[Decimal], texts: Sequence[str]
) -> Sequence[Value | None] | None:
    """What a name in a rule can be worth; None where that isn't known."""
    function, across, rest = name.removesuffix(")").partition("(")
    if across and function == "count":
        return [Integer(n) for n in sorted({0, 1, 2, *(int(one) for one in numbers if one >= 0)})]
    asked = rest if across else name
    return of_field(study, fields[asked], numbers, texts) if asked in fields else None


def visible(study: Study, sheet: Sheet) -> dict[str, Field]:
    """The fields that a sheet's conditions can name, those of joined sheets among them."""
    found: dict[str, Field] = {}
    for other in study.sheets:
        joined = (other.join is not None and other.join.sheet == sheet.key) or (
            sheet.join is not None and sheet.join.sheet == other.key
        )
        if joined:
            found.update(other.fields)
            found.update({f"{other.key}.{name}": one for name, one in other.fields.items()})
    return {**found, **sheet.fields}


def condition(
    known: Knowledge, expression: Expression, fields: Mapping[str, Field], file: str, line: int, what: str
) -> Iterator[LintFinding]:
    """Check one condition over the fields of a row.

    Arguments: `fields` by the names that the condition may use; `what` it is, for the message.
    """
    wrong = list(compared(expression, fields, file, line))
    yield from wrong
    answer = None if wrong else _can_hold(known, expression, fields)
    if answer is None:
        return
    holds, fails = answer
    alternatives = _alternatives(expression)
    if holds and len(alternatives) > 1:
        for part in alternatives:
            alone = _can_hold(known, part, fields)
            if alone is not None and not alone[0]:
                yield LintFinding(
                    file,
                    line,
                    "never-holds",
                    "error",
                    f"one of the alternatives in {what} can never hold: {part}",
                    "Correct the comparison, or leave the alternative out.",
                )
    if not holds:
        yield LintFinding(
            file,
            line,
            "never-holds",
            "error",
            f"{what} can never hold: {expression}",
            "Correct the comparison: no value that the fields can have satisfies it.",
        )
    elif not fails:
        yield LintFinding(file, line, "always-holds", "warning", f"{what} always holds: {expression}", "Leave it out.")


def _can_hold(known: Knowledge, expression: Expression, fields: Mapping[str, Field]) -> tuple[bool, bool] | None:
    """Whether a condition can hold and can fail, whatever the fields hold; None where that can't be told."""
    numbers, texts = literals([expression])
    samples = {
        name: of_field(known.study, fields[name], numbers, texts) for name in names(expression) if name in fields
    }
    return can_hold(expression, samples, known.presence)


def _alternatives(expression: Expression) -> list[Expression]:
    """The conditions that `or` joins, whatever else stands around it."""
    if isinstance(expression, Binary) and expression.operator == "or":
        return [*_alternatives(expression.left), *_alternatives(expression.right)]
    return [expression]


def compared(expression: Expression, fields: Mapping[str, Field], file: str, line: int) -> Iterator[LintFinding]:
    """Coded fields are compared with values and codes of their set only."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in ("=", "!=", "<", "<=", ">", ">="):
            pairs = [(part.left, part.right), (part.right, part.left)]
            ordered = part.operator not in ("=", "!=")
        elif isinstance(part, In):
            pairs, ordered = [(part.operand, option) for option in part.options], False
        else:
            continue
        for name, value in pairs:
            if isinstance(name, Name) and name.name in fields:
                yield from _comparable(fields[name.name], value, ordered, expression, file, line)


def _comparable(
    field: Field, value: Expression, ordered: bool, expression: Expression, file: str, line: int
) -> Iterator[LintFinding]:
    if field.valueset is None:
        return
    entries = field.valueset.values
    if ordered and isinstance(value, Literal | CodeLiteral):
        yield LintFinding(
            file,
            line,
            "codes-have-no-order",
            "error",
            f"coded field '{field.name}' is compared by order in: {expression}",
            f"Name the values: {field.name} in ({', '.join(repr(key) for key in list(entries)[:3])}, ...).",
        )
    elif isinstance(value, Literal) and not isinstance(value.value, bool) and str(value.value) not in entries:
        yield LintFinding(
            file,
            line,
            "unknown-value",
            "error",
            f"'{value.value}' is no value of '{field.name}' (value set '{field.valueset.name}')",
            names_here(str(value.value), entries),
        )
    elif isinstance(value, CodeLiteral):
        codes = {str(coding) for entry in entries.values() for coding in entry.codings}
        if str(value.coding) not in codes:
            yield LintFinding(
                file,
                line,
                "unknown-value",
                "error",
                f"{value.coding} is no code of '{field.name}' (value set '{field.valueset.name}')",
                names_here(str(value.coding), codes),
            )


def renderings(known: Knowledge, statement: Statement) -> Iterator[LintFinding]:
    """A statement is rendered somewhere in each target, whatever its slots can hold."""
    pattern: Pattern = statement.pattern
    samples = of_slots(known.study, statement, known.presence)
    for target, all_of_them in (("fhir", pattern.fhir), ("omop", pattern.omop)):
        if not all_of_them or target in statement.without:
            continue
        answers = [None if one.when is None else can_hold(one.when, samples, known.presence) for one in all_of_them]
        if all(answer is not None and not answer[0] for answer in answers):
            severity: Severity = "error" if target == "fhir" else "warning"
            what = _value_of(statement)
            asked = dict.fromkeys(key for let in pattern.lets.values() for key in let.map if "|" in key)
            which = f" ({', '.join(asked)})" if asked else ""
            yield LintFinding(
                statement.file,
                statement.line,
                "renders-nothing",
                severity,
                f"'{statement.name}' never becomes anything in {target.upper()}: no condition of pattern "
                f"'{pattern.name}' holds for {what}",
                f"Use codes that the pattern asks for{which}, another pattern, or say without: {target} and because.",
            )


def _value_of(statement: Statement) -> str:
    named = [name for name in ("value", "status", "drug") if name in statement.slots]
    return f"what slot '{named[0]}' can hold" if named else "what its slots can hold"
