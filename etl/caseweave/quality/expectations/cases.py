"""A rule asked case by case: the combinations of cases that break it become core expectations with row conditions.

The language itself says what breaks a rule, so that there is no second meaning of it: every combination of what its
fields can hold is put to `evaluate`, once, when the rule is planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

from caseweave.quality.expectations.domains import NUMBERS, OTHER, Domain, NotPlannableError, boxes, domain_of
from caseweave.quality.expectations.planned import Column, Condition, Planned, Where
from caseweave.quality.rules import Rule
from caseweave.spec.evaluate import Presence, evaluate, truth
from caseweave.spec.models import Field, Study
from caseweave.spec.syntax import Binary, Expression, Name, Unary, names
from caseweave.values.types import Boolean, Value

MOST_CASES = 20_000
MOST_TESTS = 90  # Great Expectations takes a hundred in one row condition
ORDERS = ("<", "<=", ">", ">=")
TRUTHS = (True, False, None)
Answer = bool | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two fields of a row compared: `left` is to be before `right`, or with `equal` may be the same."""

    left: str
    right: str
    equal: bool

    def asserted(self, breaks: frozenset[Answer]) -> tuple[dict[str, Column], bool]:
        """The columns A and B, of which A is to be greater, and whether they may be equal; for what breaks the rule.

        A date known to the month is all its days: whether it is before another is told from its last day, that it
        isn't from its first.
        """
        (l_low, l_high), (r_low, r_high) = (((one, "low"), (one, "high")) for one in (self.left, self.right))
        wanted = {
            frozenset({False}): (r_high, l_low, self.equal),
            frozenset({False, None}): (r_low, l_high, self.equal),
            frozenset({True}): (l_high, r_low, not self.equal),
            frozenset({True, None}): (l_low, r_high, not self.equal),
        }
        if breaks not in wanted:
            raise NotPlannableError
        greater, less, equal = wanted[breaks]
        return {"column_A": greater, "column_B": less}, equal


@dataclass
class _Asked:
    """A rule taken apart: the fields that it names with their cases, and the pairs that it compares."""

    study: Study
    fields: Mapping[str, Field]
    presence: Presence
    atoms: dict[str, list[Expression]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)

    def take(self, part: Expression) -> Expression:
        """The same condition, comparisons of two fields replaced by a name for their answer."""
        if isinstance(part, Binary) and part.operator in ("and", "or"):
            return replace(part, left=self.take(part.left), right=self.take(part.right))
        if isinstance(part, Unary) and part.operator == "not":
            return replace(part, operand=self.take(part.operand))
        asked = sorted(names(part))
        if any(name not in self.fields for name in asked):
            raise NotPlannableError
        if len(asked) == 1:
            self.atoms.setdefault(asked[0], []).append(part)
        elif asked and self.is_pair(part):
            return self.pair(part)
        elif all(self.fields[name].type == "code" for name in asked):
            for name in asked:
                self.atoms.setdefault(name, []).append(Name(name))  # every value by itself
        else:
            raise NotPlannableError
        return part

    def is_pair(self, part: Expression) -> bool:
        if not (isinstance(part, Binary) and part.operator in ORDERS):
            return False
        if not (isinstance(part.left, Name) and isinstance(part.right, Name)):
            return False
        left, right = self.fields[part.left.name], self.fields[part.right.name]
        if left.type == right.type == "date":
            return True
        numbers = left.type in NUMBERS and right.type in NUMBERS
        return numbers and left.unit == right.unit and not (left.unit_field or right.unit_field)

    def pair(self, part: Expression) -> Expression:
        assert isinstance(part, Binary) and isinstance(part.left, Name) and isinstance(part.right, Name)
        sides = (part.left.name, part.right.name)
        left, right = sides if part.operator[0] == "<" else sides[::-1]
        one = Pair(left, right, part.operator.endswith("="))
        if one not in self.pairs:
            self.pairs.append(one)
        for name in sides:
            self.atoms.setdefault(name, [])
        return Name(f"\x00{self.pairs.index(one)}")

    def domains(self) -> dict[str, Domain]:
        def asked_of(name: str) -> Any:
            def asked(atom: Expression, value: Value | None) -> object:
                return evaluate(atom, {name: value}.get, self.presence)

            return asked

        return {
            name: domain_of(name, self.fields[name], self.study, list(dict.fromkeys(atoms)), asked_of(name))
            for name, atoms in self.atoms.items()
        }


