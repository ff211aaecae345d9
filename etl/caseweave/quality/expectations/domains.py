"""What a field can hold, split into the cases that a rule tells apart: each a value to ask it with, and a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from caseweave.quality.expectations.planned import Where
from caseweave.spec.models import Field, Study
from caseweave.spec.syntax import Binary, Expression, In, IsMissing, IsPresent, Literal, Name, Unary
from caseweave.values.types import Integer, Missing, PartialDate, Quantity, Text, Value

NUMBERS = frozenset({"number", "integer"})
Asked = Callable[[Expression, Value | None], object]
OTHER = "\x00"  # a text that a rule doesn't name


class NotPlannableError(Exception):
    """A rule that asks more than core expectations can say; an expectation of our own is asked instead."""


@dataclass(frozen=True, slots=True)
class Case:
    """Some values of a field that a rule treats alike.

    Arguments: `value` stands for them, None for a blank; `keys` of a code or text; `place` of a number among those that
    the rule names: 0 below the first, 1 the first itself, 2 between the first and the second ...
    """

    value: Value | None
    keys: tuple[str, ...] = ()
    place: int = -1

    @property
    def given(self) -> bool:
        """Whether there is a value that isn't declared missing."""
        return not (self.value is None or isinstance(self.value, Missing))


@dataclass(frozen=True, slots=True)
class Domain:
    """The cases of one field; `limits` are the numbers that a rule names, in their order."""

    name: str
    type: str
    cases: tuple[Case, ...]
    limits: tuple[Decimal, ...] = ()

    def tests(self, chosen: Iterable[int]) -> list[tuple[Where, ...]]:
        """The rows in which the field is in some of its cases: any of these lists of tests, each as a whole."""
        some = sorted(set(chosen))
        if len(some) == len(self.cases):
            return [()]
        given = [n for n in some if self.cases[n].given]
        column = (self.name, "")
        found: list[tuple[Where, ...]] = []
        if given and len(given) == sum(case.given for case in self.cases):
            found.append((Where(column, "not null"),))
        elif given and self.type in NUMBERS:
            found += [self._run(run) for run in self.runs(given)]
        elif given:
            keys = tuple(key for n in given for key in self.cases[n].keys)
            others = tuple(key for case in self.cases for key in case.keys if key not in keys)
            open_ = OTHER in keys
            found.append((Where(column, "not null"), Where(column, "not in", others)) if open_ else
                         (Where(column, "in", keys),))  # fmt: skip
        absent = [n for n in some if not self.cases[n].given]
        if absent and len(absent) == sum(not case.given for case in self.cases):
            return [*found, (Where(column, "null"),)]
        for n in absent:
            found.append(self.absent_test(n))
        return found

    def absent_test(self, n: int) -> tuple[Where, ...]:
        """The rows that are blank, or in which the value is declared missing for some reasons."""
        missing = (self.name, "missing")
        if self.cases[n].value is None:
            return (Where((self.name, ""), "null"), Where(missing, "null"))
        return (Where(missing, "in", self.cases[n].keys),)

    def runs(self, chosen: Sequence[int]) -> list[list[int]]:
        """Cases of a number that lie side by side, together."""
        places = sorted(self.cases[n].place for n in chosen)
        return [[p for _, p in group] for _, group in groupby(enumerate(places), lambda one: one[1] - one[0])]

    def ends(self, run: Sequence[int]) -> dict[str, float | bool]:
        """The ends of such a run, as expect_column_values_to_be_between has them."""
        first, last = run[0], run[-1]
        found: dict[str, float | bool] = {}
        if first:
            found["min_value"] = float(self.limits[(first - 1) // 2])
            found["strict_min"] = first % 2 == 0
        if last < 2 * len(self.limits):
            found["max_value"] = float(self.limits[last // 2])
            found["strict_max"] = last % 2 == 0
        return found

    def _run(self, run: Sequence[int]) -> tuple[Where, ...]:
        ends, column = self.ends(run), (self.name, "")
        found = [Where(column, ">" if ends["strict_min"] else ">=", ends["min_value"])] if "min_value" in ends else []
        if "max_value" in ends:
            found.append(Where(column, "<" if ends["strict_max"] else "<=", ends["max_value"]))
        return tuple(found)


def domain_of(
    name: str,
    field: Field,
    study: Study,
    atoms: Sequence[Expression],
    asked: Callable[[Expression, Value | None], object],
) -> Domain:
    """Split what a field can hold by the parts of a rule that are about it alone.

    Arguments: `atoms` are these parts; `asked` gives what one of them comes to with a value; one that is the bare name
    tells every value from every other. Raises NotPlannableError.
    """
    limits: tuple[Decimal, ...] = ()
    if field.type in NUMBERS:
        limits = _limits(name, atoms)
        given = [Case(_number(field, number), place=n) for n, number in enumerate(_places(limits))]
    elif field.type == "date":
        if not all(_is_presence(name, atom) for atom in atoms):
            raise NotPlannableError
        given = [Case(PartialDate("2000-01-01"))]
    elif field.type == "code":
        assert field.valueset is not None
        given = [Case(one.value, (key,)) for key, one in field.valueset.values.items() if not one.missing]
    else:
        given = [Case(Text(text), (text,)) for text in (*_texts(name, atoms), OTHER)]
    reasons = {**dict.fromkeys(study.missing.codes.values()), **dict.fromkeys(field.missing.values())}
    if field.valueset is not None:
        reasons.update(dict.fromkeys(one.missing for one in field.valueset.values.values() if one.missing))
    absent = [Case(None), *(Case(Missing(reason), (reason,)) for reason in reasons)]

    def signature(case: Case) -> tuple[object, ...]:
        return (case.given, case.value is None, *(asked(atom, case.value) for atom in atoms))

    kept = given if field.type in NUMBERS else _merged(given, signature)
    return Domain(name, field.type, (*kept, *_merged(absent, signature)), limits)


def _merged(cases: Iterable[Case], signature: Callable[[Case], tuple[object, ...]]) -> list[Case]:
    alike: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        alike.setdefault(signature(case), []).append(case)
    return [Case(same[0].value, tuple(key for one in same for key in one.keys)) for same in alike.values()]


def _number(field: Field, number: Decimal) -> Value:
    whole = field.type == "integer" and not field.unit and number == number.to_integral_value()
    return Integer(int(number)) if whole else Quantity(f"{number:f}", field.unit or "1")


def _places(limits: Sequence[Decimal]) -> list[Decimal]:
    """A number for each place: below the first, the first, between ..."""
    if not limits:
        return [Decimal(0)]
    found = [limits[0] - 1]
    for n, limit in enumerate(limits):
        found += [limit, (limit + limits[n + 1]) / 2 if n + 1 < len(limits) else limit + 1]
    return found


def _is_presence(name: str, atom: Expression) -> bool:
    return isinstance(atom, IsPresent | IsMissing) and atom.operand == Name(name)


def _literals(name: str, atom: Expression) -> list[object]:
    """What a comparison or `in` names beside a field; raises NotPlannableError for anything else."""
    if _is_presence(name, atom):
        return []
    options: tuple[Expression, ...] = ()
    if isinstance(atom, In) and atom.operand == Name(name):
        options = atom.options
    elif isinstance(atom, Binary) and Name(name) in (atom.left, atom.right):
        options = (atom.right if atom.left == Name(name) else atom.left,)
    found: list[object] = []
    for one in options:
        if isinstance(one, Unary) and isinstance(one.operand, Literal) and isinstance(one.operand.value, Decimal):
            found.append(-one.operand.value)
        elif isinstance(one, Literal):
            found.append(one.value)
        else:
            raise NotPlannableError
    if not options:
        raise NotPlannableError
    return found


def _limits(name: str, atoms: Iterable[Expression]) -> tuple[Decimal, ...]:
    found = {one for atom in atoms for one in _literals(name, atom)}
    if not all(isinstance(one, Decimal) for one in found):
        raise NotPlannableError
    return tuple(sorted(one for one in found if isinstance(one, Decimal)))


def _texts(name: str, atoms: Iterable[Expression]) -> tuple[str, ...]:
    found = dict.fromkeys(one for atom in atoms for one in _literals(name, atom))
    if not all(isinstance(one, str) for one in found):
        raise NotPlannableError
    return tuple(str(one) for one in found)


def boxes(chosen: Iterable[tuple[int, ...]]) -> list[tuple[frozenset[int], ...]]:
    """Combinations of cases as few blocks of them: for each field the cases that go with those of the others.

    >>> boxes([(0, 1), (0, 2), (1, 1), (1, 2)])
    [(frozenset({0, 1}), frozenset({1, 2}))]
    """
    found = [tuple(frozenset({n}) for n in one) for one in chosen]
    for place in range(len(found[0]) if found else 0):
        alike: dict[tuple[frozenset[int], ...], frozenset[int]] = {}
        for box in found:
            rest = (*box[:place], *box[place + 1 :])
            alike[rest] = alike.get(rest, frozenset()) | box[place]
        found = [(*rest[:place], some, *rest[place:]) for rest, some in alike.items()]
    return found
