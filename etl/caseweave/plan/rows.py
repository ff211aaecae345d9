"""Whose row is it: subjects, rows that can't be used, and the occurrence that tells a patient's rows apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caseweave.identity.subjects import SubjectError, SubjectResolver
from caseweave.issues import Finding
from caseweave.plan.cells import Converted
from caseweave.plan.facts import Indices, Mask
from caseweave.plan.tables import Table
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

    def site_of(self, patient_id: str) -> str:
        if self.study.site is None or not self.study.site.matches:
            return ""
        found = re.match(self.study.site.matches, patient_id)
        return found[1] if found else ""


@dataclass(frozen=True)
class Rows:
    """Who is in each row of a table: `subjects` (-1: nobody), and whether the row can be used."""

    subjects: Indices
    usable: Mask


def identify(table: Table, sheet: Sheet, converted: Converted, subjects: Subjects, findings: list[Finding]) -> Rows:
    """Number the patient of each row; an id that can't be one makes the row unusable."""
    name = sheet.subject_field
    numbers = []
    for value in converted.column.values:
        try:
            numbers.append(subjects.number(value.text) if isinstance(value, Text) else -1)
        except SubjectError as error:
            numbers.append(-2)
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
    found = np.where(found == -2, -1, found).astype(np.int32)
    return Rows(found, found >= 0)


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


def occurrences(sheet: Sheet, rows: Rows, columns: Mapping[str, Converted]) -> list[str] | None:
    """What tells a patient's rows of this sheet apart; None where each patient has one row.

    With a key: the key's values. Without: the row's own content and a counter among equal rows, so that order never
    matters (DESIGN 3, occurrences).
    """
    if not sheet.many_rows:
        return None
    fields = sheet.row_key or tuple(sorted(columns))
    texts = [[canonical(value) for value in columns[name].column.values] for name in fields if name in columns]
    codes = [columns[name].column.codes.tolist() for name in fields if name in columns]
    found = [
        "\x1f".join(text[code] for text, code in zip(texts, line, strict=True)) for line in zip(*codes, strict=True)
    ] or [""] * len(rows.subjects)
    if sheet.row_key:
        return found
    seen: Counter[tuple[int, str]] = Counter()
    counted = []
    for subject, content in zip(rows.subjects.tolist(), found, strict=True):
        counted.append(f"{content}\x1e{seen[subject, content]}")
        seen[subject, content] += 1
    return counted


def without_duplicates(
    table: Table, sheet: Sheet, rows: Rows, keys: Sequence[str] | None, findings: list[Finding], who: Sequence[str]
) -> Rows:
    """Take out rows that say twice who or what they are about: equal ones once, contradicting ones altogether."""
    subjects = rows.subjects.tolist()
    keyed = sheet.row_key or not sheet.many_rows
    if not keyed:
        return rows
    seen: dict[tuple[int, str], int] = {}
    usable = rows.usable.copy()
    for row, subject in enumerate(subjects):
        if subject < 0:
            continue
        first = seen.setdefault((subject, keys[row] if keys else ""), row)
        if first == row:
            continue
        same = all(column.codes[row] == column.codes[first] for column in table.columns.values())
        usable[row] = False
        if not same:
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
                "neither row was loaded.",
                suggestion="" if same else "Keep the right row, or correct the id.",
            )
        )
    return Rows(rows.subjects, usable)