@dataclass(frozen=True, slots=True)
class _Broken:
    """What breaks a rule: combinations of cases by themselves, or with what comparing a pair comes to."""

    alone: list[tuple[int, ...]]
    with_pair: dict[tuple[int, frozenset[Answer]], list[tuple[int, ...]]]


def core_expectations(rule: Rule, study: Study, fields: Mapping[str, Field], presence: Presence) -> Iterator[Planned]:
    """A rule about single rows as core expectations. Raises NotPlannableError where they can't say it.

    Arguments: `fields` by every name that the rule uses.
    """
    assert rule.expr is not None
    asked = _Asked(study, fields, presence)
    when = asked.take(rule.when) if rule.when is not None else None
    # what is filled with something that can't be read is filled: this is told from what was typed
    expr = asked.take(rule.expr) if rule.kind != "required" else None
    domains = asked.domains()
    broken = _broken(rule, when, expr, list(domains.values()), asked.pairs, presence)
    base = Planned(rule.id, rule.sheet, rule.mark, "", {}, severity=rule.severity, message=rule.message)
    every = list(domains.values())
    if rule.kind == "required":
        for condition in _condition(every, broken.alone) if broken.alone else ():
            yield replace(base, type="expect_column_values_to_not_be_null", columns={"column": (rule.mark, "typed")},
                          condition=condition)  # fmt: skip
        if broken.with_pair:
            raise NotPlannableError
        return
    for (number, breaks), combos in broken.with_pair.items():
        pair = asked.pairs[number]
        columns, equal = pair.asserted(breaks)
        present = {pair.left, pair.right}
        for condition in _condition(every, combos, given=present):
            yield replace(base, type="expect_column_pair_values_a_to_be_greater_than_b", columns=columns,
                          arguments={"or_equal": equal, "ignore_row_if": "either_value_is_missing"},
                          condition=condition)  # fmt: skip
    yield from _alone(base, every, broken.alone)


def _broken(
    rule: Rule,
    when: Expression | None,
    expr: Expression | None,
    domains: Sequence[Domain],
    pairs: Sequence[Pair],
    presence: Presence,
) -> _Broken:
    places = {domain.name: n for n, domain in enumerate(domains)}
    if prod(len(domain.cases) for domain in domains) * 3 ** len(pairs) > MOST_CASES:
        raise NotPlannableError
    alone: list[tuple[int, ...]] = []
    with_pair: dict[tuple[int, frozenset[Answer]], list[tuple[int, ...]]] = {}
    for combo in product(*(range(len(domain.cases)) for domain in domains)):
        row: dict[str, Value | None] = {
            domain.name: domain.cases[n].value for domain, n in zip(domains, combo, strict=True)
        }
        known = [
            all(domains[places[name]].cases[combo[places[name]]].given for name in (pair.left, pair.right))
            for pair in pairs
        ]
        possible = list(product(*(TRUTHS if one else (None,) for one in known)))
        breaks = [answers for answers in possible if _is_broken(rule, when, expr, row, answers, presence)]
        if len(breaks) == len(possible):
            alone.append(combo)
        elif breaks:
            for number, some in _by_pair(breaks, possible):
                with_pair.setdefault((number, some), []).append(combo)
    return _Broken(alone, with_pair)


def _is_broken(
    rule: Rule,
    when: Expression | None,
    expr: Expression | None,
    row: Mapping[str, Value | None],
    answers: Sequence[Answer],
    presence: Presence,
) -> bool:
    said = {f"\x00{n}": None if one is None else Boolean(one) for n, one in enumerate(answers)}
    lookup = {**row, **said}.get
    if when is not None and truth(evaluate(when, lookup, presence)) is not True:
        return False
    if expr is None:
        return True
    found = truth(evaluate(expr, lookup, presence))
    return found is not True if rule.undecided else found is False


