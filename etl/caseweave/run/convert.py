"""One run in memory: sources through the plan to facts, and the two renderers ready to speak."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from caseweave.identity.keyfile import ProjectKey
from caseweave.identity.subjects import GivenResolver, KeyedResolver, MergedResolver, SubjectResolver
from caseweave.issues import Finding
from caseweave.plan.apply import Applied, apply
from caseweave.plan.layout import Layout, lay_out
from caseweave.quality.judge import judge
from caseweave.quality.rules import Rule, rules_of
from caseweave.shapes.fhir import fhir_shapes
from caseweave.shapes.omop import OmopShapes, omop_shapes
from caseweave.spec.models import LinkRef, Study
from caseweave.targets.fhir.fragments import Coder
from caseweave.targets.fhir.render import STUDY_TAG, FhirRenderer, FhirSettings
from caseweave.targets.ledger import Difference, Ledger
from caseweave.targets.omop.about import describe
from caseweave.targets.omop.concepts import Concepts
from caseweave.targets.omop.database import Database
from caseweave.targets.omop.fill import OmopSettings
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.targets.omop.vocabulary import lacking_concepts, write_vocabulary
from caseweave.targets.omop.write import OmopWriter
from caseweave.targets.scope import Scope
from caseweave.terms import Systems, Terms, conventions, displays_of, systems_of
from caseweave.terms.presence import presence
from caseweave.terms.systems import System
from caseweave.values.grid import Source
from caseweave.values.types import Missing

OUTCOMES = ("loaded", "ignored", "missing", "rejected")
NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass
class Conversion:
    """What a run made of its sources.

    >>> conversion = convert(study, sources, key=key, terms=open_terms())  # doctest: +SKIP
    >>> conversion.balance["cells"]  # doctest: +SKIP
    214
    """

    study: Study
    layout: Layout
    applied: Applied
    key: ProjectKey
    terms: Terms
    systems: Systems
    cdm: OmopShapes | None = None
    rules: Sequence[Rule] = ()

    @property
    def findings(self) -> list[Finding]:
        return self.applied.findings

    @property
    def sheets(self) -> tuple[str, ...]:
        return tuple(self.applied.sheets)

    def scope(self, *, increment: bool = False, absent: Sequence[str] = ()) -> Scope:
        """For whom and of what the run speaks.

        Arguments: `increment`, whether the sources hold only what is new; `absent`, patients of earlier runs who stand
        in no sheet of sources that hold everybody.
        """
        keep = frozenset(self.sheets) if increment or self.study.source == "increment" else self.without_columns
        present = self.applied.facts.subjects
        return Scope([*present, *(one for one in absent if one not in set(present))], self.sheets, keep, self.frozen)

    @cached_property
    def without_columns(self) -> frozenset[str]:
        """Sheets of which a source lacks a column: nothing that it can't speak of may be retracted."""
        found = {(finding.sheet, finding.rule) for finding in self.layout.findings}
        return frozenset(sheet for sheet in self.sheets if (sheet, "missing-column") in found)

    @cached_property
    def frozen(self) -> frozenset[int]:
        """Batches of facts that the sources can't tell whole: a column or linked sheet is missing, or a link's."""
        lacking = {(one.sheet, one.field) for one in self.layout.findings if one.rule == "missing-column"}
        by_identity = {statement.identity: statement for statement in self.study.statements}
        found: set[int] = set()
        # a batch stands behind those that it links to
        for number, batch in enumerate(self.applied.facts):
            statement = by_identity[batch.statement]
            links = [one for one in statement.slots.values() if isinstance(one, LinkRef)]
            if (
                any((batch.sheet, name) in lacking for name in statement.fields)
                or any(link.sheet not in self.sheets for link in links)
                or any(link.batch in found for link in batch.links.values())
            ):
                found.add(number)
        return frozenset(found)

    @cached_property
    def content_key(self) -> bytes:
        return self.key.subkey("content")

    @property
    def own_systems(self) -> dict[str, System]:
        """The code systems that the study adds to the shipped ones."""
        given = self.study.systems.items()
        return {alias: System(alias, one.get("url", ""), one.get("omop", "")) for alias, one in given}

    @cached_property
    def fhir(self) -> FhirRenderer:
        """The FHIR renderer over the facts."""
        study = self.study
        local = {"LOCAL": System("LOCAL", f"urn:caseweave:study:{study.name}"), **self.own_systems}
        texts = {code: one.text for code, one in displays_of(study).items()}
        settings = FhirSettings(
            shapes=fhir_shapes(),
            coder=Coder({**self.systems.systems, **local}, texts),
            presence=presence(),
            profiles=self.systems.profiles,
            extensions=self.systems.extensions,
            identifier_system=str(
                study.fhir.get("identifier_system") or f"urn:caseweave:project:{study.project or study.name}"
            ),
            tags=((STUDY_TAG, study.name),),
            emit_missing=study.missing.emit,
        )
        return FhirRenderer(self.applied.facts, settings)

    @cached_property
    def omop(self) -> OmopBuilder:
        """The OMOP builder over the facts."""
        cdm = str(self.study.omop.get("cdm") or "5.4")
        imaging = bool(self.study.omop.get("imaging", True))
        # a database that is there already says itself which CDM it is
        shapes = self.cdm or omop_shapes("5.3" if cdm == "5.3" else "5.4", oncology=cdm == "5.3", imaging=imaging)
        concepts = Concepts(self.terms, {**self.systems.systems, **self.own_systems}, conventions())
        anchor = self.study.anchor.date if self.study.anchor else None
        return OmopBuilder(self.applied.facts, OmopSettings(shapes, concepts, presence(), anchor))

    @cached_property
    def balance(self) -> dict[str, int]:
        """Every non-empty data cell once: rejected, else loaded, else missing, else ignored; out of the lineage."""
        counts: Counter[str] = Counter()
        counts["rejected"] += sum(self.layout.rejected.values())
        counts["ignored"] += sum(self.layout.ignored.values())
        for facts in self.applied.sheets.values():
            for name, column in facts.table.columns.items():
                if name in facts.table.joined:
                    continue
                typed = column.codes != 0
                converted = facts.columns.get(name)
                rejected = typed & ~facts.rows.usable
                if converted is not None:
                    rejected |= typed & (converted.rejected | facts.blocked.get(name, False))
                    missing_value = np.array([isinstance(v, Missing) for v in converted.column.values], dtype=bool)
                    missing = typed & missing_value[converted.column.codes]
                else:
                    missing = np.zeros(facts.table.size, dtype=bool)
                loaded = typed & facts.loaded[name] & ~rejected & ~missing
                missing &= ~rejected
                counts["rejected"] += int(rejected.sum())
                counts["loaded"] += int(loaded.sum())
                counts["missing"] += int(missing.sum())
                counts["ignored"] += int((typed & ~rejected & ~loaded & ~missing).sum())
        return {"cells": sum(counts[one] for one in OUTCOMES), **{one: counts[one] for one in OUTCOMES}}

    @cached_property
    def patients(self) -> list[str]:
        """The pseudonyms of those who have a fact of pattern `patient`: to whom later rows may belong."""
        facts = self.applied.facts
        known = {int(n) for batch in facts if batch.pattern.name == "patient" for n in batch.subjects}
        return [facts.subjects[n] for n in sorted(known)]

    def rows_of(self, alias: str) -> int:
        """How many data rows a source gave."""
        return sum(
            len(part.rows)
            for facts in self.applied.sheets.values()
            for part in facts.table.parts
            if part.source == alias
        )

    def parity(self) -> dict[str, Any]:
        """How many facts each model tells, and by reason those that it doesn't (DESIGN 2, parity); the sums balance."""
        told: dict[str, int] = {}
        left_out: dict[str, dict[str, int]] = {}
        for name, untold in (("fhir", self.fhir.untold), ("omop", self.omop.untold)):
            reasons: Counter[str] = Counter()
            for number in range(len(self.applied.facts.batches)):
                for reason, mask in untold(number).items():
                    reasons[reason] += int(mask.sum())
            told[name] = len(self.applied.facts) - reasons.total()
            left_out[name] = dict(reasons.most_common())
        return {"facts": len(self.applied.facts), **told, "left_out": left_out}

    def concepts(self) -> dict[str, int]:
        """How the codes of the run fared in OMOP: with a standard concept or without, the study's own apart."""
        seen = [(code, one) for code, one in self.omop.settings.concepts.seen.items() if one.status != "convention"]
        shared = [one for code, one in seen if code.codings and code.codings[0].system != "LOCAL"]
        standard = sum(1 for one in shared if one.concept_id)
        return {"codes": len(shared), "standard": standard, "local": len(seen) - len(shared)}

    def describe(self, database: Database) -> None:
        """Say in CDM_SOURCE and METADATA where the rows come from; once."""
        describe(
            database,
            self.study.name,
            self.study.title.get("en", self.study.name),
            self.study.version,
            self.terms.release,
            self.study.anchor.date if self.study.anchor else None,
        )


