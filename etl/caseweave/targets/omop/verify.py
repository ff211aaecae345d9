"""What an OMOP database really holds, row by row: what somebody changed or deleted is told and written anew.

The ledger says which rows should be there, under which integers; what stands in them is made again from the workspace.
"""

from __future__ import annotations

import datetime
import decimal
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from caseweave.shapes.omop import Table
from caseweave.targets.ledger import find
from caseweave.targets.omop.database import FOUND_BY
from caseweave.targets.omop.periods import write_periods
from caseweave.targets.omop.transfer import Transfer
from caseweave.targets.records import Records, concatenate

AT_ONCE = 5000
PERIODS = "observation_period"
Rows = list[Sequence[object]]


@dataclass
class Verified:
    """What was found: how many rows were compared, and of each table how many differed or were gone."""

    compared: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    def add(self, other: Verified) -> None:
        """Put another's numbers to these."""
        self.compared += other.compared
        self.changed += other.changed
        self.gone += other.gone

    def as_dict(self) -> dict[str, object]:
        """The numbers as a manifest has them."""
        return {"compared": self.compared, "changed": dict(self.changed), "gone": dict(self.gone)}


def repair(part: Transfer, *, dry_run: bool = False) -> Verified:
    """Compare the rows that the ledger calls unchanged with what they should be, and write those anew that differ.

    >>> repair(Transfer(source, database, "breast", "main", conventions()))  # doctest: +SKIP
    Verified(compared=312, changed=Counter({'measurement': 1}), gone=Counter())

    Arguments: `part`, what should be there and where; `dry_run` only tells. The caller commits. What somebody else
    added stays: it isn't ours.
    """
    found = Verified()
    records = _unchanged(part)
    for name, columns, rows, _ in part.rows(records):
        table = part.database.shapes.tables[name]
        wrong = list(_wrong(part, table, columns, iter(rows), found))
        if wrong and not dry_run:
            _write(part, table, columns, wrong)
    _periods(part, found, dry_run)
    if not dry_run:
        for name, count in found.gone.items():
            part.database.lost(name, count)
    return found


def _unchanged(part: Transfer) -> Records:
    """The records that both ledgers tell alike, in the order of their integers there."""
    held = part.records_of(part.there, part.scope.subjects)
    match = find(part.made, held)
    known = np.flatnonzero(match >= 0)
    old = held.take(match[known])
    shared = find(*part.elsewhere)
    part.learn(
        concatenate([part.elsewhere[0].take(shared >= 0), part.made.take(known)]),
        np.concatenate([part.elsewhere[1].integer[shared[shared >= 0]], old.integer]),
    )
    alike = np.flatnonzero(part.made.hash[known] == old.hash)
    order = np.argsort(old.integer[alike], kind="stable")
    return part.made.take(known[alike][order])


def _wrong(
    part: Transfer, table: Table, columns: Sequence[str], rows: Iterator[Sequence[object]], found: Verified
) -> Iterator[Rows]:
    """The rows that should be there and aren't, together those that one key finds."""
    place = columns.index(FOUND_BY.get(table.name) or str(table.id_column))
    quoted = ", ".join(f'"{name}"' for name in columns)
    query = f'SELECT {quoted} FROM {table.name} WHERE "{columns[place]}" BETWEEN ? AND ?'
    moments = {n for n, name in enumerate(columns) if (one := table.field(name)) and one.datatype == "datetime"}
    while block := list(islice(rows, AT_ONCE)):
        wanted = _by_key(block, place)
        keys = [int(str(key)) for key in wanted]
        held = part.database.select(query, min(keys), max(keys))
        there = _by_key((row for row in held if row[place] in wanted), place)
        for key, ours in wanted.items():
            theirs = there.get(key, [])
            found.compared += len(ours)
            if _plain(ours, moments) != _plain(theirs, moments):
                lacking = max(len(ours) - len(theirs), 0)
                found.gone.update({table.name: lacking} if lacking else {})
                found.changed.update({table.name: len(ours) - lacking} if len(ours) > lacking else {})
                yield ours


def _by_key(rows: Iterable[Sequence[object]], place: int) -> dict[object, Rows]:
    found: defaultdict[object, Rows] = defaultdict(list)
    for row in rows:
        found[row[place]].append(row)
    return dict(found)


def _plain(rows: Iterable[Sequence[object]], moments: set[int]) -> list[tuple[str, ...]]:
    """Rows as databases of any kind would write them, in any order."""
    return sorted(tuple(_text(cell, n in moments) for n, cell in enumerate(row)) for row in rows)


def _text(cell: object, moment: bool) -> str:
    match cell:
        case None:
            return "null"
        case datetime.datetime():
            return f"'{cell.isoformat(' ')}"
        case int() | float() | decimal.Decimal():
            return repr(float(cell))
        case str() if moment:
            return f"'{datetime.datetime.fromisoformat(cell).isoformat(' ')}"
        case _:
            return "'" + str(cell).replace("\x00", "\ufffd")  # PostgreSQL holds no NUL


def _write(part: Transfer, table: Table, columns: Sequence[str], wrong: Sequence[Rows]) -> None:
    rows = [row for one in wrong for row in one]
    if table.name not in FOUND_BY:
        part.database.update(table.name, columns, rows)
        return
    key = FOUND_BY[table.name]
    place = columns.index(key)
    part.database.delete(table.name, key, sorted({int(str(row[place])) for row in rows}))
    part.database.insert(table.name, columns, rows)


def _periods(part: Transfer, found: Verified, dry_run: bool) -> None:
    """The observation periods, which the ledger tells by the first and the last day of each patient."""
    subjects = sorted({subject for subject, _ in part.there})
    persons = part.persons(subjects)
    query = f"SELECT person_id, observation_period_start_date, observation_period_end_date FROM {PERIODS}"
    given = {person: subject for subject, person in persons.items() if person}
    held = {
        int(str(person)): (str(start), str(end))
        for person, start, end in part.database.select(query)
        if int(str(person)) in given
    }
    spans = part.ledger.spans(subjects)
    for person, subject in given.items():
        if (span := spans.get(subject)) and held.get(person) != span:
            (found.changed if person in held else found.gone)[PERIODS] += 1
    found.compared += len(given)
    if not dry_run:
        write_periods(part.database, part.ledger, persons, part.conventions["case-report-form"])
