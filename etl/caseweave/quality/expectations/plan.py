"""Everything that a study asks of its sheets, as planned expectations: first of the fields, then of its rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from caseweave.issues import Severity
from caseweave.quality.expectations.cases import core_expectations
from caseweave.quality.expectations.domains import NotPlannableError
from caseweave.quality.expectations.planned import Planned, Where, column_name
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import Rule, asked_of
from caseweave.spec.evaluate import Presence
from caseweave.spec.expression import Expression
from caseweave.spec.models import Field, Limits, Sheet, Study
from caseweave.spec.syntax import IsPresent, Name, names

DAY, MONTH = r"\d{4}-\d{2}-\d{2}", r"\d{4}-\d{2}"
WHOLE = {"day": rf"\A{DAY}\Z", "month": rf"\A(?:{DAY}|{MONTH})\Z", "year": rf"\A(?:{DAY}|\d{{4}})\Z"}


def plan_study(study: Study, rules: Sequence[Rule], presence: Presence) -> tuple[Planned, ...]:
    """All expectations of a study.

    >>> from caseweave.spec.loader import load_study
    >>> made = plan_study(load_study("ispy1"), (), Presence())
    >>> made[0].rule, made[0].type
    ('cell-error', 'expect_column_values_to_be_null')

    Arguments: `rules` of the study; `presence`, which codes mean yes and no.
    """
    fields = [one for sheet in study.sheets for one in plan_fields(study, sheet, presence)]
    return (*fields, *(one for rule in rules for one in plan_rule(rule, study, presence)))


def plan_fields(study: Study, sheet: Sheet, presence: Presence) -> Iterator[Planned]:
    """What the fields of a sheet ask by themselves: to be read, in the value set, in range, of a form, filled."""
    for name, one in sheet.fields.items():
        if one.ignore:
            continue
        base = Planned("", sheet.key, name, "", {}, everywhere=True)
        yield from _read(base, name, one)
        yield from _ranges(base, name, one)
        if one.required and name != sheet.subject_field:
            when = None if one.required is True else one.required
            yield from _filled(replace(base, rule="required", everywhere=False, message="This field must be filled."),
                               name, when, study, presence)  # fmt: skip
        if one.repeat is not None and one.repeat.gaps != "allow":
            yield from _gap(base, one, sheet)


def _read(base: Planned, name: str, one: Field) -> Iterator[Planned]:
    given = {"column": (name, "given")}
    if one.type in ("number", "integer", "date"):
        typed = (Where((name, "typed"), "not null"), Where((name, "missing"), "null"))
        yield replace(
            base,
            rule="not-readable",
            type="expect_column_values_to_not_be_null",
            columns={"column": (name, "" if one.type == "date" else "number")},
            condition=(typed,),
            message=f"This is no {one.type} that can be read.",
        )
    else:
        yield replace(base, rule="cell-error", type="expect_column_values_to_be_null",
                      columns={"column": (name, "error")}, message="The cell holds no value.")  # fmt: skip
    if one.type == "code" and one.valueset is not None:
        yield replace(base, rule="not-in-value-set", type="expect_column_values_to_be_in_set", columns=given,
                      arguments={"value_set": list(one.valueset.values)},
                      message=f"Not in value set {one.valueset.name}.")  # fmt: skip
    if one.matches and one.type in ("id", "text"):
        yield replace(base, rule="not-an-id", type="expect_column_values_to_match_regex", columns=given,
                      arguments={"regex": rf"\A(?:{one.matches})\Z"},
                      message="This is no id of the form that the study uses.")  # fmt: skip
    if one.type == "date":
        yield replace(base, rule="partial-date", type="expect_column_values_to_match_regex",
                      columns={"column": (name, "")}, arguments={"regex": WHOLE[one.precision or "day"]},
                      severity="message", message="Known to the month or year only.")  # fmt: skip


def _ranges(base: Planned, name: str, one: Field) -> Iterator[Planned]:
    number = (name, "number")
    between = replace(base, type="expect_column_values_to_be_between", columns={"column": number})
    ends = _ends(one.range_error)
    if ends:
        yield replace(between, rule="out-of-range", arguments=ends, message="Outside the possible range.")
    if usual := _ends(one.range_warn):
        # what is impossible isn't unusual besides
        tests = [Where(number, ">=", ends["min_value"])] if "min_value" in ends else []
        tests += [Where(number, "<=", ends["max_value"])] if "max_value" in ends else []
        yield replace(between, rule="unusual-value", arguments=usual, condition=(tuple(tests),) if tests else (),
                      severity="warning", message="Outside the usual range.")  # fmt: skip


def _ends(limits: Limits | None) -> dict[str, float]:
    low, high = limits or (None, None)
    found = {"min_value": float(low)} if low is not None else {}
    return found | ({"max_value": float(high)} if high is not None else {})


def _filled(base: Planned, name: str, when: Expression | None, study: Study, presence: Presence) -> Iterator[Planned]:
    rule = Rule(base.rule, base.sheet, IsPresent(Name(name)), base.message, base.severity, name, when, kind="required")
    yield from plan_rule(rule, study, presence)


def _gap(base: Planned, one: Field, sheet: Sheet) -> Iterator[Planned]:
    assert one.repeat is not None
    place = one.repeat.indices.index(one.repeat_index)
    before = next((other.name for other in sheet.fields.values() if place and other.base == one.base
                   and other.repeat_index == one.repeat.indices[place - 1]), None)  # fmt: skip
    gaps = one.repeat.gaps
    if before is not None and gaps != "allow":
        severity: Severity = "error" if gaps == "error" else "warning"
        yield replace(base, rule="gap", type="expect_column_values_to_not_be_null", severity=severity,
                      columns={"column": (before, "typed")}, condition=((Where((one.name, "typed"), "not null"),),),
                      everywhere=False, message="The one before it is blank.")  # fmt: skip


def fields_of(rule: Rule, study: Study) -> dict[str, Field]:
    """The fields that a rule names, by the names it uses; count(sheet.field) is a number."""
    sheet = study.sheet(rule.sheet)
    own = {**(study.sheet(sheet.join.sheet).fields if sheet.join else {}), **sheet.fields}
    found = {}
    asked = {name for part in (rule.expr, rule.when) if part is not None for name in names(part)} | set(rule.fields)
    for name in sorted(asked):
        key, dot, there = asked_of(name).partition(".")
        one = study.sheet(key).fields[there] if dot else own[name]
        found[name] = Field(name, name, one.file, one.line, "integer") if name.startswith("count(") else one
    return found


def plan_rule(rule: Rule, study: Study, presence: Presence) -> tuple[Planned, ...]:
    """One rule: core expectations where they can say it, else one of our own.

    Arguments: as of `plan_study`.
    """
    fields = fields_of(rule, study)
    kind = KINDS[rule.kind]
    try:
        if rule.by_row:
            return tuple(core_expectations(rule, study, fields, presence))
        if kind.rows == "together" and rule.kind in CORE_TOGETHER:
            return CORE_TOGETHER[rule.kind](rule, _about(rule, study, fields, presence))
    except NotPlannableError:
        pass  # said by an expectation of our own
    return (own_expectation(rule, fields),)


def own_expectation(rule: Rule, fields: Mapping[str, Field]) -> Planned:
    """A rule as an expectation of our own, which holds its expression against the values themselves."""
    kind = KINDS[rule.kind]
    asked = sorted({name for part in (rule.expr, rule.when) if part is not None for name in names(part)})
    values = [(name, "value") for name in asked]
    base = Planned(rule.id, rule.sheet, rule.mark, "expect_rows_to_keep_rule", {}, severity=rule.severity,
                   message=rule.message, together=kind.rows != "each")  # fmt: skip
    arguments: dict[str, Any] = {
        "expression": "" if rule.expr is None else str(rule.expr),
        "about": "" if rule.when is None else str(rule.when),
    }
    if kind.rows == "each":
        # filled, though with what can't be read, is filled
        typed = ((Where((rule.mark, "typed"), "null"),),) if rule.kind == "required" else ()
        arguments["undecided"] = rule.undecided
        if len(values) == 1:
            values.append(("study", "row"))  # Great Expectations wants several columns
        return replace(base, columns={"column_list": values}, arguments=arguments, condition=typed)
    if kind.rows == "patient":
        arguments["exclusion"] = rule.kind == "exclusion"
        columns = [("patient", "row"), *values]
        base = replace(base, type="expect_patients_to_meet_criterion")
        return replace(base, columns={"column_list": columns}, arguments=arguments)
    group = ("study" if rule.by == "study" else rule.by, "row")
    columns = list(dict.fromkeys([group, (rule.mark, "value"), *values]))
    type_ = "expect_values_to_lie_near_median" if rule.kind == "outlier" else "expect_share_to_be_filled"
    arguments = {"about": arguments["about"], "judged": column_name((rule.mark, "value")), "group": column_name(group),
                 "limit": float(rule.limit)}  # fmt: skip
    return replace(base, type=type_, columns={"column_list": columns}, arguments=arguments)


def _about(rule: Rule, study: Study, fields: Mapping[str, Field], presence: Presence) -> tuple[Planned, ...]:
    """What a rule is about, as the conditions of an expectation that is thrown away."""
    asked = replace(rule, expr=IsPresent(Name(rule.mark)), kind="required")
    return tuple(core_expectations(asked, study, fields, presence))


def _unique(rule: Rule, about: tuple[Planned, ...]) -> tuple[Planned, ...]:
    if len(about) != 1:
        raise NotPlannableError  # rows of several conditions would not be compared
    keys = tuple((name, "key") for name in rule.fields)
    group = () if rule.by == "study" else ((rule.by, "row"),)
    base = Planned(rule.id, rule.sheet, rule.mark, "expect_compound_columns_to_be_unique", {}, severity=rule.severity,
                   message=rule.message, condition=about[0].condition, together=True)  # fmt: skip
    if len(keys) + len(group) == 1:
        return (replace(base, type="expect_column_values_to_be_unique", columns={"column": keys[0]}),)
    columns = {"column_list": [*group, *keys]}
    return (replace(base, columns=columns, arguments={"ignore_row_if": "any_value_is_missing"}),)


def _share(rule: Rule, about: tuple[Planned, ...]) -> tuple[Planned, ...]:
    if rule.by != "study" or len(about) != 1:
        raise NotPlannableError
    return (Planned(rule.id, rule.sheet, rule.mark, "expect_column_values_to_not_be_null",
                    {"column": (rule.mark, "")}, {"mostly": float(rule.limit)}, about[0].condition, rule.severity,
                    rule.message, together=True),)  # fmt: skip


CORE_TOGETHER = {"unique": _unique, "share": _share}