@dataclass(frozen=True)
class RowsAhead:
    """A conversion's rows, compared with what a database holds and not yet written."""

    database: Database
    conversion: Conversion
    writer: OmopWriter
    ledger: Ledger
    change: Difference

    def write(self) -> Counter[str]:
        """Bring the database to what the run says; the caller commits. Returns the rows written, by table."""
        database, conversion, change = self.database, self.conversion, self.change
        if database.vocabulary == "own" and (change or not change.same):  # CDM_SOURCE names concepts without any rows
            write_vocabulary(database, conversion.omop, conversion.terms)
        if change:
            if database.vocabulary == "foreign" and (lacking := lacking_concepts(database, conversion.omop)):
                told = database.refuse_lacking(lacking)
                conversion.findings.append(Finding(rule="lacking-concept", severity="warning", message=told))
            self.writer.write(database, self.ledger, change)
        conversion.describe(database)
        return self.writer.written


def compare_with(
    database: Database, conversion: Conversion, stream: str = "main", scope: Scope | None = None
) -> RowsAhead:
    """Hold a conversion's rows against what an OMOP database holds; nothing is written."""
    writer = OmopWriter(conversion.omop, conversion.content_key, scope or conversion.scope())
    ledger = database.ledger(conversion.study.name, stream)
    return RowsAhead(database, conversion, writer, ledger, writer.compare(ledger))


