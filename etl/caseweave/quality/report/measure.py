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
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Field, Study

MOST_SITES = 10
OTHERS = "others"
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def percent(self) -> int | None:
        """Rounded, but 100 and 0 only where it is all or nothing; None of nothing."""
        if not self.whole:
            return None
        exact = 100 * self.part / self.whole
        return min(99, max(1, round(exact))) if 0 < self.part < self.whole else round(exact)


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


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient and what is to be done: `places` gives rule, sheet, cell, field and severity of each finding.

    Arguments: `rows` is how many rows there are in each sheet.
    """

    pseudonym: str
    site: str
    errors: int
    warnings: int
    messages: int
    required: Share
    rows: tuple[int, ...]
    places: tuple[tuple[str, str, str, str, Severity], ...]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The findings of one rule with one severity."""

    rule: str
    severity: Severity
    count: int
    patients: int
    fields: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that the report tells.

    Arguments: `patients` come worst first; `unmapped` gives sheet, field, number of different values and of cells;
    `timepoints` gives, per sheet, how many patients have 0, 1, 2, 3 or more rows.
    """

    study: str
    title: str
    version: str
    site_names: tuple[str, ...]
    site_patients: tuple[int, ...]
    sheets: tuple[SheetShares, ...]
    patients: tuple[Patient, ...]
    rules: tuple[RuleCount, ...]
    severities: Mapping[str, int]
    nobody: int
    unmapped: tuple[tuple[str, str, int, int], ...]
    timepoints: tuple[tuple[str, tuple[int, ...]], ...]


def measure(study: Study, applied: Applied, presence: Presence, language: str = "en") -> Measures:
    """Measure what a study's sources hold.

    Arguments: `applied` is the study applied to them; `language` of titles and labels, where the study has it.
    """
    size = len(applied.subjects.names)
    names, site_of = _sites(applied.subjects.sites)
    expected, filled = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    sheets, rows = [], []
    for key, facts in applied.sheets.items():
        sheets.append(_sheet(study, key, facts, site_of, len(names), presence, language, expected, filled))
        inside = facts.rows.subjects[facts.rows.subjects >= 0]
        rows.append(np.bincount(inside, minlength=size) if size else np.zeros(0, dtype=np.int64))
    shares = [Share(int(part), int(whole)) for part, whole in zip(filled, expected, strict=True)]
    patients = _patients(applied, [names[n] for n in site_of], shares, rows)
    return Measures(
        study=study.name,
        title=study.title.get(language) or study.title.get("en") or study.name,
        version=study.version,
        site_names=tuple(names),
        site_patients=tuple(np.bincount(site_of, minlength=len(names)).tolist()) if size else (0,) * len(names),
        sheets=tuple(sheets),
        patients=tuple(patients),
        rules=tuple(_rules(applied.findings)),
        severities={one: sum(f.severity == one for f in applied.findings) for one in SEVERITIES},
        nobody=sum(not one.subject and one.severity != "message" for one in applied.findings),
        unmapped=tuple(_unmapped(applied.findings)),
        timepoints=tuple(
            (sheet.title, tuple(np.bincount(np.minimum(count, 3), minlength=4).tolist()))
            for sheet, count in zip(sheets, rows, strict=True)
        ),
    )


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
    language: str,
    expected: Counts,
    filled: Counts,
) -> SheetShares:
    sheet = study.sheet(key)
    inside = facts.rows.subjects >= 0
    who = facts.rows.subjects[inside]
    where = site_of[who]
    shares, unused = [], 0
    wholes, parts = np.zeros(sites, dtype=np.int64), np.zeros(sites, dtype=np.int64)
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
            expected += np.bincount(who[must], minlength=len(expected))
            filled += np.bincount(who[there], minlength=len(filled))
        if not part.sum() and not (one.required and whole.sum()):
            unused += 1
            continue
        shares.append(_shares(one, language, whole, part))
    title = sheet.title.get(language) or sheet.name or key
    by_site = tuple(Share(int(a), int(b)) for a, b in zip(parts, wholes, strict=True))
    whole_sheet = Share(int(parts.sum()), int(wholes.sum()))
    return SheetShares(key, title, int(inside.sum()), whole_sheet, by_site, tuple(shares), unused)


def _shares(one: Field, language: str, whole: Counts, part: Counts) -> FieldShares:
    label = one.label.get(language) or one.column or one.name
    label = label.replace("$i", one.repeat_index)
    by_site = tuple(Share(int(a), int(b)) for a, b in zip(part, whole, strict=True))
    return FieldShares(one.name, label, bool(one.required), Share(int(part.sum()), int(whole.sum())), by_site)


def _patients(applied: Applied, sites: Sequence[str], shares: Sequence[Share], rows: Sequence[Counts]) -> list[Patient]:
    told: dict[str, list[Finding]] = defaultdict(list)
    for one in applied.findings:
        told[one.subject].append(one)
    found = []
    for number, name in enumerate(applied.subjects.names):
        counts = Counter(one.severity for one in told.get(name, ()))
        mine = sorted(told.get(name, ()), key=lambda one: (SEVERITIES.index(one.severity), one.sheet))
        places = tuple((one.rule, one.sheet, one.cell, one.field, one.severity) for one in mine)
        there = tuple(int(one[number]) for one in rows)
        severities = (counts["error"], counts["warning"], counts["message"])
        found.append(Patient(name, sites[number], *severities, shares[number], there, places))
    return sorted(found, key=lambda one: (-one.errors, -one.warnings, one.required.percent or 0, one.pseudonym))


def _rules(findings: Iterable[Finding]) -> list[RuleCount]:
    groups: dict[tuple[str, Severity], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[one.rule, one.severity].append(one)
    counts = []
    for (rule, severity), mine in groups.items():
        fields = tuple(name for name, _ in Counter(one.field for one in mine if one.field).most_common())
        messages = Counter(one.message for one in mine)
        (said, _), others = messages.most_common(1)[0], len(messages) - 1
        said += f" (and {others} more like it)" if others else ""
        patients = len({one.subject for one in mine if one.subject})
        counts.append(RuleCount(rule, severity, len(mine), patients, fields, said))
    return sorted(counts, key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.rule))


def _unmapped(findings: Iterable[Finding]) -> list[tuple[str, str, int, int]]:
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in findings:
        if one.rule == "not-in-value-set":
            cells[one.sheet, one.field].append(one.found)
    return sorted((sheet, field, len(set(typed)), len(typed)) for (sheet, field), typed in cells.items())
