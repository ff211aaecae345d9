"""The list of all checks: every check made of every record, passed or not, and the score that comes of it.

Checks look at what was typed, so that a value that was rejected is there, though of the wrong kind.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from caseweave.plan.cells import FieldReader, Noted, Outcome, clean, outcomes_of
from caseweave.plan.conditions import holds
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.fieldchecks import REQUIREMENTS, FieldCheck, implied_checks
from caseweave.quality.judge import verdict
from caseweave.quality.rules import Rule, checks_of, rules_of
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Field, Study
from caseweave.spec.syntax import names
from caseweave.values.grid import RawCell
from caseweave.values.problems import Problem
from caseweave.values.types import CellError, Text, Value

COLUMNS = ("source", "record", "field", "kind", "rule", "value", "passed")
# how much each kind counts in a score
WEIGHTS = {"minimal_req": 0.4, "mandatory_req": 0.2, "permissible": 0.2, "datatype": 0.1, "range": 0.1}
PERMISSIBLE = frozenset({"not-in-value-set", "not-an-id"})
WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Made:
    """One check as made: `passed` is None where it could not run, because the source has no such column."""

    source: str
    record: str
    field: str
    kind: str
    rule: str
    value: str
    passed: bool | None

    def row(self) -> tuple[str, ...]:
        """The row of checks.csv: passed is 1 or 0, or empty where the check could not run."""
        passed = "" if self.passed is None else str(int(self.passed))
        return (self.source, self.record, self.field, self.kind, self.rule, self.value, passed)


@dataclass
class Tally:
    """How many checks of each sheet and kind were made, and how many passed."""

    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmade: int = 0

    def count(self, sheet: str, one: Made) -> None:
        """Count one check."""
        if one.passed is None:
            self.unmade += 1
            return
        self.made[sheet, one.kind] += 1
        self.passed[sheet, one.kind] += one.passed

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return self.made.total() - self.passed.total()

    def scores(self) -> dict[str, float]:
        """For each sheet that was asked all five kinds of checks the sum of weight x passed / made.

        >>> tally = Tally()
        >>> for kind in WEIGHTS:
        ...     tally.count("form", Made("source-1", "1", "sex", kind, "rule", "", kind != "minimal_req"))
        >>> tally.scores()
        {'form': 0.6}
        """
        sheets = dict.fromkeys(sheet for sheet, _ in self.made)
        return {
            sheet: round(
                sum(weight * self.passed[sheet, kind] / self.made[sheet, kind] for kind, weight in WEIGHTS.items()), 4
            )
            for sheet in sheets
            if all(self.made[sheet, kind] for kind in WEIGHTS)
        }


@dataclass
class _SheetChecks:
    """The checks of one sheet; what a field's cells are worth is found once per distinct cell."""

    study: Study
    facts: SheetFacts
    today: datetime.date
    presence: Presence
    read: dict[str, tuple[list[tuple[Outcome, RawCell]], Indices]] = field(default_factory=dict)

    def outcomes(self, name: str) -> tuple[list[tuple[Outcome, RawCell]], Indices]:
        if name not in self.read:
            reader = FieldReader(self.study, self.facts.sheet.fields[name], self.today)
            self.read[name] = outcomes_of(reader, self.facts.table)
        return self.read[name]

    def typed(self, name: str) -> SlotColumn:
        """A field as values, where what was rejected counts as the text that was typed."""
        answers, which = self.outcomes(name)
        numbers: dict[Value | None, int] = {None: 0}
        codes = np.zeros(len(answers) + 1, dtype=np.int32)
        for n, (outcome, raw) in enumerate(answers):
            value = outcome.value if isinstance(outcome, Noted) else outcome
            value = Text(_shown(raw)) if isinstance(value, Problem) else value
            codes[n] = numbers.setdefault(value, len(numbers))
        return SlotColumn(codes[which], list(numbers), (name,))

    def passes(self, check: FieldCheck) -> Mask:
        """The rows in which a check passes."""
        test = TESTS[check.kind]
        one = self.facts.sheet.fields[check.field]
        answers, which = self.outcomes(check.field)
        found = np.array([test(one, outcome, raw) for outcome, raw in answers] + [False], dtype=bool)[which]
        if check.when is None:
            return found
        columns = {name: self.typed(name) for name in names(check.when) if name in self.facts.table.columns}
        return np.asarray(found | ~holds(check.when, columns, self.facts.table.size, self.presence))

    def there(self, name: str) -> Mask:
        """The rows whose source has a field's column at all."""
        table = self.facts.table
        return np.array([name in part.columns for part in table.parts], dtype=bool)[table.part_of]

    def values(self, name: str) -> tuple[list[str], Indices]:
        """What was typed in a field, as text."""
        column = self.facts.table.columns.get(name)
        if column is None:
            return [""], np.zeros(self.facts.table.size, dtype=np.int32)
        return [_shown(raw) for raw in column.distinct], column.codes

    def made(self, id_: str, kind: str, name: str, passes: Mask | None, about: Mask) -> Iterator[Made]:
        """One check as made in each row that it is about."""
        texts, codes = self.values(name)
        records, record_codes = self.values(self.facts.sheet.subject_field)
        table, there = self.facts.table, self.there(name)
        sources = [part.source for part in table.parts]
        for row in np.flatnonzero(about).tolist():
            passed = bool(passes[row]) if passes is not None and there[row] else None
            source, record = sources[table.part_of[row]], records[record_codes[row]]
            yield Made(source, record, name, kind, id_, texts[codes[row]], passed)


