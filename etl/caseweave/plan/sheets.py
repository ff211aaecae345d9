"""Sheets on their way from cells to values: who is in each row, what each field holds, what must be there and isn't."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from caseweave.issues import Finding
from caseweave.plan.cells import Converted, DatesRead, FieldReader, read_field
from caseweave.plan.conditions import holds
from caseweave.plan.facts import Mask, SlotColumn
from caseweave.plan.rows import Keys, Rows, Subjects, canonical, identify, keys_of, occurrences, without_duplicates
from caseweave.plan.tables import Table, join
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Field, Sheet, Study


@dataclass
class SheetFacts:
    """One sheet as values.

    Arguments: `keys` tell a patient's rows apart; `loaded` marks, per field, the cells that a fact was made of,
    `blocked` those that a rule rejects.
    """

    sheet: Sheet
    table: Table
    rows: Rows
    columns: dict[str, Converted]
    keys: Keys | None
    loaded: dict[str, Mask]
    names: Sequence[str]
    blocked: dict[str, Mask] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, SlotColumn]:
        """The fields as columns of values."""
        return {name: one.column for name, one in self.columns.items()}

    @property
    def admitted(self) -> dict[str, SlotColumn]:
        """The fields as columns of values, without those that a rule rejects."""
        found = self.values
        for name, rows in self.blocked.items():
            found[name] = replace(found[name], codes=np.where(rows, 0, found[name].codes).astype(np.int32))
        return found

    def block(self, name: str, rows: Mask) -> None:
        """Let no fact be made of a field in some rows; of the patient's id, of nothing in the row."""
        if name == self.sheet.subject_field:
            self.rows.usable[rows] = False
        elif name in self.columns:
            self.blocked[name] = self.blocked.get(name, np.zeros(self.table.size, dtype=bool)) | rows

    def finding(self, row: int, field: str, **said: Any) -> Finding:
        """A finding about one field of one row, with its place and patient."""
        source, sheet, cell = self.table.origin(row, field)
        return Finding(source=source, sheet=sheet, cell=cell, field=field, subject=self.who(row), **said)

    def who(self, row: int) -> str:
        """The pseudonym of the patient in a row; "" where there is none."""
        subject = self.rows.subjects[row]
        return self.names[subject] if subject >= 0 else ""

    def keys_of(self, names: Sequence[str]) -> Keys:
        """What some fields say in each row, as one text."""
        return keys_of([self.columns[name].column for name in names], self.table.size)


@dataclass
class SheetReader:
    """Reads the sheets of a study out of their tables; what is wrong goes to `findings`."""

    study: Study
    tables: Mapping[str, Table]
    subjects: Subjects
    presence: Presence
    today: datetime.date
    findings: list[Finding]
    dates: DatesRead = field(default_factory=dict)

    def read(self, sheet: Sheet) -> SheetFacts:
        """One sheet: its rows by patient, its fields as values."""
        table = self.tables[sheet.key]
        told: list[Finding] = []
        ids = self.field(sheet.fields[sheet.subject_field], table, told)
        rows = identify(table, sheet, ids, self.subjects, self.findings)
        self.findings.extend(told)
        if sheet.join is not None and sheet.join.sheet in self.tables:
            other = self.tables[sheet.join.sheet]
            table = join(table, other, self.texts(table, sheet.join.on), self.texts(other, sheet.join.on))
        facts = SheetFacts(sheet, table, rows, {sheet.subject_field: ids}, None, {}, self.subjects.names)
        for name in table.columns:
            one = self.field_of(sheet, name)
            if name != sheet.subject_field and not one.ignore:
                # a joined field's problems are told where its own sheet is read
                found: list[Finding] = [] if name in table.joined else self.findings
                reader = FieldReader(self.study, one, self.today, self.dates)
                facts.columns[name] = read_field(reader, table, found, facts.who)
        own = {name: column for name, column in facts.columns.items() if name not in table.joined}
        facts.keys = occurrences(sheet, rows, own)
        facts.rows = without_duplicates(table, sheet, rows, facts.keys, self.findings, self.subjects.names)
        facts.loaded = {name: np.zeros(table.size, dtype=bool) for name in table.columns}
        return facts

    def field(self, one: Field, table: Table, told: list[Finding]) -> Converted:
        return read_field(FieldReader(self.study, one, self.today, self.dates), table, told, lambda row: "")

    def field_of(self, sheet: Sheet, name: str) -> Field:
        if name in sheet.fields:
            return sheet.fields[name]
        assert sheet.join is not None
        return self.study.sheet(sheet.join.sheet).fields[name]

    def texts(self, table: Table, name: str) -> list[str]:
        column = self.field(self.study.sheet(table.sheet).fields[name], table, []).column
        texts = [canonical(value) for value in column.values]
        return [texts[code] for code in column.codes.tolist()]

    def take_out_orphans(self, sheets: Mapping[str, SheetFacts], known_subjects: frozenset[str]) -> None:
        """A row of a patient whom no sheet with a patient statement names belongs to nobody.

        Arguments: `known_subjects` are patients of earlier runs.
        """
        homes = [one.sheet for one in self.study.statements if one.pattern.name == "patient" and one.sheet in sheets]
        if not homes:
            return
        known = np.array([name in known_subjects for name in self.subjects.names] + [False], dtype=bool)
        for home in homes:
            rows = sheets[home].rows
            known[rows.subjects[rows.usable]] = True
        known[-1] = False
        for key, facts in sheets.items():
            if key in homes:
                continue
            orphans = (facts.rows.subjects >= 0) & ~known[facts.rows.subjects]
            facts.rows.usable[orphans] = False
            self.findings.extend(
                facts.finding(
                    row, facts.sheet.subject_field, rule="orphan-row", severity="error",
                    message=f"Sheet {' or '.join(homes)} has no usable row of this patient; this one was not loaded.",
                    suggestion="Correct the id, or add the patient there.",
                )
                for row in np.flatnonzero(orphans).tolist()
            )  # fmt: skip

    def check_required(self, facts: SheetFacts) -> None:
        """Required fields that are blank, where they are required."""
        for name, one in facts.sheet.fields.items():
            if not one.required or name not in facts.columns or name == facts.sheet.subject_field:
                continue
            needed = facts.rows.usable & ~facts.columns[name].filled
            if one.required is not True:
                needed &= holds(one.required, facts.values, facts.table.size, self.presence)
            self.findings.extend(
                facts.finding(row, name, rule="required", severity="error", expected="a value or a missing code",
                              message="This field must be filled.")
                for row in np.flatnonzero(needed).tolist()
            )  # fmt: skip

    def check_gaps(self, facts: SheetFacts) -> None:
        """Repeated fields that leave one out: the second is filled and the first isn't."""
        for name, one in facts.sheet.fields.items():
            if one.repeat is None or one.repeat.gaps == "allow" or name not in facts.columns:
                continue
            place = one.repeat.indices.index(one.repeat_index)
            before = next((other.name for other in facts.sheet.fields.values() if place and other.base == one.base
                           and other.repeat_index == one.repeat.indices[place - 1]), None)  # fmt: skip
            if before is None or before not in facts.columns:
                continue
            gap = facts.rows.usable & facts.columns[name].filled & ~facts.columns[before].filled
            self.findings.extend(
                facts.finding(row, name, rule="gap", severity=one.repeat.gaps, expected=f"{before} filled first",
                              message="The one before it is blank.")
                for row in np.flatnonzero(gap).tolist()
            )  # fmt: skip
