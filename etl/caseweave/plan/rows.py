"""Whose row is it: subjects, rows that can't be used, and the occurrence that tells a patient's rows apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caseweave.identity.subjects import MergedResolver, SubjectError, SubjectResolver
from caseweave.issues import Finding
from caseweave.plan.cells import Converted
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.tables import Table
from caseweave.plan.variants import once_per_combination
from caseweave.spec.models import Sheet, Study
from caseweave.values.types import Boolean, Code, Integer, Missing, PartialDate, Quantity, Text, Value


@dataclass
class Subjects:
    """The patients of a run, numbered as they are met; knows their ids only to resolve them.

    Arguments: `site` given for the whole run, else the study says which field tells it.
    """

    study: Study
    resolver: SubjectResolver
    site: str = ""
    names: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    by_id: dict[tuple[str, str], int] = field(default_factory=dict)
    sites: list[str] = field(default_factory=list)

    def number(self, patient_id: str) -> int:
        """The number of a patient, new or known; raises SubjectError where the id can be no pseudonym."""
        site = self.site or self.site_of(patient_id)
        found = self.by_id.get((site, patient_id))
        if found is None:
            name = self.resolver.resolve(site, patient_id)
            found = self.numbers.setdefault(name, len(self.numbers))
            if found == len(self.names):
                self.names.append(name)
                self.sites.append(site)
            self.by_id[(site, patient_id)] = found
        return found

    def was_merged(self, patient_id: str) -> bool:
        """Whether a patient's id is one that was merged into another's."""
        site = self.site or self.site_of(patient_id)
        return isinstance(self.resolver, MergedResolver) and self.resolver.stands_for_another(site, patient_id)

    def site_of(self, patient_id: str) -> str:
        return site_of(self.study, patient_id)


def site_of(study: Study, patient_id: str) -> str:
    """The site that a patient's id tells, where the study says how; else nothing."""
    if study.site is None or not study.site.matches:
        return ""
    found = re.match(study.site.matches, patient_id)
    return found[1] if found else ""


@dataclass(frozen=True)
class Rows:
    """Who is in each row of a table: `subjects` (-1: nobody), whether the row can be used, and whether it goes by an id
    that was `merged` into the patient's."""

    subjects: Indices
    usable: Mask
    merged: Mask


def identify(table: Table, sheet: Sheet, converted: Converted, subjects: Subjects, findings: list[Finding]) -> Rows:
    """Number the patient of each row; an id that can't be one makes the row unusable."""
    name = sheet.subject_field
    numbers, merged = [], []
    for value in converted.column.values:
        try:
            numbers.append(subjects.number(value.text) if isinstance(value, Text) else -1)
            merged.append(isinstance(value, Text) and subjects.was_merged(value.text))
        except SubjectError as error:
            numbers.append(-2)
            merged.append(False)
            problem = error
    found = np.array(numbers, dtype=np.int32)[converted.column.codes]
    for row in np.flatnonzero(found == -2).tolist():
        source, where, cell = table.origin(row, name)
        findings.append(
            Finding(
                rule="not-an-id",
                severity="error",
                source=source,
                sheet=where,
                cell=cell,
                field=name,
                message=problem.message,
                suggestion=problem.way_out,
            )
        )
    # an id of nothing but spaces, or one that is declared missing; a rejected one has been told
    for row in np.flatnonzero((found == -1) & ~converted.rejected).tolist():
        source, where, cell = table.origin(row, name)
        findings.append(no_subject(source=source, sheet=where, cell=cell, field=name))
    found = np.where(found == -2, -1, found).astype(np.int32)
    return Rows(found, found >= 0, np.array(merged, dtype=np.bool_)[converted.column.codes])


def no_subject(**place: str) -> Finding:
    """The finding of a row that names no patient."""
    message = "The row names no patient; it was not loaded."
    return Finding("no-subject", "error", message, suggestion="Fill in the patient's id.", **place)


def canonical(value: Value | None) -> str:
    """A value as the text that keys are made of: what it means, not how it was typed."""
    match value:
        case None:
            return ""
        case Code():
            return value.local or str(value.codings[0])
        case Quantity():
            return f"{value.comparator or ''}{value.number} {value.unit}"
        case Integer():
            return str(value.number)
        case Text():
            return value.text
        case PartialDate():
            return value.iso
        case Boolean():
            return str(value.truth)
        case Missing():
            return f"missing:{value.reason}"