def all_checks(
    study: Study, sheets: Mapping[str, SheetFacts], presence: Presence, *, today: datetime.date, tally: Tally
) -> Iterator[Made]:
    """Every check of every record: those that the rules file names, else those of the fields, then rules of coherence.

    Arguments: `sheets` by key, as applying the study gave them; `tally` is filled as the checks are taken.
    """
    checks = checks_of(study) or implied_checks(study)
    rules = rules_of(study)
    for key, facts in sheets.items():
        at_hand = _SheetChecks(study, facts, today, presence)
        everyone = np.ones(facts.table.size, dtype=bool)
        for check in checks:
            if check.sheet == key:
                passes = at_hand.passes(check) if check.field in facts.table.columns else None
                yield from _counted(tally, key, at_hand.made(check.id, check.kind, check.field, passes, everyone))
        for rule in _about(rules, key):
            about, wrong = verdict(rule, facts, sheets, presence)
            yield from _counted(tally, key, at_hand.made(rule.id, rule.kind, rule.mark, ~wrong, about))


def _about(rules: Iterable[Rule], sheet: str) -> Iterator[Rule]:
    return (rule for rule in rules if rule.sheet == sheet and rule.by_row)


def _counted(tally: Tally, sheet: str, made: Iterable[Made]) -> Iterator[Made]:
    for one in made:
        tally.count(sheet, one)
        yield one


def _shown(raw: RawCell) -> str:
    return "" if raw is None else str(raw) if isinstance(raw, CellError) else clean(raw)


def _is_typed(one: Field, outcome: Outcome, raw: RawCell) -> bool:
    """A cell is of the field's type; codes that are numbers ask for a whole number, in the list or not."""
    if not isinstance(outcome, Problem):
        return True
    if outcome.rule != "not-in-value-set":
        return outcome.rule in PERMISSIBLE or outcome.rule == "out-of-range"
    assert one.valueset is not None
    return not all(WHOLE.fullmatch(key) for key in one.valueset.values) or bool(WHOLE.fullmatch(_shown(raw)))


def _is_permitted(one: Field, outcome: Outcome, raw: RawCell) -> bool:
    return not (isinstance(outcome, Problem) and outcome.rule in PERMISSIBLE)


def _is_in_range(one: Field, outcome: Outcome, raw: RawCell) -> bool:
    return not (isinstance(outcome, Problem) and outcome.rule == "out-of-range")


def _is_filled(one: Field, outcome: Outcome, raw: RawCell) -> bool:
    return outcome is not None


TESTS: dict[str, Callable[[Field, Outcome, RawCell], bool]] = {
    "datatype": _is_typed,
    "permissible": _is_permitted,
    "range": _is_in_range,
    **dict.fromkeys(REQUIREMENTS, _is_filled),
}
