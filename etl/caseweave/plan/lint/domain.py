"""What a field or slot can hold, as samples: enough to tell whether a condition can hold at all."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from caseweave.plan.slots import translate
from caseweave.spec.evaluate import Presence, evaluate, truth
from caseweave.spec.expression import Expression, Literal, names, walk
from caseweave.spec.models import (
    CodeLit,
    Expr,
    Field,
    FieldRef,
    Filler,
    LinkRef,
    NumberLit,
    Statement,
    Study,
    TextLit,
    TruthLit,
)
from caseweave.spec.pattern import Let
from caseweave.values.types import Boolean, Code, Integer, Missing, PartialDate, Quantity, Text, Value

Samples = Sequence[Value | None]
MOST_COMBINATIONS = 60_000
LONG_AGO, TODAY = PartialDate("1960-05-05"), PartialDate("2021-06-15")
FREE: tuple[Value | None, ...] = (
    None,
    Text("x"),
    Integer(1),
    TODAY,
    PartialDate("2021-06"),
    Boolean(True),
    Boolean(False),
)


def literals(expressions: Iterable[Expression]) -> tuple[list[Decimal], list[str]]:
    """The numbers and texts that expressions compare with."""
    found = [part.value for one in expressions for part in walk(one) if isinstance(part, Literal)]
    numbers = [value for value in found if isinstance(value, Decimal)]
    return numbers, [value for value in found if isinstance(value, str)]


def of_field(
    study: Study, field: Field, numbers: Sequence[Decimal] = (), texts: Sequence[str] = ()
) -> list[Value | None]:
    """What a field can hold: every value of its set, or numbers, dates and texts around those it is compared with."""
    found: list[Value | None] = [None]
    found += [Missing(reason, code) for code, reason in {**study.missing.codes, **field.missing}.items()][:2]
    if field.valueset is not None:
        return [*found, *(entry.value for entry in field.valueset.values.values())]
    if field.type in ("number", "integer"):
        return [*found, *_numbers(field, numbers)]
    if field.type == "date":
        return [*found, *_dates(texts)]
    return [*found, Text("\u0001"), *(Text(text) for text in dict.fromkeys(texts))]


def _numbers(field: Field, numbers: Sequence[Decimal]) -> list[Value]:
    step = Decimal(1) if field.type == "integer" else Decimal("0.1")
    points = {
        Decimal(0),
        Decimal(1),
        Decimal(100),
        *numbers,
        *(one + step for one in numbers),
        *(one - step for one in numbers),
    }
    low, high = field.range_error or (None, None)
    points |= {one for one in (low, high) if one is not None}
    inside = sorted(one for one in points if (low is None or one >= low) and (high is None or one <= high))
    if field.type == "integer" and not field.unit:
        return [Integer(int(one)) for one in inside if one == one.to_integral_value()]
    return [Quantity(f"{one:f}", field.unit or "1") for one in inside]


def _dates(texts: Sequence[str]) -> list[Value]:
    found: list[Value] = [LONG_AGO, TODAY, PartialDate("2021-06"), PartialDate("2021")]
    for text in texts:
        try:
            day = PartialDate(text).first_day()
        except (ValueError, KeyError):
            continue
        near = (day - datetime.timedelta(1), day, day + datetime.timedelta(400))
        found += [PartialDate(one.isoformat()) for one in near]
    return found


def of_filler(study: Study, statement: Statement, filler: Filler | None, sheet: str) -> Samples:
    """What a slot can hold, by what fills it."""
    if filler is None:
        return (None,)
    if isinstance(filler, CodeLit | TextLit | NumberLit | TruthLit):
        return (filler.value,)
    if isinstance(filler, LinkRef):
        return (None, Boolean(True))
    if isinstance(filler, Expr):
        return FREE
    field = study.sheet(filler.sheet or sheet).fields[filler.field]
    if isinstance(filler, FieldRef):
        return of_field(study, field)
    return (None, *dict.fromkeys([*filler.map.values(), *([filler.default] if filler.default is not None else [])]))


def of_slots(study: Study, statement: Statement, presence: Presence) -> dict[str, Samples]:
    """What each slot of a statement can hold, derived ones among them; a required slot is never absent."""
    pattern = statement.pattern
    found: dict[str, Samples] = {}
    for name, slot in pattern.slots.items():
        samples = of_filler(study, statement, statement.slots.get(name), statement.sheet)
        found[name] = [one for one in samples if one is not None] if slot.required else samples
    for name, let in pattern.lets.items():
        found[name] = _derived(let, found, presence)
    found["anchor_year"] = (Integer(study.anchor.date.year),) if study.anchor is not None else (None,)
    return found


def _derived(let: Let, slots: Mapping[str, Samples], presence: Presence) -> Samples:
    if let.expression is not None:
        return FREE
    return list(dict.fromkeys(translate(let, value, presence) for value in slots.get(let.source, (None,))))


def can_hold(expression: Expression, samples: Mapping[str, Samples], presence: Presence) -> tuple[bool, bool] | None:
    """Whether a condition can be true, and whether it can be other than true; None where there is too much to try.

    >>> from caseweave.spec.expression import parse
    >>> never = parse("age > 60 and age < 50", "x.yaml", 1)
    >>> can_hold(never, {"age": [Integer(one) for one in (49, 50, 60, 61)]}, Presence())
    (False, True)

    Arguments: `samples` of each name; a name without samples makes it None.
    """
    used = sorted(names(expression))
    if any(name not in samples for name in used):
        return None
    domains = [_fewer(samples[name], expression) for name in used]
    size = 1
    for domain in domains:
        size *= len(domain)
    if size > MOST_COMBINATIONS:
        return None
    holds = fails = False
    for values in itertools.product(*domains):
        answer = truth(evaluate(expression, dict(zip(used, values, strict=True)).get, presence)) is True
        holds, fails = holds or answer, fails or not answer
        if holds and fails:
            break
    return holds, fails


def _fewer(samples: Samples, expression: Expression) -> Samples:
    """Of a long list of codes those that the condition names, and some that it doesn't."""
    if len(samples) <= 12:
        return samples
    text = str(expression)
    named = [
        one
        for one in samples
        if isinstance(one, Code)
        and ((one.local and f'"{one.local}"' in text) or any(str(coding) in text for coding in one.codings))
    ]
    return list(dict.fromkeys([*samples[:8], *named, *samples[-4:]]))
