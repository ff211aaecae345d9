"""Slots of a statement filled over all rows of its sheet: from fields, tables, expressions and literals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from caseweave.plan.conditions import computed, from_answers
from caseweave.plan.facts import Mask, SlotColumn
from caseweave.plan.rows import canonical
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Expr, FieldRef, Filler, LinkRef, Mapped, Statement, Study
from caseweave.spec.pattern import Let
from caseweave.values.types import Code, Coding, Missing, Value


def constant(value: Value, size: int) -> SlotColumn:
    """A slot that holds the same in every fact."""
    return SlotColumn(np.ones(size, dtype=np.int32), [None, value])


def blank(size: int) -> SlotColumn:
    """A slot that no fact fills."""
    return SlotColumn(np.zeros(size, dtype=np.int32), [None])


@dataclass(frozen=True)
class SlotFiller:
    """Fills slots from the values of one sheet with `size` rows."""

    study: Study
    columns: Mapping[str, SlotColumn]
    size: int
    presence: Presence

    def fill(self, filler: Filler) -> SlotColumn:
        """One slot over all rows."""
        match filler:
            case FieldRef():
                return self.columns.get(filler.field) or blank(self.size)
            case Mapped():
                column = self.columns.get(filler.field) or blank(self.size)
                answers = [None if value is None else filler.map.get(canonical(value), filler.default)
                           for value in column.values]  # fmt: skip
                return from_answers(answers, column.codes, (filler.field,))
            case Expr():
                return computed(filler.expression, self.columns, self.size, self.presence)
            case LinkRef():
                raise TypeError("a link is no slot column")
        return constant(filler.value, self.size)

    def derived(self, statement: Statement, slots: Mapping[str, SlotColumn]) -> dict[str, SlotColumn]:
        """The pattern's `let` slots, in their order, and the statement's own local code."""
        found: dict[str, SlotColumn] = {}
        for name, let in statement.pattern.lets.items():
            if let.expression is not None:
                found[name] = computed(let.expression, {**slots, **found}, self.size, self.presence)
                continue
            column = found.get(let.source) or slots.get(let.source) or blank(self.size)
            answers = [translate(let, value, self.presence) for value in column.values]
            found[name] = from_answers(answers, column.codes, ())
        found["local"] = constant(self.local(statement), self.size)
        return found

    def local(self, statement: Statement) -> Code:
        """The study's own code for what a statement says: the field's name, its label as display."""
        name = statement.meant_by or statement.name
        one = self.study.sheet(statement.sheet).fields.get(name)
        labels = dict(one.label) if one is not None else {}
        text = labels.get("en") or next(iter(labels.values()), "") or name.replace("_", " ")
        return Code((Coding("LOCAL", name),), label=text)

    def counts(self, name: str, column: SlotColumn) -> Mask:
        """Where a required slot is filled; a declared missing value counts only as the value of a study that emits."""
        emits = name == "value" and self.study.missing.emit
        good = [value is not None and (emits or not isinstance(value, Missing)) for value in column.values]
        return np.array(good, dtype=bool)[column.codes]


def translate(let: Let, value: Value | None, presence: Presence) -> Value | None:
    """What a derived slot holds: by the value's codes, local value, meaning, then whether it is there."""
    candidates: list[str] = []
    if isinstance(value, Code):
        candidates = [*map(str, value.codings), value.local]
    elif value is not None and not isinstance(value, Missing):
        candidates = [canonical(value)]
    meaning = presence.meaning(value)
    if meaning:
        candidates.append(meaning)
    candidates.append("absent" if value is None else "missing" if isinstance(value, Missing) else "present")
    found = next((let.map[one] for one in candidates if one in let.map), None)
    return found if found is not None else let.default
