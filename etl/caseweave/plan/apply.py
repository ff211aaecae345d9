"""Apply a study to its tables: cells become values, values become facts, and every cell is accounted for."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.identity.factids import RawIds, fact_digests, messages, patient_digests
from caseweave.identity.keyfile import ProjectKey
from caseweave.identity.subjects import SubjectResolver
from caseweave.issues import Finding
from caseweave.plan.conditions import holds
from caseweave.plan.facts import FactBatch, Facts, Indices, Link, Mask, SlotColumn
from caseweave.plan.layout import Layout
from caseweave.plan.links import same_patient, same_row, told
from caseweave.plan.rows import Subjects, pair_keys
from caseweave.plan.sheets import SheetFacts, SheetReader
from caseweave.plan.slots import SlotFiller
from caseweave.spec.evaluate import Presence
from caseweave.spec.expression import names as names_in
from caseweave.spec.models import LinkRef, Statement, Study

# what the rules say of the sheets, given the sites of the patients; it also blocks the cells that they reject
Judge = Callable[[Mapping[str, SheetFacts], Sequence[str]], Iterable[Finding]]


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
    sheets: Mapping[str, SheetFacts]
    subjects: Subjects
    key: ProjectKey
    presence: Presence
    findings: list[Finding]
    patient_ids: RawIds
    messages: dict[tuple[str, tuple[str, ...]], NDArray[np.object_]] = field(default_factory=dict)
    batches: list[FactBatch] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    told: set[tuple[str, str, LinkRef, str]] = field(default_factory=set)

    def make(self, statement: Statement) -> int:
        """Make the facts of one statement, those that it links to first; returns the number of its batch."""
        if statement.identity in self.numbers:
            return self.numbers[statement.identity]
        facts = self.sheets[statement.sheet]
        columns = facts.admitted
        filler = SlotFiller(self.study, columns, facts.table.size, self.presence)
        slots = {name: filler.fill(one) for name, one in statement.slots.items() if not isinstance(one, LinkRef)}
        links = {name: self.link(statement, one) for name, one in statement.slots.items() if isinstance(one, LinkRef)}
        mask = facts.rows.usable & holds(statement.when, columns, facts.table.size, self.presence)
        for name in statement.pattern.required:
            mask &= links[name].index >= 0 if name in links else filler.counts(name, slots[name])
        # what a field means is said only where the field is filled, whatever else the pattern could do without
        own = [filler.counts(name, slot) for name, slot in slots.items() if statement.meant_by in slot.fields]
        if own:
            mask &= np.logical_or.reduce(own)
        if statement.pattern.name == "patient":
            mask &= ~self.told_of(facts)
        rows = np.flatnonzero(mask).astype(np.int32)
        used = {field for slot in slots.values() for field in slot.fields}
        slots.update(filler.derived(statement, slots))
        self.tell_links(statement, rows, links)
        self.batches.append(
            self.batch(
                statement,
                rows,
                {name: one.take(rows) for name, one in slots.items()},
                {
                    name: Link(one.batch, np.maximum(one.index[rows], -1))
                    for name, one in links.items()
                    if one.batch >= 0
                },
            )
        )
        self.mark_loaded(statement, rows, used)
        self.numbers[statement.identity] = len(self.batches) - 1
        return self.numbers[statement.identity]

    def told_of(self, facts: SheetFacts) -> Mask:
        """The rows of patients of whom another sheet tells already: of several forms the first does."""
        known = np.zeros(len(self.subjects.names) + 1, dtype=bool)
        for batch in self.batches:
            if batch.pattern.name == "patient":
                known[batch.subjects] = True
        return np.asarray(known[facts.rows.subjects])

    def batch(
        self, statement: Statement, rows: Indices, slots: Mapping[str, SlotColumn], links: Mapping[str, Link]
    ) -> FactBatch:
        facts = self.sheets[statement.sheet]
        subjects = facts.rows.subjects[rows]
        if statement.pattern.name == "patient":
            ids = self.patient_ids[subjects]
        else:
            about = self.about(facts, statement.key)[rows].tolist()
            ids = fact_digests(self.key, self.study.name, statement.identity, about)
        settings = {
            "fhir.set": statement.fhir_set,
            "omop.set": statement.omop_set,
            "without": statement.without,
            "because": statement.because,
        }
        return FactBatch(
            statement.identity, statement.sheet, statement.pattern, ids, subjects, rows, slots, links, settings
        )

    def about(self, facts: SheetFacts, key: tuple[str, ...]) -> NDArray[np.object_]:
        """What the fact ids of a sheet's rows are hashed from; `key` is the statement's own."""
        spot = (facts.sheet.key, key)
        if spot not in self.messages:
            keys = facts.keys
            if key:
                own = facts.keys_of(key)
                keys = own if keys is None else pair_keys(keys, own)
            keys = keys or facts.keys_of(())
            names = np.array([*self.subjects.names, ""], dtype=object)[facts.rows.subjects].tolist()
            texts = np.array(keys.texts, dtype=object)[keys.codes].tolist()
            self.messages[spot] = np.array(messages(names, texts), dtype=object)
        return self.messages[spot]

    def link(self, statement: Statement, filler: LinkRef) -> Link:
        """Which fact of another statement each row's fact is about."""
        facts = self.sheets[statement.sheet]
        wanted = (filler.sheet, filler.statement, filler.repeat_index)
        target = next(one for one in self.study.statements if (one.sheet, one.name, one.repeat_index) == wanted)
        if target.sheet not in self.sheets:
            return Link(-1, np.full(facts.table.size, -1, dtype=np.int32))
        number = self.make(target)
        if target.sheet == statement.sheet:
            return Link(number, same_row(facts, self.batches[number]))
        return Link(number, same_patient(facts, self.sheets[target.sheet], self.batches[number].rows))

    def tell_links(self, statement: Statement, rows: Indices, links: Mapping[str, Link]) -> None:
        """Tell of links across sheets that lead nowhere or to several facts, once per row and target."""
        for name, link in links.items():
            filler = statement.slots[name]
            assert isinstance(filler, LinkRef)
            if filler.sheet == statement.sheet or filler.sheet not in self.sheets:
                continue  # a sheet that is missing was told once
            facts = self.sheets[statement.sheet]
            for finding in told(facts, rows, link.index, f"{filler.sheet}.{filler.statement}"):
                spot = (finding.rule, finding.place, filler, finding.source)
                if spot not in self.told:
                    self.told.add(spot)
                    self.findings.append(finding)

    def mark_loaded(self, statement: Statement, rows: Indices, used: set[str]) -> None:
        """Mark the cells that facts were made of: those of slots, rules, keys and units, and the patient's own."""
        facts = self.sheets[statement.sheet]
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
    judge: Judge | None = None,
) -> Applied:
    """Make the facts of a study out of its laid-out sources; pure: no files, no network.

    Arguments: `site` for the whole run where the study doesn't tell it; `known_subjects` are patients (pseudonyms) of
    earlier runs, whose rows are no orphans; `judge` holds the study's rules against the sheets before facts are made.
    """
    findings = list(layout.findings)
    subjects = Subjects(study, resolver, site)
    reader = SheetReader(study, layout.tables, subjects, presence, today, findings)
    sheets = {sheet.key: reader.read(sheet) for sheet in study.sheets if sheet.key in layout.tables}
    reader.take_out_orphans(sheets, known_subjects)
    for facts in sheets.values():
        reader.check_required(facts)
        reader.check_gaps(facts)
    if judge is not None:
        findings.extend(judge(sheets, subjects.sites))
    ids = patient_digests(key, subjects.names)
    applier = Applier(study, sheets, subjects, key, presence, findings, ids)
    for statement in study.statements:
        if statement.sheet in sheets:
            applier.make(statement)
    return Applied(Facts(subjects.names, ids, applier.batches), findings, sheets, subjects)
