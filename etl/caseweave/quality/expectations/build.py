"""Planned expectations as objects of Great Expectations, and as suites that need nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from caseweave.quality.expectations.plan import fields_of, plan_study
from caseweave.quality.expectations.planned import Column, Condition, Planned, Where, column_name, narrowed
from caseweave.quality.expectations.tables import NUMERIC
from caseweave.quality.rules import Rule
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Sheet, Study

SEVERITIES = {"error": "critical", "warning": "warning", "message": "info"}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "null": lambda one, _: one.is_null(),
    "not null": lambda one, _: one.is_not_null(),
    "in": lambda one, value: one.is_in(list(value)),
    "not in": lambda one, value: one.is_not_in(list(value)),
    "<": lambda one, value: one < value,
    "<=": lambda one, value: one <= value,
    ">": lambda one, value: one > value,
    ">=": lambda one, value: one >= value,
}
FLOATS = ("", "low", "high", "number")


def expectation(planned: Planned) -> Any:
    """A planned expectation as Great Expectations' own object; its meta names rule, cell and message.

    >>> expectation(Planned("r", "s", "a", "expect_column_values_to_not_be_null", {"column": ("a", "")})).column
    'a'
    """
    import great_expectations.expectations as core

    from caseweave.quality.expectations import custom

    name = "".join(part.capitalize() for part in planned.type.split("_"))
    made = getattr(custom if planned.custom else core, name)
    condition = row_condition(planned.condition)
    return made(
        **{argument: _names(part) for argument, part in planned.columns.items()},
        **planned.arguments,
        **({} if condition is None else {"row_condition": condition}),
        severity=SEVERITIES[planned.severity],
        meta={"rule": planned.rule, "field": planned.field, "message": planned.message},
    )


def _names(part: Column | list[Column]) -> str | list[str]:
    return [column_name(one) for one in part] if isinstance(part, list) else column_name(part)


def row_condition(condition: Condition) -> Any:
    """A condition as Great Expectations' own; None where it asks nothing."""
    from great_expectations.expectations import row_conditions

    column: Any = row_conditions.Column  # its own parts have no types
    if not condition or () in condition:
        return None
    anded = [
        reduce(
            lambda left, right: left & right,
            [OPERATORS[test.operator](column(column_name(test.column)), test.value) for test in tests],
        )
        for tests in condition
    ]
    return anded[0] if len(anded) == 1 else row_conditions.OrCondition(conditions=anded)


@dataclass(frozen=True, slots=True)
class Suite:
    """The expectations of one sheet, or of one of its timepoints; `own` are those that no plain suite can hold."""

    name: str
    sheet: str
    timepoint: str
    planned: tuple[Planned, ...]
    own: tuple[Planned, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that it looks at."""
        return tuple(dict.fromkeys(column for one in self.planned for column in one.needs))


def suites(study: Study, rules: Sequence[Rule], presence: Presence) -> list[Suite]:
    """All suites of a study: one for each sheet, and for each timepoint of a sheet that has them.

    >>> from caseweave.spec.loader import load_study
    >>> [one.name for one in suites(load_study("hcc-tace"), (), Presence())]
    ['hcc-tace.data-table']
    """
    planned = plan_study(study, rules, presence)
    return [suite for sheet in study.sheets for suite in _of_sheet(study, sheet, planned)]


def _of_sheet(study: Study, sheet: Sheet, planned: Iterable[Planned]) -> Iterator[Suite]:
    mine = [one for one in planned if one.sheet == sheet.key]
    core, own = [one for one in mine if not one.custom], tuple(one for one in mine if one.custom)
    name = f"{study.name}.{sheet.key}"
    timepoint = sheet.by_role("timepoint")
    if timepoint is None or timepoint.valueset is None:
        yield Suite(name, sheet.key, "", tuple(core), own)
        return
    column = (timepoint.name, "")
    # what is judged across timepoints, and rows that name none
    rest = [
        one if one.together else replace(one, condition=narrowed(one.condition, Where(column, "null"))) for one in core
    ]
    yield Suite(name, sheet.key, "", tuple(rest), own)
    for key, entry in timepoint.valueset.values.items():
        if not entry.missing:
            where = Where(column, "in", (key,))
            these = [replace(one, condition=narrowed(one.condition, where)) for one in core if not one.together]
            yield Suite(f"{name}.{key}", sheet.key, key, tuple(these), ())


def suite_json(suite: Suite, study: Study, rules: Sequence[Rule]) -> dict[str, Any]:
    """A suite as Great Expectations' JSON; its meta says of what columns, and what it leaves out.

    Arguments: `rules` of the study, for the types of what they name of other sheets.
    """
    import great_expectations

    made = great_expectations.ExpectationSuite(
        name=suite.name, expectations=[expectation(one) for one in suite.planned]
    )
    found: dict[str, Any] = made.to_json_dict()
    found["meta"] |= {
        "study": study.name,
        "version": study.version,
        "sheet": suite.sheet,
        **({"timepoint": suite.timepoint} if suite.timepoint else {}),
        "table": f"{suite.sheet}.csv",
        "dtypes": {column_name(one): kind for one, kind in types_of(suite, study, rules).items()},
        "not_expressible": [{"rule": one.rule, "field": one.field, "message": one.message} for one in suite.own],
    }
    return found


def types_of(suite: Suite, study: Study, rules: Sequence[Rule]) -> Mapping[Column, str]:
    """The columns of a suite, each a number or a text."""
    fields = dict(study.sheet(suite.sheet).fields)
    for rule in rules:
        if rule.sheet == suite.sheet:
            fields.update(fields_of(rule, study))
    numbers = {name for name, one in fields.items() if one.type in NUMERIC}
    return {one: "float64" if one[1] in FLOATS and one[0] in numbers else "str" for one in suite.columns}
