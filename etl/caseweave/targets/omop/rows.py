"""Facts into rows of the OMOP CDM: which table, which facts have no row and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from caseweave.plan.conditions import holds
from caseweave.plan.facts import Facts, Indices, Mask
from caseweave.plan.variants import OncePerValues
from caseweave.targets.omop.columns import Scalar
from caseweave.targets.omop.concepts import DOMAIN_TABLES
from caseweave.targets.omop.fill import Built, ColumnFiller, OmopSettings
from caseweave.targets.omop.visits import VISIT, visit_of
from caseweave.values.types import Missing, Text, Value

RULE = "rule of pattern"
UNEXPLAINED = "unexplained"


@dataclass
class OmopBuilder:
    """Builds each batch once, linked ones first; counts what OMOP cannot represent, by reason."""

    facts: Facts
    settings: OmopSettings
    built: dict[int, list[Built]] = field(default_factory=dict)
    reasons: dict[int, list[tuple[str, Mask]]] = field(default_factory=dict)
    mains: dict[int, Indices] = field(default_factory=dict)
    frozen: frozenset[int] = frozenset()
    held_persons: Mapping[str, int] = field(default_factory=dict)
    persons: Mask | None = None
    dates: OncePerValues[Sequence[Scalar]] = field(default_factory=OncePerValues)

    @cached_property
    def pseudonyms(self) -> list[Value | None]:
        """The distinct values of every batch's pseudonyms."""
        return [None, *map(Text, self.facts.subjects)]

    def batch(self, number: int) -> list[Built]:
        """The rows of one batch; raises MappingError where a pattern names what the CDM doesn't have."""
        if number not in self.built:
            batch = self.facts.batches[number]
            for link in batch.links.values():
                self.batch(link.batch)
            self.built[number] = []
            without = batch.settings["without"]
            assert isinstance(without, frozenset)
            renderings = () if "omop" in without else batch.pattern.omop
            if not renderings:
                reason = str(batch.settings["because"] or batch.pattern.omop_because)
                self.reasons[number] = [(reason, np.ones(len(batch), dtype=bool))]
            for place, rendering in enumerate(renderings):
                self.built[number].extend(RowBuilder(self, number, batch, place, rendering).build())
        return self.built[number]

    def main(self, number: int) -> Indices:
        """For each fact of a batch the first rendering that has a row; -1 where none has."""
        if number in self.mains:
            return self.mains[number]
        found = np.full(len(self.facts.batches[number]), -1, dtype=np.int32)
        for built in reversed(self.batch(number)):
            found[built.mask] = built.rendering
        self.mains[number] = found
        return found

    def untold(self, number: int) -> dict[str, Mask]:
        """The facts of a batch without any row, each under one reason by name."""
        rest = self.main(number) < 0
        found: dict[str, Mask] = {}
        # the rule of one rendering comes last: of a fact that another wanted and couldn't have, that is the reason
        for reason, mask in sorted(self.reasons.get(number, ()), key=lambda one: one[0].startswith(RULE)):
            here = rest & mask
            if here.any():
                found[reason] = here | found.get(reason, np.zeros(len(here), dtype=bool))
            rest = rest & ~mask
        return {**found, UNEXPLAINED: rest} if rest.any() else found

    @property
    def left_out(self) -> Counter[tuple[str, str]]:
        """How many facts OMOP doesn't tell, by statement and reason."""
        counts: Counter[tuple[str, str]] = Counter()
        for number, batch in enumerate(self.facts):
            for reason, mask in self.untold(number).items():
                counts[batch.statement, reason] += int(mask.sum())
        return counts

    def people(self) -> Mask:
        """Which subjects have a row in PERSON, of this run or held: without a year of birth nobody has (DESIGN 2)."""
        if self.persons is not None:
            return self.persons
        known = np.array([name in self.held_persons for name in self.facts.subjects], dtype=bool)
        for number, batch in enumerate(self.facts):
            if batch.pattern.name == "patient":
                # what the run says of a patient counts more than what is held, unless it can't say it whole
                if number not in self.frozen:
                    known[batch.subjects] = False
                for built in self.batch(number):
                    if built.table.name == "person":
                        known[batch.subjects[built.mask]] = True
        self.persons = known
        return known


@dataclass
class RowBuilder(ColumnFiller):
    """Decides which facts have a row of one rendering, and in which table."""

    builder: OmopBuilder

    def build(self) -> list[Built]:
        settings, size = self.builder.settings, len(self.batch)
        name = self.batch.pattern.name
        mask = holds(self.rendering.when, self.slots, size, settings.presence)
        self.leave_out(~mask, f"{RULE} {name}")
        if "value" in self.slots:
            missing = np.array([isinstance(value, Missing) for value in self.slots["value"].values])
            absent = missing[self.slots["value"].codes]
            self.leave_out(mask & absent, "declared missing")
            mask = mask & ~absent
        if name != "patient":
            people = self.builder.people()[self.batch.subjects]
            self.leave_out(mask & ~people, "no person")
            mask = mask & people
        found = []
        for table_name, inside in self.tables(mask):
            table = settings.shapes.tables.get(table_name)
            if table is None:
                self.leave_out(inside, f"no table {table_name} in this CDM")
                continue
            columns = self.columns(table)
            if table.name != VISIT and table.field(f"{VISIT}_id") and f"{VISIT}_id" not in columns:
                visit = visit_of(self.builder, self.number, columns.get(table.date or ""))
                columns.update({f"{VISIT}_id": visit} if visit else {})
            for column in table.fields:
                if not column.required or column.name == table.id_column:
                    continue
                there = self.filled(columns.get(column.name))
                self.leave_out(inside & ~there, f"no {column.name}")
                inside = inside & there
            if inside.any():
                found.append(Built(self.place, table, inside, columns))
        return found

    def leave_out(self, mask: Mask, reason: str) -> None:
        if mask.any():
            self.builder.reasons.setdefault(self.number, []).append((reason, mask))

    def tables(self, mask: Mask) -> list[tuple[str, Mask]]:
        """Which table each fact's row goes to: named, or by the domain of the concept."""
        wanted = self.rendering.tree["table"]
        if isinstance(wanted, str):
            return [(wanted, mask)]
        assert isinstance(wanted, Mapping)
        default, only = str(wanted["default"]), wanted.get("only") or DOMAIN_TABLES.values()
        resolved = self.resolved(wanted["domain-of"])
        of_domain = [DOMAIN_TABLES.get(one.domain, default) if one else "" for one in resolved[1]]
        names = [name if not name or name in only else default for name in of_domain]
        of_fact = np.array(names, dtype=object)[resolved[0]]
        self.leave_out(mask & (of_fact == ""), "no value")
        return [(name, mask & (of_fact == name)) for name in sorted(set(names)) if name and (of_fact == name).any()]
