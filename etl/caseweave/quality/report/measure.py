"""What the report tells, as numbers: no value that was typed, no name of a file, patients by pseudonym."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caseweave.issues import SEVERITIES, Finding, Severity
from caseweave.plan.apply import Applied
from caseweave.plan.conditions import holds
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.criteria import eligibility
from caseweave.quality.report.cases import Asked, Case, worst_cases
from caseweave.quality.report.distributions import Chart, charts
from caseweave.quality.report.inclusion import Inclusion, inclusion_of
from caseweave.quality.report.shares import Share
from caseweave.quality.rules import Rule
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.quality.voice import Voice
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Field, Study
from caseweave.spec.phrases import Texts

MOST_SITES = 10
# what a mapping asks by itself is conformance, but for these
BUILT_IN = {
    **dict.fromkeys(("required", "gap", "missing-sheet", "missing-column"), "completeness"),
    **dict.fromkeys(("out-of-range", "unusual-value", "implausible-date", "future-date"), "plausibility"),
}
OTHERS = "others"
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FieldShares:
    """How far a field is filled: by site, in the order of the sites."""

    name: str
    label: str
    required: bool
    all: Share
    sites: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SheetShares:
    """How far the required cells of a sheet are filled, and each of its fields.

    Arguments: `rows` it has; `unused`, how many fields that need not be filled are blank in every row.
    """

    key: str
    title: str
    rows: int
    all: Share
    sites: tuple[Share, ...]
    fields: tuple[FieldShares, ...]
    unused: int


Place = tuple[str, str, str, str, Severity]


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient and what is to be done: `places` gives what is said, sheet, cell, field and severity of each finding.

    Arguments: `rows` is how many rows there are in each sheet; the field of a place goes by its label.
    """

    pseudonym: str
    site: str
    errors: int
    warnings: int
    messages: int
    required: Share
    rows: tuple[int, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The findings of one rule with one severity; `category` is that of Kahn's framework."""

    rule: str
    severity: Severity
    count: int
    patients: int
    fields: tuple[str, ...]
    message: str
    category: str


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that the report tells.

    Arguments: `patients` come worst first; `cases` are the least complete, `fields_asked` the required fields that some
    of them leave blank; `spread`, how many patients have so many tenths of their required cells filled; `unmapped`
    gives sheet, field, number of different values and of cells; `timepoints` gives, per sheet, how many patients have
    0, 1, 2, 3 or more rows; `nobody`, the findings that no patient is known for; `inclusion` is None where the
    study has no criteria.
    """

    study: str
    title: str
    version: str
    site_names: tuple[str, ...]
    site_patients: tuple[int, ...]
    sheets: tuple[SheetShares, ...]
    patients: tuple[Patient, ...]
    cases: tuple[Case, ...]
    fields_asked: tuple[str, ...]
    spread: tuple[int, ...]
    rules: tuple[RuleCount, ...]
    severities: Mapping[str, int]
    nobody: tuple[Place, ...]
    charts: tuple[Chart, ...]
    unmapped: tuple[tuple[str, str, int, int], ...]
    timepoints: tuple[tuple[str, tuple[int, ...]], ...]
    inclusion: Inclusion | None = None


def measure(
    study: Study,
    applied: Applied,
    presence: Presence,
    speech: Speech = ENGLISH,
    rules: Sequence[Rule] = (),
) -> Measures:
    """Measure what a study's sources hold.

    Arguments: `applied` is the study applied to them; `speech`, the language of titles and labels, where the study has
    it; `rules` of the study, which say what their findings mean and who belongs to it.
    """
    size = len(applied.subjects.names)
    labels = _Labels(study, Voice(speech, {rule.id: rule.messages for rule in rules}, study))
    names, site_of = _sites(applied.subjects.sites)
    sheets, asked, rows = [], [], []
    for key, facts in applied.sheets.items():
        one, wanted = _sheet(study, key, facts, site_of, len(names), presence, speech, size)
        sheets.append(one)
        asked.append(wanted)
        inside = facts.rows.subjects[facts.rows.subjects >= 0]
        rows.append(np.bincount(inside, minlength=size) if size else np.zeros(0, dtype=np.int64))
    expected, filled = (sum((getattr(one, part) for one in asked), np.zeros(size, int)) for part in ("whole", "part"))
    shares = [Share(int(part), int(whole)) for part, whole in zip(filled, expected, strict=True)]
    sites = [names[n] for n in site_of]
    cases, fields_asked = worst_cases(applied.subjects.names, sites, asked)
    tenths = [min(one.percent // 10, 10) for one in shares if one.percent is not None]
    return Measures(
        study=study.name,
        title=speech.text(study.title, study.name),
        version=study.version,
        site_names=tuple(names),
        site_patients=tuple(np.bincount(site_of, minlength=len(names)).tolist()) if size else (0,) * len(names),
        sheets=tuple(sheets),
        patients=tuple(_patients(applied, sites, shares, rows, labels)),
        cases=cases,
        fields_asked=fields_asked,
        spread=tuple(np.bincount(np.array(tenths, dtype=np.int64), minlength=11).tolist()),
        rules=tuple(_rules(applied.findings, speech, rules)),
        severities={one: sum(f.severity == one for f in applied.findings) for one in SEVERITIES},
        nobody=_places((one for one in applied.findings if not one.subject and one.severity != "message"), labels),
        charts=tuple(charts(study, applied.sheets, speech)),
        unmapped=tuple(_unmapped(applied.findings, labels)),
        timepoints=tuple(
            (sheet.title, tuple(np.bincount(np.minimum(count, 3), minlength=4).tolist()))
            for sheet, count in zip(sheets, rows, strict=True)
        ),
        inclusion=inclusion_of(eligibility(rules, applied.sheets, presence, applied.subjects.sites), rules, speech),
    )


@dataclass(frozen=True)
class _Labels:
    """How people call sheets and fields, and the voice that tells them of findings."""

    study: Study
    voice: Voice

    def sheet(self, key: str) -> str:
        found = self.study.sheet(key) if key in self.study.sheet_keys else None
        return self.voice.speech.text(found.title, found.name or key) if found else key

    def field(self, sheet: str, name: str) -> str:
        found = self.study.sheet(sheet).fields.get(name) if sheet in self.study.sheet_keys else None
        return label_of(found, self.voice.speech) if found else name


def _sites(sites: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The names of the sites, the largest kept where they are many, and which is each patient's."""
    ranked = [name for name, _ in Counter(sites).most_common()]
    names = sorted(ranked[:MOST_SITES]) + ([OTHERS] if len(ranked) > MOST_SITES else [])
    place = {name: n for n, name in enumerate(names)}
    return names or [""], np.array([place.get(one, len(names) - 1) for one in sites], dtype=np.int64)


def _sheet(
    study: Study,
    key: str,
    facts: SheetFacts,
    site_of: NDArray[np.int64],
    sites: int,
    presence: Presence,
    speech: Speech,
    size: int,
) -> tuple[SheetShares, Asked]:
    sheet = study.sheet(key)
    inside = facts.rows.subjects >= 0
    who = facts.rows.subjects[inside]
    where = site_of[who]
    shares, unused = [], 0
    wholes, parts = np.zeros(sites, dtype=np.int64), np.zeros(sites, dtype=np.int64)
    asked = Asked(np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64))
    for name, one in sheet.fields.items():
        if one.ignore or name not in facts.columns:
            continue
        must = inside.copy()
        if one.required and one.required is not True:
            must &= holds(one.required, facts.values, facts.table.size, presence)
        there = (must & facts.columns[name].filled)[inside]
        must = must[inside]
        whole, part = (np.bincount(where[mask], minlength=sites) for mask in (must, there))
        if one.required:
            wholes, parts = wholes + whole, parts + part
            asked.add(label_of(one, speech), *(np.bincount(who[mask], minlength=size) for mask in (must, there)))
        if not part.sum() and not (one.required and whole.sum()):
            unused += 1
            continue
        shares.append(_shares(one, speech, whole, part))
    by_site = tuple(Share(int(a), int(b)) for a, b in zip(parts, wholes, strict=True))
    whole_sheet = Share(int(parts.sum()), int(wholes.sum()))
    title = speech.text(sheet.title, sheet.name or key)
    return SheetShares(key, title, int(inside.sum()), whole_sheet, by_site, tuple(shares), unused), asked


