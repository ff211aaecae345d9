"""Expectations of our own, for rules that Great Expectations has none for; importing this imports it.

They look at columns of values (view "value" of a table) with the expression language that rules are written in.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import pandas
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import MulticolumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_map_metric_provider import (
    MulticolumnMapMetricProvider,
)

from caseweave.plan.conditions import holds
from caseweave.plan.facts import Mask, SlotColumn
from caseweave.quality.kinds import negated
from caseweave.quality.together import FEWEST, NORMAL, exact_number
from caseweave.spec.evaluate import Presence
from caseweave.spec.expression import Expression, parse
from caseweave.terms.presence import presence
from caseweave.values.types import Missing


@cache
def _presence() -> Presence:
    return presence()


@cache
def _parsed(text: str) -> Expression | None:
    return parse(text, "expectation", 1, across_rows=True) if text else None


def _columns(frame: pandas.DataFrame) -> dict[str, SlotColumn]:
    """The columns of values of a table by the names that an expression has for them."""
    found = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pandas.CategoricalDtype):
            codes = (column.cat.codes.to_numpy() + 1).astype(np.int32)
            found[str(name).removesuffix(".value")] = SlotColumn(codes, [None, *column.cat.categories])
    return found


def _holds(text: str, frame: pandas.DataFrame) -> Mask:
    return holds(_parsed(text), _columns(frame), len(frame), _presence())


def _fails(text: str, frame: pandas.DataFrame) -> Mask:
    expression = _parsed(text)
    assert expression is not None
    return holds(negated(expression), _columns(frame), len(frame), _presence())


class RowsKeepRule(MulticolumnMapMetricProvider):
    """Rows that a rule isn't about, or that keep it."""

    condition_metric_name = "caseweave.rows_keep_rule"
    condition_value_keys = ("expression", "about", "undecided")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pandas.DataFrame, expression: str, about: str, undecided: bool, **_: Any) -> Any:
        bad = ~_holds(expression, column_list) if undecided else _fails(expression, column_list)
        return pandas.Series(~(_holds(about, column_list) & bad), index=column_list.index)


class PatientsMeetCriterion(MulticolumnMapMetricProvider):
    """Rows but the first in which a patient fails a criterion; one who leaves it open doesn't."""

    condition_metric_name = "caseweave.patients_meet_criterion"
    condition_value_keys = ("expression", "about", "exclusion")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pandas.DataFrame, expression: str, about: str, exclusion: bool, **_: Any) -> Any:
        patients = column_list["patient.row"].to_numpy()
        asked = _holds(about, column_list)
        kept, broken = asked & _holds(expression, column_list), asked & _fails(expression, column_list)
        saved = patients[:0] if exclusion else patients[kept | (asked & ~broken)]
        rows = np.flatnonzero(broken & ~np.isin(patients, saved))
        first = rows[np.unique(patients[rows], return_index=True)[1]]
        passes = np.ones(len(patients), dtype=bool)
        passes[first] = False
        return pandas.Series(passes, index=column_list.index)


class ValuesLieNearMedian(MulticolumnMapMetricProvider):
    """Rows whose robust z is within the limit; groups that are too small, or of equal values, have none."""

    condition_metric_name = "caseweave.values_lie_near_median"
    condition_value_keys = ("about", "judged", "group", "limit")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pandas.DataFrame, about: str, judged: str, group: str, limit: float, **_: Any) -> Any:
        column = column_list[judged].cat
        known = np.array([*map(exact_number, column.categories), np.nan])
        numbers = pandas.Series(known[column.codes.to_numpy()], index=column_list.index)
        numbers[~_holds(about, column_list)] = np.nan
        groups = column_list[group]
        far = (numbers - numbers.groupby(groups).transform("median")).abs()
        distance = far.groupby(groups).transform("median")
        counted = (numbers.groupby(groups).transform("count") >= FEWEST) & (distance > 0)
        return pandas.Series(~(counted & (NORMAL * far > limit * distance)), dtype=bool)


class ShareIsFilled(MulticolumnMapMetricProvider):
    """Rows that are filled, or stand in a group of which enough are."""

    condition_metric_name = "caseweave.share_is_filled"
    condition_value_keys = ("about", "judged", "group", "limit")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pandas.DataFrame, about: str, judged: str, group: str, limit: float, **_: Any) -> Any:
        column = column_list[judged].cat
        known = np.array([*(not isinstance(one, Missing) for one in column.categories), False])
        filled = pandas.Series(known[column.codes.to_numpy()], index=column_list.index)
        asked = pandas.Series(_holds(about, column_list), index=column_list.index)
        groups = column_list[group]
        many, of = (filled & asked).groupby(groups).transform("sum"), asked.groupby(groups).transform("sum")
        return filled | ~asked | (of < FEWEST) | (many >= limit * of)


class _OfOurs(MulticolumnMapExpectation):
    """What our expectations have in common: no row is passed over."""

    column_list: list[str]
    ignore_row_if: Literal["all_values_are_missing", "any_value_is_missing", "never"] = "never"
    about: str = ""
    args_keys: ClassVar[tuple[str, ...]] = ("column_list",)


class ExpectRowsToKeepRule(_OfOurs):
    """In the rows in which `about` holds, `expression` does; where it can't be told, by `undecided`."""

    map_metric: ClassVar[str] = RowsKeepRule.condition_metric_name
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", *RowsKeepRule.condition_value_keys)
    expression: str
    undecided: bool = True


class ExpectPatientsToMeetCriterion(_OfOurs):
    """Each patient meets a criterion: of inclusion in one of the rows that it is about, of exclusion in all of them."""

    map_metric: ClassVar[str] = PatientsMeetCriterion.condition_metric_name
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", *PatientsMeetCriterion.condition_value_keys)
    expression: str
    exclusion: bool = False


class ExpectValuesToLieNearMedian(_OfOurs):
    """The values of a group lie within a robust z of `limit`."""

    map_metric: ClassVar[str] = ValuesLieNearMedian.condition_metric_name
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", *ValuesLieNearMedian.condition_value_keys)
    judged: str
    group: str
    limit: float = 3.5


class ExpectShareToBeFilled(_OfOurs):
    """Of the rows of each group, at least the share `limit` is filled."""

    map_metric: ClassVar[str] = ShareIsFilled.condition_metric_name
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", *ShareIsFilled.condition_value_keys)
    judged: str
    group: str
    limit: float