@dataclass(frozen=True, slots=True)
class Keys:
    """What some fields say in each row, as one text: `texts[codes[n]]` in row n, and no text twice."""

    codes: Indices
    texts: Sequence[str]


def keys_of(columns: Sequence[SlotColumn], size: int) -> Keys:
    """The values of some columns as keys; "" in all `size` rows where there is no column."""
    texts = [[canonical(value) for value in column.values] for column in columns]

    def joined(*codes: int) -> str:
        return "\x1f".join(text[code] for text, code in zip(texts, codes, strict=True))

    found, which = once_per_combination([column.codes for column in columns], size, joined)
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(text, len(numbers)) for text in found], dtype=np.int32)
    return Keys(codes[which], list(numbers))


def pair_keys(first: Keys, second: Keys, mark: str = "\x1f") -> Keys:
    """Both keys as one."""
    texts, which = once_per_combination(
        [first.codes, second.codes],
        len(first.codes),
        lambda one, other: f"{first.texts[one]}{mark}{second.texts[other]}",
    )
    return Keys(which, texts)


def occurrences(sheet: Sheet, rows: Rows, columns: Mapping[str, Converted]) -> Keys | None:
    """What tells a patient's rows of this sheet apart; None where each patient has one row.

    With a key: the key's values. Without: the row's own content and a counter among equal rows, so that order never
    matters (DESIGN 3, occurrences).
    """
    if not sheet.many_rows:
        return None
    fields = sheet.row_key or tuple(sorted(columns))
    size = len(rows.subjects)
    found = keys_of([columns[name].column for name in fields if name in columns], size)
    if sheet.row_key:
        return found
    spot = spots(rows.subjects, found)
    order = np.argsort(spot, kind="stable")
    place = np.arange(size, dtype=np.int64)
    begins = np.diff(spot[order], prepend=-1) != 0
    nth = np.empty(size, dtype=np.int32)
    nth[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return pair_keys(found, Keys(nth, [str(n) for n in range(int(nth.max(initial=-1)) + 1)]), "\x1e")


def spots(subjects: Indices, keys: Keys | None) -> NDArray[np.int64]:
    """A number for each row, the same where patient and key are."""
    if keys is None:
        return subjects + np.int64(1)
    return (subjects + np.int64(1)) * len(keys.texts) + keys.codes


def without_duplicates(
    table: Table, sheet: Sheet, rows: Rows, keys: Keys | None, findings: list[Finding], who: Sequence[str]
) -> Rows:
    """Take out rows that say twice who or what they are about: equal ones once, contradicting ones altogether.

    Of a patient who goes by two ids since they were merged, the row with the id that stayed is the one that counts.
    """
    if sheet.many_rows and not sheet.row_key:
        return rows
    usable = rows.usable.copy()
    known = np.flatnonzero(rows.subjects >= 0)
    known = known[np.argsort(rows.merged[known], kind="stable")]
    _, firsts, which = np.unique(spots(rows.subjects, keys)[known], return_index=True, return_inverse=True)
    first_of = known[firsts[which.reshape(-1)]]
    again = known != first_of
    for row, first in zip(known[again].tolist(), first_of[again].tolist(), strict=True):
        subject = int(rows.subjects[row])
        merged = bool(rows.merged[row])
        outranked = merged and not rows.merged[first]
        told = [name for name in table.columns if not (merged and name == sheet.subject_field)]
        same = all(table.columns[name].codes[row] == table.columns[name].codes[first] for name in told)
        usable[row] = False
        if not same and not outranked:
            usable[first] = False
        source, where, cell = table.origin(row, sheet.subject_field)
        findings.append(
            Finding(
                rule="duplicate-row",
                severity="message" if same else "error",
                source=source,
                sheet=where,
                cell=cell,
                field=sheet.subject_field,
                subject=who[subject],
                expected=", ".join(sheet.row_key) or "one row per patient",
                message=f"Says the same as {table.origin(first, sheet.subject_field)[2]}; read once."
                if same
                else f"The same patient stands in {table.origin(first, sheet.subject_field)[2]} with other values; "
                + (
                    "this row, with the id that was merged into the other, was not loaded."
                    if outranked
                    else "neither row was loaded."
                ),
                suggestion="" if same else "Keep the right row, or correct the id.",
            )
        )
    return Rows(rows.subjects, usable, rows.merged)
