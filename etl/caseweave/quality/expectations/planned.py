"""What Great Expectations is to be asked, written down without it: importing it takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

from caseweave.issues import Severity

# a column of a table to be checked, as (field, view): see tables.VIEWS
Column = tuple[str, str]
# expectations of our own: a plain Great Expectations has none of them
CUSTOM = frozenset(
    {
        "expect_rows_to_keep_rule",
        "expect_patients_to_meet_criterion",
        "expect_values_to_lie_near_median",
        "expect_share_to_be_filled",
    }
)


def column_name(column: Column) -> str:
    """How a column is called.

    >>> column_name(("birth_date", "")), column_name(("birth_date", "low"))
    ('birth_date', 'birth_date.low')
    """
    name, view = column
    return f"{name}.{view}" if view else name


@dataclass(frozen=True, slots=True)
class Where:
    """A test of one column in a row: "null", "not null", "in", "not in", "<", "<=", ">", ">="."""

    column: Column
    operator: str
    value: Any = None


# any of these, each of them all of its tests; () asks nothing
Condition = tuple[tuple[Where, ...], ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """One expectation of one rule.

    Arguments: `type` is Great Expectations' name for it; `columns` by the argument that names them; `condition`, the
    rows it is about; `field`, whose cell is marked where a row fails; `everywhere`, whether rows that are loaded by
    nobody (a duplicate, an unknown patient) are asked too; `together`, whether rows are judged by each other.
    """

    rule: str
    sheet: str
    field: str
    type: str
    columns: Mapping[str, Column | list[Column]]
    arguments: Mapping[str, Any] = default(default_factory=dict)
    condition: Condition = ()
    severity: Severity = "error"
    message: str = ""
    everywhere: bool = False
    together: bool = False

    @property
    def custom(self) -> bool:
        """Whether it needs an expectation of our own."""
        return self.type in CUSTOM

    @property
    def needs(self) -> tuple[Column, ...]:
        """All columns that it looks at."""
        asked = [one for part in self.columns.values() for one in (part if isinstance(part, list) else [part])]
        return tuple(dict.fromkeys([*asked, *(test.column for tests in self.condition for test in tests)]))


def narrowed(condition: Condition, test: Where) -> Condition:
    """A condition that asks one thing more."""
    return tuple((*tests, test) for tests in condition) or ((test,),)
