"""OMOP: every table and column exists, required columns are filled, concepts stand where their domain belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caseweave.errors import MappingError
from caseweave.issues import Severity
from caseweave.plan.lint.codes import codings_of
from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.plan.lint.place import SLOT
from caseweave.shapes import Table
from caseweave.spec.expression import names, parse
from caseweave.spec.models import Statement
from caseweave.spec.pattern import IMPLICIT_SLOTS, Pattern, Rendering
from caseweave.spec.words import names_here

# keys that stand for several columns of whatever table it is
ROLES: dict[str, tuple[str, ...]] = {
    "concept": ("concept", "source_value", "source_concept"),
    "date": ("date",),
    "end": ("end_date",),
    "value": ("value_as_number", "value_as_concept", "value_as_string", "value_source_value", "unit", "operator"),
    "modifies": ("event_id", "event_field"),
}
# columns that every row gets without being told
GIVEN = ("person_id", "_type_concept_id")
DOMAINS = {
    "condition_occurrence": {"Condition"}, "procedure_occurrence": {"Procedure"}, "drug_exposure": {"Drug"},
    "measurement": {"Measurement"}, "device_exposure": {"Device"}, "specimen": {"Specimen"},
}  # fmt: skip


def omop(known: Knowledge) -> Iterator[LintFinding]:
    """Check all OMOP renderings of the patterns that a study uses, and the codes that its statements put into them."""
    for pattern in known.study.patterns.values():
        for rendering in pattern.omop:
            yield from _rendering(known, pattern, rendering)
    for statement in known.study.statements:
        for place, rendering in enumerate(statement.pattern.omop if "omop" not in statement.without else ()):
            yield from _domain(known, statement, rendering)
            if place == 0 and statement.omop_set:
                for table in tables_of(known, rendering):
                    for key in statement.omop_set:
                        if key not in ROLES and table.field(key) is None:
                            yield LintFinding(
                                statement.file,
                                statement.line,
                                "omop-column",
                                "error",
                                f"omop.set of '{statement.name}': table {table.name} has no column '{key}'",
                                names_here(key, [one.name for one in table.fields]),
                            )


def tables_of(known: Knowledge, rendering: Rendering) -> list[Table]:
    """The tables that a rendering can write to, as far as this CDM has them."""
    wanted = rendering.tree.get("table")
    if isinstance(wanted, Mapping):
        named = [str(wanted.get("default", "")), *map(str, wanted.get("only") or ())]
    else:
        named = [str(wanted)]
    found = (known.omop.tables.get(name) for name in dict.fromkeys(named))
    return [table for table in found if table is not None]


def _rendering(known: Knowledge, pattern: Pattern, rendering: Rendering) -> Iterator[LintFinding]:
    def finding(key: str, rule: str, message: str, way_out: str, severity: Severity = "error") -> LintFinding:
        return LintFinding(rendering.file, rendering.lines.get(key, rendering.line), rule, severity, message, way_out)

    wanted = rendering.tree.get("table")
    if isinstance(wanted, Mapping):
        unknown = set(wanted) - {"domain-of", "default", "only"}
        if unknown or "domain-of" not in wanted or "default" not in wanted:
            yield finding(
                "table",
                "omop-table",
                "a table by domain is {domain-of: $slot, default: table, only: [...]}",
                "Write it so.",
            )
            return
        yield from _slots(known, pattern, rendering, "table", wanted["domain-of"])
        named = [str(wanted["default"]), *map(str, wanted.get("only") or ())]
    else:
        named = [str(wanted)]
    for name in named:
        # an extension's table is no fault in a CDM that lacks it; such rows are counted as left out
        if name not in known.omop.tables:
            yield finding(
                "table",
                "omop-table",
                f"the CDM {known.omop.cdm} has no table '{name}'",
                names_here(name, known.omop.tables),
            )
    if rendering.when is not None:
        for name in sorted(names(rendering.when)):
            yield from _slots(known, pattern, rendering, "when", f"${name}")
    for table in tables_of(known, rendering):
        yield from _columns(known, pattern, rendering, table)


def _columns(known: Knowledge, pattern: Pattern, rendering: Rendering, table: Table) -> Iterator[LintFinding]:
    filled: set[str] = set()
    for key, value in rendering.tree.items():
        if key == "table":
            continue
        line = rendering.lines.get(key, rendering.line)
        if key in ROLES:
            columns = [getattr(table, role) for role in ROLES[key]]
            filled.update(column for column in columns if column)
            if key in ("concept", "date", "value") and not any(columns):
                yield LintFinding(
                    rendering.file,
                    line,
                    "omop-column",
                    "error",
                    f"table {table.name} has no column for '{key}'",
                    f"It has {', '.join(one.name for one in table.fields)}.",
                )
        else:
            filled.add(key)
            if table.field(key) is None:
                yield LintFinding(
                    rendering.file,
                    line,
                    "omop-column",
                    "error",
                    f"table {table.name} has no column '{key}'",
                    names_here(key, [*ROLES, *(one.name for one in table.fields)]),
                )
                continue
        yield from _slots(known, pattern, rendering, key, value)
        yield from _constant(known, rendering, table, key, value, line)
    for column in table.fields:
        if column.required and column.name not in filled and not _given(table, column.name):
            yield LintFinding(
                rendering.file,
                rendering.line,
                "omop-required",
                "error",
                f"table {table.name} wants '{column.name}', and nothing fills it",
                f"Add '{'date' if column.name == table.date else column.name}'.",
            )


def _given(table: Table, name: str) -> bool:
    if name in (table.id_column, table.type_concept, "person_id"):
        return True
    # a concept that nobody gives is 0, "No matching concept"; the row's own concept must be given
    if name.endswith("_concept_id") and name != table.concept:
        return True
    return name == table.end_date and table.date is not None


def _slots(known: Knowledge, pattern: Pattern, rendering: Rendering, key: str, value: Any) -> Iterator[LintFinding]:
    """The slots that a value names exist, and so do the renderings behind them."""
    line = rendering.lines.get(key, rendering.line)
    slots = [*pattern.slots, *pattern.lets, *IMPLICIT_SLOTS]
    for text in _texts(value):
        if isinstance(value, Mapping) and value.get("expr") == text:
            try:
                used = names(parse(text, rendering.file, line))
            except MappingError as error:
                yield LintFinding(rendering.file, line, "expression", "error", error.message, error.way_out)
                continue
            unknown = sorted(name for name in used if name not in slots)
        else:
            slot = SLOT.fullmatch(text)
            unknown = [slot[1]] if slot and slot[1] not in slots else []
            if slot and slot[1] == "self" and slot[2] not in [one.name for one in pattern.omop]:
                yield LintFinding(
                    rendering.file,
                    line,
                    "unknown-rendering",
                    "error",
                    f"'{text}' names no rendering of pattern '{pattern.name}'",
                    names_here(slot[2] or "", [one.name for one in pattern.omop]),
                )
        for name in unknown:
            yield LintFinding(
                rendering.file,
                line,
                "unknown-slot",
                "error",
                f"pattern '{pattern.name}' has no slot '{name}'",
                names_here(name, slots),
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield str(value)


def _constant(
    known: Knowledge, rendering: Rendering, table: Table, key: str, value: Any, line: int
) -> Iterator[LintFinding]:
    """A code written into the pattern has a standard concept of the column's domain."""
    if not isinstance(value, str) or "|" not in value:
        return
    system, _, code = value.partition("|")
    if system == "OMOP":
        if code not in known.conventions:
            yield LintFinding(
                rendering.file,
                line,
                "unknown-code",
                "error",
                f"{value} is no convention of omop_conventions.csv",
                names_here(code, known.conventions),
            )
        return
    vocabulary = known.system(system).omop
    if not vocabulary:
        yield LintFinding(
            rendering.file,
            line,
            "code-without-vocabulary",
            "message",
            f"{value} never reaches OMOP: system {system} has no vocabulary there",
            "",
        )
        return
    found = known.terms.resolve(vocabulary, code)
    if found.status in ("invalid", "not-standard"):
        yield LintFinding(
            rendering.file,
            line,
            "not-standard",
            "error",
            f"{value} is {found.status.replace('-', ' ')} in OMOP and maps to nothing",
            "Take a code with a standard concept.",
        )
    column = table.field(key)
    domain = column.fk_domain if column is not None else ""
    if domain and found.domain and domain != found.domain:
        yield LintFinding(
            rendering.file,
            line,
            "omop-domain",
            "error",
            f"{value} is of domain {found.domain}; column {key} takes {domain}",
            "Take another code.",
        )


def _domain(known: Knowledge, statement: Statement, rendering: Rendering) -> Iterator[LintFinding]:
    """A code that a statement names itself stands in the table of its domain, where the rendering names one table."""
    table, concept = rendering.tree.get("table"), rendering.tree.get("concept")
    slot = SLOT.fullmatch(concept) if isinstance(concept, str) else None
    if not isinstance(table, str) or slot is None or table not in DOMAINS or slot[1] not in statement.slots:
        return
    for coding in codings_of(statement.slots[slot[1]]):
        vocabulary = known.system(coding.system).omop
        found = known.terms.resolve(vocabulary, coding.code) if vocabulary else None
        if found is None or not found.standard:
            continue
        if found.domain not in DOMAINS[table]:
            yield LintFinding(
                statement.file,
                statement.lines.get(slot[1], statement.line),
                "omop-domain",
                "warning",
                f"{coding} is of domain {found.domain}, and pattern '{statement.pattern.name}' puts it into "
                f"table {table}",
                "Choose a pattern whose table follows the domain.",
            )
        return