def _by_pair(
    breaks: Sequence[tuple[Answer, ...]], possible: Sequence[tuple[Answer, ...]]
) -> Iterator[tuple[int, frozenset[Answer]]]:
    """Which answer of which pair breaks the rule, whatever the others say; raises NotPlannableError for the rest."""
    broken, told = set(breaks), set[tuple[Answer, ...]]()
    for number in range(len(possible[0])):
        some = frozenset(
            answer
            for answer in {one[number] for one in possible}
            if all(one in broken for one in possible if one[number] is answer)
        )
        if some:
            told |= {one for one in possible if one[number] in some}
            yield number, some
    if told != broken:
        raise NotPlannableError


def _condition(
    domains: Sequence[Domain], combos: Sequence[tuple[int, ...]], given: set[str] | frozenset[str] = frozenset()
) -> Iterator[Condition]:
    """The rows in which the fields are in one of some combinations of cases, as few row conditions as will hold them.

    Arguments: `given` are fields whose blank rows are passed over anyway.
    """
    found: list[tuple[Where, ...]] = []
    for box in boxes(combos):
        parts = []
        for domain, some in zip(domains, box, strict=True):
            there = {n for n, case in enumerate(domain.cases) if case.given}
            parts.append([()] if domain.name in given and there <= some else domain.tests(some))
        for chosen in product(*parts):
            found.append(tuple(dict.fromkeys(test for part in chosen for test in part)))
    if () in found:
        yield ()
        return
    kept: list[tuple[Where, ...]] = []
    for tests in found:
        if sum(map(len, kept)) + len(tests) > MOST_TESTS:
            yield tuple(kept)
            kept = []
        kept.append(tests)
    if kept:
        yield tuple(kept)


def _alone(base: Planned, domains: Sequence[Domain], combos: Sequence[tuple[int, ...]]) -> Iterator[Planned]:
    """Combinations that break a rule, told from one of its fields: of the marked cell, where the rule asks for it."""
    if not combos:
        return
    place = next((n for n, domain in enumerate(domains) if domain.name == base.field), len(domains) - 1)
    asserted, others = domains[place], [domain for n, domain in enumerate(domains) if n != place]
    by_rest: dict[tuple[int, ...], set[int]] = {}
    for combo in combos:
        by_rest.setdefault((*combo[:place], *combo[place + 1 :]), set()).add(combo[place])
    by_cases: dict[frozenset[int], list[tuple[int, ...]]] = {}
    for rest, some in by_rest.items():
        by_cases.setdefault(frozenset(some), []).append(rest)
    for breaking, rests in by_cases.items():
        for condition in _condition(others, rests):
            for type_, column, arguments, tests in _assertions(asserted, breaking):
                narrow = tuple((*one, *tests) for one in condition) or ((tests,) if tests else ())
                yield replace(base, type=type_, columns={"column": column}, arguments=arguments, condition=narrow)


def _assertions(
    domain: Domain, breaking: frozenset[int]
) -> Iterator[tuple[str, Column, dict[str, Any], tuple[Where, ...]]]:
    """What a field must not be in: the expectation, its column and arguments, and what its rows are narrowed to."""
    column = (domain.name, "")
    given = [n for n, case in enumerate(domain.cases) if case.given]
    absent = [n for n, case in enumerate(domain.cases) if not case.given]
    bad, good = [n for n in given if n in breaking], [n for n in given if n not in breaking]
    if bad and not good:
        yield "expect_column_values_to_be_null", column, {}, ()
    elif bad and domain.type in NUMBERS:
        runs = domain.runs(good)
        if len(runs) == 1:
            yield "expect_column_values_to_be_between", column, dict(domain.ends(runs[0])), ()
        else:
            for tests in domain.tests(bad):
                yield "expect_column_values_to_be_null", column, {}, tests
    elif bad:
        keys = [key for n in good for key in domain.cases[n].keys]
        others = [key for n in bad for key in domain.cases[n].keys]
        if OTHER in keys:
            yield "expect_column_values_to_not_be_in_set", column, {"value_set": others}, ()
        else:
            yield "expect_column_values_to_be_in_set", column, {"value_set": keys}, ()
    lacking = [n for n in absent if n in breaking]
    if lacking and len(lacking) == len(absent):
        yield "expect_column_values_to_not_be_null", column, {}, ()
        return
    for n in lacking:
        yield "expect_column_values_to_not_be_null", column, {}, domain.absent_test(n)
