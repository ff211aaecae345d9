"""Apply a study to its tables: cells become values, values become facts, and every cell is accounted for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caseweave.identity.factids import fact_ids, patient_fact_id
from caseweave.identity.keyfile import ProjectKey
from caseweave.identity.subjects import SubjectResolver
from caseweave.issues import Finding
from caseweave.plan.cells import Converted, FieldReader, read_field
from caseweave.plan.conditions import computed, from_answers, holds
from caseweave.plan.facts import FactBatch, Facts, Indices, Link, Mask, SlotColumn
from caseweave.plan.layout import Layout
from caseweave.plan.rows import Rows, Subjects, canonical, identify, occurrences, without_duplicates
from caseweave.plan.tables import Table, join
from caseweave.spec.evaluate import Presence
from caseweave.spec.expression import names as names_in
from caseweave.spec.models import (
    Expr,
    Field,
    FieldRef,
    Filler,
    LinkRef,
    Mapped,
    Sheet,
    Statement,
    Study,
)
from caseweave.spec.pattern import Let
from caseweave.values.types import Code, Coding, Missing, Value


@dataclass
class SheetFacts:
    """One sheet on its way from values to facts: `loaded` marks, per field, the cells that a fact was made of."""

    sheet: Sheet
    table: Table
    rows: Rows
    columns: dict[str, Converted]
    keys: list[str] | None
    loaded: dict[str, Mask]


@dataclass
class Applied:
    """What applying a study gave: facts, findings, and per sheet the state of every cell."""

    facts: Facts
    findings: list[Finding]
    sheets: dict[str, SheetFacts]
    subjects: Subjects


@dataclass
class Applier:
    """Makes facts statement by statement; a statement that others link to is made before them."""

    study: Study
    layout: Layout
    subjects: Subjects
    key: ProjectKey
    presence: Presence
    today: datetime.date
    known_subjects: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    sheets: dict[str, SheetFacts] = field(default_factory=dict)
    batches: list[FactBatch] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    told: set[tuple[str, str, LinkRef, int]] = field(default_factory=set)

    def apply(self) -> Applied:
        """Run all passes: read fields, identify rows, make facts."""
        self.findings.extend(self.layout.findings)
        for sheet in self.study.sheets:
            if sheet.key in self.layout.tables:
                self.sheets[sheet.key] = self.read_sheet(sheet, self.layout.tables[sheet.key])
        self.take_out_orphans()
        self.check_required()
        for sheet in self.study.sheets:
            if sheet.key in self.sheets:
                for statement in sheet.statements:
                    self.make(statement)
        ids = np.array([patient_fact_id(self.key, name) for name in self.subjects.names], dtype="S32")
        return Applied(Facts(self.subjects.names, ids, self.batches), self.findings, self.sheets, self.subjects)

    # cells to values

    def read_sheet(self, sheet: Sheet, table: Table) -> SheetFacts:
        subject = sheet.fields[sheet.subject_field]
        silent: list[Finding] = []
        ids = read_field(FieldReader(self.study, subject, self.today), table, silent, lambda row: "")
        rows = identify(table, sheet, ids, self.subjects, self.findings)
        self.findings.extend(silent)
        if sheet.join is not None and sheet.join.sheet in self.layout.tables:
            table = self.joined(sheet, table)

        def who(row: int) -> str:
            return self.subjects.names[rows.subjects[row]] if rows.subjects[row] >= 0 else ""

        columns = {sheet.subject_field: ids}
        for name in table.columns:
            one = self.field_of(sheet, name)
            if name != sheet.subject_field and not one.ignore:
                # a joined field's problems are told where its own sheet is read
                found: list[Finding] = [] if name in table.joined else self.findings
                columns[name] = read_field(FieldReader(self.study, one, self.today), table, found, who)
        keys = occurrences(sheet, rows, {n: c for n, c in columns.items() if n not in table.joined})
        rows = without_duplicates(table, sheet, rows, keys, self.findings, self.subjects.names)
        loaded = {name: np.zeros(table.size, dtype=bool) for name in table.columns}
        return SheetFacts(sheet, table, rows, columns, keys, loaded)

    def field_of(self, sheet: Sheet, name: str) -> Field:
        if name in sheet.fields:
            return sheet.fields[name]
        assert sheet.join is not None
        return self.study.sheet(sheet.join.sheet).fields[name]

    def joined(self, sheet: Sheet, table: Table) -> Table:
        assert sheet.join is not None
        other = self.layout.tables[sheet.join.sheet]
        on = sheet.join.on
        key_of = {on: (self.texts(table, on), self.texts(other, on))}
        return join(table, other, on, key_of)

    def texts(self, table: Table, name: str) -> list[str]:
        one = self.study.sheet(table.sheet).fields[name]
        column = read_field(FieldReader(self.study, one, self.today), table, [], lambda row: "").column
        texts = [canonical(value) for value in column.values]
        return [texts[code] for code in column.codes.tolist()]

    # rows

    def take_out_orphans(self) -> None:
        """A row of a patient whom no sheet with a patient statement names belongs to nobody."""
        home = next(one.sheet for one in self.study.statements if one.pattern.name == "patient")
        if home not in self.sheets:
            return
        known = np.zeros(len(self.subjects.names) + 1, dtype=bool)
        known[self.sheets[home].rows.subjects] = True
        known[-1] = False
        for number, name in enumerate(self.subjects.names):
            if name in self.known_subjects:
                known[number] = True
        for key, facts in self.sheets.items():
            if key == home:
                continue
            orphans = (facts.rows.subjects >= 0) & ~known[facts.rows.subjects]
            facts.rows.usable[orphans] = False
            for row in np.flatnonzero(orphans).tolist():
                source, sheet, cell = facts.table.origin(row, facts.sheet.subject_field)
                self.findings.append(
                    Finding(
                        rule="orphan-row",
                        severity="error",
                        source=source,
                        sheet=sheet,
                        cell=cell,
                        field=facts.sheet.subject_field,
                        subject=self.subjects.names[facts.rows.subjects[row]],
                        message=f"Sheet {home} doesn't know this patient; the row was not loaded.",
                        suggestion="Correct the id, or add the patient there.",
                    )
                )

    def check_required(self) -> None:
        for facts in self.sheets.values():
            columns = {name: one.column for name, one in facts.columns.items()}
            for name, one in facts.sheet.fields.items():
                if not one.required or name not in facts.columns or name == facts.sheet.subject_field:
                    continue
                needed = facts.rows.usable & ~facts.columns[name].filled
                if one.required is not True:
                    needed &= holds(one.required, columns, facts.table.size, self.presence)
                for row in np.flatnonzero(needed).tolist():
                    source, sheet, cell = facts.table.origin(row, name)
                    self.findings.append(
                        Finding(
                            rule="required",
                            severity="error",
                            source=source,
                            sheet=sheet,
                            cell=cell,
                            field=name,
                            subject=self.subjects.names[facts.rows.subjects[row]],
                            expected="a value or a missing code",
                            message="This field must be filled.",
                        )
                    )

    # values to facts

    def make(self, statement: Statement) -> int:
        """Make the facts of one statement, those that it links to first; returns the number of its batch."""
        if statement.identity in self.numbers:
            return self.numbers[statement.identity]
        facts = self.sheets[statement.sheet]
        size = facts.table.size
        columns = {name: one.column for name, one in facts.columns.items()}
        slots = {
            name: self.fill(filler, columns, size)
            for name, filler in statement.slots.items()
            if not isinstance(filler, LinkRef)
        }
        mask = facts.rows.usable & holds(statement.when, columns, size, self.presence)
        links = {
            name: self.link(statement, filler, facts)
            for name, filler in statement.slots.items()
            if isinstance(filler, LinkRef)
        }
        for name in statement.pattern.required:
            mask &= links[name].index >= 0 if name in links else self.counts(name, slots[name])
        rows = np.flatnonzero(mask).astype(np.int32)
        used = {field for slot in slots.values() for field in slot.fields}
        slots.update(self.derived(statement, slots, size))
        self.tell_links(statement, facts, rows, links)
        self.batches.append(
            self.batch(
                statement,
                facts,
                rows,
                {name: one.take(rows) for name, one in slots.items()},
                {
                    name: Link(one.batch, np.maximum(one.index[rows], -1))
                    for name, one in links.items()
                    if one.batch >= 0
                },
            )
        )
        self.mark_loaded(statement, facts, rows, used)
        self.numbers[statement.identity] = len(self.batches) - 1
        return self.numbers[statement.identity]

    def batch(
        self,
        statement: Statement,
        facts: SheetFacts,
        rows: Indices,
        slots: Mapping[str, SlotColumn],
        links: Mapping[str, Link],
    ) -> FactBatch:
        subjects = facts.rows.subjects[rows]
        names = [self.subjects.names[n] for n in subjects.tolist()]
        if statement.pattern.name == "patient":
            ids = np.array([patient_fact_id(self.key, name) for name in names], dtype="S32")
        else:
            keys = facts.keys
            if statement.key:
                texts = self.key_texts(facts, statement.key)
                keys = texts if keys is None else [f"{a}\x1f{b}" for a, b in zip(keys, texts, strict=True)]
            occurrence = None if keys is None else [keys[row] for row in rows.tolist()]
            ids = fact_ids(self.key, self.study.name, statement.identity, names, occurrence)
        settings = {
            "fhir.set": statement.fhir_set,
            "omop.set": statement.omop_set,
            "without": statement.without,
            "because": statement.because,
        }
        return FactBatch(
            statement.identity, statement.sheet, statement.pattern, ids, subjects, rows, slots, links, settings
        )

    def counts(self, name: str, column: SlotColumn) -> Mask:
        """Where a required slot is filled; a declared missing value counts only as the value of a study that emits."""
        emits = name == "value" and self.study.missing.emit
        good = [value is not None and (emits or not isinstance(value, Missing)) for value in column.values]
        return np.array(good, dtype=bool)[column.codes]

    def fill(self, filler: Filler, columns: Mapping[str, SlotColumn], size: int) -> SlotColumn:
        """One slot over all rows of the sheet."""
        blank = SlotColumn(np.zeros(size, dtype=np.int32), [None])
        match filler:
            case FieldRef():
                return columns.get(filler.field, blank)
            case Mapped():
                column = columns.get(filler.field, blank)
                answers = [
                    None if value is None else filler.map.get(canonical(value), filler.default)
                    for value in column.values
                ]
                return from_answers(answers, column.codes, (filler.field,))
            case Expr():
                return computed(filler.expression, columns, size, self.presence)
            case LinkRef():
                raise AssertionError("links are no slots")
        return SlotColumn(np.ones(size, dtype=np.int32), [None, filler.value])

    def derived(self, statement: Statement, slots: Mapping[str, SlotColumn], size: int) -> dict[str, SlotColumn]:
        """The pattern's `let` slots, in their order, and the field's own local code."""
        found: dict[str, SlotColumn] = {}
        blank = SlotColumn(np.zeros(size, dtype=np.int32), [None])
        for name, let in statement.pattern.lets.items():
            if let.expression is not None:
                found[name] = computed(let.expression, {**slots, **found}, size, self.presence)
                continue
            column = found.get(let.source) or slots.get(let.source, blank)
            answers = [translate(let, value, self.presence) for value in column.values]
            found[name] = from_answers(answers, column.codes, ())
        found["local"] = SlotColumn(np.ones(size, dtype=np.int32), [None, self.local(statement)])
        return found

    def local(self, statement: Statement) -> Code:
        """The study's own code for what a statement says: the field's name, its label as display."""
        name = statement.name
        label = self.study.sheet(statement.sheet).fields.get(name)
        text = (label.label.get("en") or next(iter(label.label.values()), "")) if label is not None else ""
        return Code((Coding("LOCAL", name),), label=text or name.replace("_", " "))

    # links

    def link(self, statement: Statement, filler: LinkRef, facts: SheetFacts) -> Link:
        """Which fact of another statement each row's fact is about (-2: more than one).

        Within a sheet it is the row's own; across sheets the patient's, and the key's where both sheets have its fields.
        """
        target = next(
            one
            for one in self.study.statements
            if (one.sheet, one.name, one.repeat_index) == (filler.sheet, filler.statement, filler.repeat_index)
        )
        if target.sheet not in self.sheets:
            return Link(-1, np.full(facts.table.size, -1, dtype=np.int32))
        number = self.make(target)
        batch = self.batches[number]
        if target.sheet == statement.sheet:
            index = np.full(facts.table.size, -1, dtype=np.int32)
            index[batch.rows] = np.arange(len(batch), dtype=np.int32)
            return Link(number, index)
        other = self.sheets[target.sheet]
        shared = [name for name in other.sheet.row_key if name in facts.columns]
        theirs = self.key_texts(other, shared)
        place: dict[tuple[int, str], int] = {}
        for n, row in enumerate(batch.rows.tolist()):
            spot = (int(other.rows.subjects[row]), theirs[row])
            place[spot] = n if spot not in place else -2
        mine = zip(facts.rows.subjects.tolist(), self.key_texts(facts, shared), strict=True)
        return Link(number, np.array([place.get(spot, -1) for spot in mine], dtype=np.int32))

    def key_texts(self, facts: SheetFacts, names: Sequence[str]) -> list[str]:
        if not names:
            return [""] * facts.table.size
        texts = [[canonical(value) for value in facts.columns[name].column.values] for name in names]
        codes = [facts.columns[name].column.codes.tolist() for name in names]
        return [
            "\x1f".join(text[code] for text, code in zip(texts, line, strict=True)) for line in zip(*codes, strict=True)
        ]

    def tell_links(self, statement: Statement, facts: SheetFacts, rows: Indices, links: Mapping[str, Link]) -> None:
        """Tell of links across sheets that lead nowhere or to more than one fact; each row once per target."""
        for name, link in links.items():
            filler = statement.slots[name]
            assert isinstance(filler, LinkRef)
            if filler.sheet == statement.sheet:
                continue
            for row in rows[link.index[rows] < 0].tolist():
                rule = "ambiguous-link" if link.index[row] == -2 else "no-link"
                if (rule, statement.sheet, filler, row) in self.told:
                    continue
                self.told.add((rule, statement.sheet, filler, row))
                source, sheet, cell = facts.table.origin(row, facts.sheet.subject_field)
                target = f"{filler.sheet}.{filler.statement}"
                self.findings.append(
                    Finding(
                        rule=rule,
                        severity="warning",
                        source=source,
                        sheet=sheet,
                        cell=cell,
                        field=facts.sheet.subject_field,
                        subject=self.subjects.names[facts.rows.subjects[row]],
                        message=f"More than one {target} of this patient; the link was left out."
                        if rule == "ambiguous-link"
                        else f"No {target} of this patient; the link was left out.",
                    )
                )

    # cells

    def mark_loaded(self, statement: Statement, facts: SheetFacts, rows: Indices, used: set[str]) -> None:
        """Mark the cells that facts were made of: those of slots, rules, keys and units, and the patient's own."""
        used = used | {facts.sheet.subject_field, *facts.sheet.row_key, *statement.key}
        if statement.when is not None:
            used |= names_in(statement.when)
        used |= {one.unit_field for name in used if (one := facts.sheet.fields.get(name)) and one.unit_field}
        for name in used & facts.loaded.keys():
            facts.loaded[name][rows] = True
            if name in facts.table.joined:
                other, there = facts.table.joined[name]
                hit = there[rows]
                self.sheets[other.sheet].loaded[name][hit[hit >= 0]] = True


def translate(let: Let, value: Value | None, presence: Presence) -> Value | None:
    """What a derived slot holds: by the value's codes, its local value, its meaning, then present, absent or missing."""
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


def apply(
    study: Study,
    layout: Layout,
    resolver: SubjectResolver,
    key: ProjectKey,
    presence: Presence,
    *,
    today: datetime.date,
    site: str = "",
    known_subjects: frozenset[str] = frozenset(),
) -> Applied:
    """Make the facts of a study out of its laid-out sources; pure: no files, no network.

    Arguments: `site` for the whole run where the study doesn't tell it; `known_subjects` are patients (pseudonyms) of
    earlier runs, whose rows are no orphans.
    """
    subjects = Subjects(study, resolver, site)
    return Applier(study, layout, subjects, key, presence, today, known_subjects).apply()