def write_to(database: Database, conversion: Conversion) -> None:
    """Write a conversion's rows to an OMOP database; the caller commits."""
    compare_with(database, conversion).write()


def resolver_of(study: Study, key: ProjectKey) -> SubjectResolver:
    """How a study's patients get their pseudonyms."""
    return GivenResolver() if study.subject == "given" else KeyedResolver(key)


def convert(
    study: Study,
    sources: Sequence[Source],
    *,
    key: ProjectKey,
    terms: Terms,
    today: datetime.date | None = None,
    site: str = "",
    known_subjects: frozenset[str] = frozenset(),
    merged: Mapping[str, str] = NOBODY,
    cdm: OmopShapes | None = None,
    rules: Sequence[Rule] | None = None,
) -> Conversion:
    """Turn sources into facts; no files are written, nothing is sent.

    Arguments: `key` of the project; `today` is the day after which dates lie in the future; `site` of all patients
    where the study doesn't tell it; `known_subjects` are patients of earlier runs; `merged`, pseudonyms that another's
    stands for; `cdm` of the database that the rows are for, where that isn't the study's choice; `rules` of the study,
    if they are read already.
    """
    layout = lay_out(study, sources)
    resolver: SubjectResolver = resolver_of(study, key)
    if merged:
        resolver = MergedResolver(resolver, merged)
    rules = rules_of(study) if rules is None else rules
    applied = apply(
        study,
        layout,
        resolver,
        key,
        presence(),
        today=today or datetime.date.today(),
        site=site,
        known_subjects=known_subjects,
        judge=partial(judge, rules, presence()),
    )
    return Conversion(study, layout, applied, key, terms, systems_of(study), cdm, rules)