def label_of(one: Field, speech: Speech) -> str:
    """What a field is called on the form."""
    return speech.text(one.label, one.column or one.name).replace("$i", one.repeat_index)


def _shares(one: Field, speech: Speech, whole: Counts, part: Counts) -> FieldShares:
    by_site = tuple(Share(int(a), int(b)) for a, b in zip(part, whole, strict=True))
    whole_field = Share(int(part.sum()), int(whole.sum()))
    return FieldShares(one.name, label_of(one, speech), bool(one.required), whole_field, by_site)


def _patients(
    applied: Applied, sites: Sequence[str], shares: Sequence[Share], rows: Sequence[Counts], labels: _Labels
) -> list[Patient]:
    told: dict[str, list[Finding]] = defaultdict(list)
    for one in applied.findings:
        told[one.subject].append(one)
    found = []
    for number, name in enumerate(applied.subjects.names):
        counts = Counter(one.severity for one in told.get(name, ()))
        places = _places(told.get(name, ()), labels)
        there = tuple(int(one[number]) for one in rows)
        severities = (counts["error"], counts["warning"], counts["message"])
        found.append(Patient(name, sites[number], *severities, shares[number], there, places))
    return sorted(found, key=lambda one: (-one.errors, -one.warnings, one.required.percent or 0, one.pseudonym))


def _places(findings: Iterable[Finding], labels: _Labels) -> tuple[Place, ...]:
    """Where to look and why, errors first."""
    return tuple(
        (labels.voice.message(one), labels.sheet(one.sheet), one.cell, labels.field(one.sheet, one.field), one.severity)
        for one in sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.sheet))
    )


def _rules(findings: Iterable[Finding], speech: Speech, rules: Sequence[Rule]) -> list[RuleCount]:
    texts: dict[str, Texts] = {rule.id: rule.messages for rule in rules}
    categories: dict[str, str] = {**BUILT_IN, **{rule.id: rule.category for rule in rules}}
    groups: dict[tuple[str, Severity], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[one.rule, one.severity].append(one)
    counts = []
    for (rule, severity), mine in groups.items():
        fields = tuple(name for name, _ in Counter(one.field for one in mine if one.field).most_common())
        messages = Counter(speech.message(one, texts) for one in mine)
        (said, _), others = messages.most_common(1)[0], len(messages) - 1
        said += f" ({speech('more_like_it', count=others)})" if others else ""
        patients = len({one.subject for one in mine if one.subject})
        counts.append(RuleCount(rule, severity, len(mine), patients, fields, said,
                                categories.get(rule, "conformance")))  # fmt: skip
    return sorted(counts, key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.rule))


def _unmapped(findings: Iterable[Finding], labels: _Labels) -> list[tuple[str, str, int, int]]:
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in findings:
        if one.rule == "not-in-value-set":
            cells[labels.sheet(one.sheet), labels.field(one.sheet, one.field)].append(one.found)
    return sorted((sheet, field, len(set(typed)), len(typed)) for (sheet, field), typed in cells.items())
