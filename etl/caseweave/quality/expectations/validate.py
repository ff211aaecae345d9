"""Planned expectations held against the sheets: each on its own columns only, its failing rows as cells.

The machinery of Great Expectations (context, data source, batch definition, checkpoint) is left out: a table of a few
columns, numbered from 0, goes straight to its engine, and the numbers of the failing rows come back.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caseweave.plan.sheets import SheetFacts
from caseweave.quality.expectations.plan import fields_of, own_expectation
from caseweave.quality.expectations.planned import Planned, column_name
from caseweave.quality.expectations.tables import CheckedTable
from caseweave.quality.rules import Rule
from caseweave.quality.together import FEWEST
from caseweave.spec.models import Study

Cell = tuple[str, str, str]
RESULT = {"result_format": {"result_format": "COMPLETE", "include_unexpected_rows": False}}


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one rule.

    Arguments: `cells` fail it: source, sheet and address; `fails`, whether it does, be it of no single cell; `unable`
    says why it could not run, in which case it neither passed nor failed.
    """

    rule: str
    sheet: str
    field: str
    cells: tuple[Cell, ...] = ()
    fails: bool = False
    unable: str = ""


def validate(
    planned: Iterable[Planned],
    study: Study,
    sheets: Mapping[str, SheetFacts],
    *,
    today: datetime.date,
    rules: Sequence[Rule] = (),
    sites: Sequence[str] = (),
) -> list[Ran]:
    """Hold expectations against the sheets of a study; a sheet that isn't in the sources has none.

    Arguments: `planned` as `plan_study` gives them; `sheets` by key, as applying the study gave them; `today`, after
    which dates lie in the future; `rules` of the study, for those that core expectations can't say of this data;
    `sites` of the patients, by their number.
    """
    tables = {key: CheckedTable(study, facts, sheets, today, sites) for key, facts in sheets.items()}
    by_rule: dict[tuple[str, str, str], list[Planned]] = {}
    for one in planned:
        if one.sheet in tables:
            by_rule.setdefault((one.rule, one.sheet, one.field), []).append(one)
    known = {rule.id: rule for rule in rules}
    found = []
    for (rule, sheet, _), parts in by_rule.items():
        table = tables[sheet]
        if rule in known and any(table.is_censored(column) for one in parts for column in one.needs):
            # "<5" is a range of numbers, which a column of numbers can't hold
            parts = [own_expectation(known[rule], fields_of(known[rule], study))]
        found.append(_run(parts, table))
    return found


def _run(parts: Sequence[Planned], table: CheckedTable) -> Ran:
    first = parts[0]
    rows: set[int] = set()
    fails = False
    for one in parts:
        lacking = [column_name(column) for column in one.needs if not table.has(column)]
        if lacking:
            return Ran(first.rule, first.sheet, first.field, unable=f"the sources have no {', '.join(lacking)}")
        result = validate_one(one, table)
        if why := unable(result):
            return Ran(first.rule, first.sheet, first.field, unable=why)
        if not result.success and not _too_few(one, result):
            fails = True
            asked = table.rows(one.everywhere)
            rows.update(int(asked[n]) for n in result.result.get("unexpected_index_list") or ())
    if "mostly" in first.arguments or first.type == "expect_share_to_be_filled":
        rows = set()  # too few are filled: no one of them is to blame
    cells = tuple(table.facts.table.origin(row, first.field) for row in sorted(rows))
    return Ran(first.rule, first.sheet, first.field, cells, fails)


def _too_few(one: Planned, result: Any) -> bool:
    """A share of a few rows says nothing."""
    return "mostly" in one.arguments and int(result.result["element_count"]) < FEWEST


def validate_one(one: Planned, table: CheckedTable) -> Any:
    """The result of one expectation, as Great Expectations gives it."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    from caseweave.quality.expectations.build import expectation

    frame: Any = table.frame({column_name(column): column for column in one.needs}, one.everywhere)
    # a bar of progress for each expectation is noise
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    validator = Validator(execution_engine=PandasExecutionEngine(), batches=[Batch(data=frame)])
    validator.metrics_calculator.show_progress_bars = False
    return validator.graph_validate([expectation(one).configuration], runtime_configuration=RESULT)[0]


def unable(result: Any) -> str:
    """Why an expectation could not run; "" where it did. What was raised can quote a cell, so only its kind is told."""
    info = result.exception_info or {}
    parts = [info] if "raised_exception" in info else list(info.values())
    if not any(part.get("raised_exception") for part in parts):
        return ""
    kinds = {str(part.get("exception_traceback", "")).strip().rsplit("\n", 1)[-1].partition(":")[0] for part in parts}
    return "Great Expectations raised " + ", ".join(sorted(kind for kind in kinds if kind))
