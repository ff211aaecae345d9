"""Rules held against the sheets: the rows that each is about, those that break it, and the findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caseweave.issues import Finding
from caseweave.plan.conditions import holds
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.links import same_patient
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.across import aggregated
from caseweave.quality.kinds import KINDS, negated
from caseweave.quality.rules import ACROSS, Rule
from caseweave.quality.runnable import unable_because
from caseweave.quality.together import TOGETHER
from caseweave.spec.evaluate import Presence
from caseweave.spec.syntax import names

Sheets = Mapping[str, SheetFacts]
# which row of one sheet goes with each row of another, by both keys: found once for all rules
Places = dict[tuple[str, str], Indices]


def judge(rules: Iterable[Rule], presence: Presence, sheets: Sheets, sites: Sequence[str] = ()) -> list[Finding]:
    """The findings of rules, in their order; the cells that a rule rejects are blocked when all rules have spoken.

    Arguments: `sheets` by key, as applying the study gave them; `sites` of the patients, by their number.
    """
    places: Places = {}
    told = [(rule, row, one) for rule in rules for row, one in _told(rule, sheets, presence, sites, places)]
    rejected: dict[tuple[str, str], list[int]] = {}
    for rule, row, _ in told:
        if rule.blocks and row >= 0:
            rejected.setdefault((rule.sheet, rule.mark), []).append(row)
    for (key, name), rows in rejected.items():
        _block(sheets, key, name, rows)
    return [finding for _, _, finding in told]


def contradictions(
    rules: Iterable[Rule], sheets: Sheets, presence: Presence, sites: Sequence[str] = ()
) -> Sequence[Finding]:
    """The findings of rules, in their order; nothing is blocked. A sheet that isn't in the sources has none."""
    places: Places = {}
    return [finding for rule in rules for _, finding in _told(rule, sheets, presence, sites, places)]


def _told(
    rule: Rule, sheets: Sheets, presence: Presence, sites: Sequence[str], places: Places
) -> Iterator[tuple[int, Finding]]:
    """What one rule says, each with its row; -1 where no row is to blame."""
    facts = sheets.get(rule.sheet)
    if facts is None:
        return
    kind = KINDS[rule.kind]
    if kind.rows == "together":
        yield from TOGETHER[rule.kind](rule, facts, asked_of_rows(rule, facts, sheets, presence, places)[1], sites)
        return
    if kind.rows == "patient":
        return  # a criterion finds no fault in the data: see criteria.eligibility
    if unable_because(rule, sheets):
        if rule.kind == "required" and rule.mark not in facts.table.columns:
            return
        # what only a missing column leaves open is no fault of a row
        rule = replace(rule, undecided=False)
    for row in np.flatnonzero(verdict(rule, facts, sheets, presence, places)[1]).tolist():
        yield row, finding_of(rule, facts, row)


def _block(sheets: Sheets, key: str, name: str, rows: Sequence[int]) -> None:
    """Block a field in some rows of a sheet, and in the rows that are joined to them."""
    facts = sheets[key]
    mask = np.zeros(facts.table.size, dtype=bool)
    mask[list(rows)] = True
    home, there = facts, mask
    if name in facts.table.joined:
        other, places = facts.table.joined[name]
        home = sheets[other.sheet]
        there = np.zeros(home.table.size, dtype=bool)
        there[places[mask & (places >= 0)]] = True
        facts.block(name, mask)
    home.block(name, there)
    for one in sheets.values():
        joined = one.table.joined.get(name)
        if joined is not None and joined[0].sheet == home.sheet.key:
            one.block(name, np.where(joined[1] >= 0, there[joined[1]], False))


def finding_of(rule: Rule, facts: SheetFacts, row: int) -> Finding:
    """What a rule says of the marked cell of one row."""
    message = rule.message
    if "{place}" in message:
        _, sheet, cell = facts.table.origin(row, rule.mark)
        message = message.replace("{place}", f"{sheet}!{cell}")
    return facts.finding(row, rule.mark, rule=rule.id, severity=rule.severity, message=message, expected=rule.expected)


Values = Mapping[str, SlotColumn]


def asked_of_rows(
    rule: Rule, facts: SheetFacts, sheets: Sheets, presence: Presence, places: Places | None = None
) -> tuple[Values, Mask]:
    """What a rule can name in each row of its sheet, and the rows that it is about.

    Arguments: `places`, what was found of other sheets for other rules.
    """
    values = {**facts.values, **elsewhere(rule, facts, sheets, places)}
    return values, facts.rows.usable & holds(rule.when, values, facts.table.size, presence)


@dataclass(frozen=True, slots=True)
class Answers:
    """Row by row: whether a rule is about it, is kept there, and is broken there; neither of both is undecided."""

    about: Mask
    kept: Mask
    broken: Mask


def answers(rule: Rule, facts: SheetFacts, sheets: Sheets, presence: Presence) -> Answers:
    """What a rule comes to in each row of its sheet."""
    assert rule.expr is not None
    size = facts.table.size
    values, about = asked_of_rows(rule, facts, sheets, presence)
    kept = about & holds(rule.expr, values, size, presence)
    return Answers(about, kept, about & holds(negated(rule.expr), values, size, presence))


def verdict(
    rule: Rule, facts: SheetFacts, sheets: Sheets, presence: Presence, places: Places | None = None
) -> tuple[Mask, Mask]:
    """The rows that a rule is about, and those of them that break it; for one that judges each row by itself.

    Arguments: `facts` of the rule's own sheet; `sheets` by key, for what it names of others; `places`,
    what was found of them for other rules.
    """
    assert rule.expr is not None
    size = facts.table.size
    values, about = asked_of_rows(rule, facts, sheets, presence, places)
    if rule.kind == "required" and rule.mark in facts.columns:
        about = about & ~facts.columns[rule.mark].rejected  # filled, though with what was told already
    if rule.undecided:
        return about, about & ~holds(rule.expr, values, size, presence)
    return about, about & holds(negated(rule.expr), values, size, presence)


def of_patients(rule: Rule, facts: SheetFacts, found: Answers, people: int) -> tuple[Mask, Mask]:
    """Which patients meet a criterion, and which break it; the others have no row, or one that leaves it open.

    A criterion of inclusion asks for one row in which it holds, one of exclusion for none in which it doesn't.
    """

    def who(rows: Mask) -> Mask:
        mask = np.zeros(people, dtype=bool)
        mask[facts.rows.subjects[rows]] = True
        return mask

    asked, kept, broken = who(found.about), who(found.kept), who(found.broken)
    unclear = who(found.about & ~found.kept & ~found.broken)
    unasked = who(facts.rows.usable) & ~asked
    if rule.kind == "inclusion":
        return kept | unasked, broken & ~kept & ~unclear
    return (kept & ~broken & ~unclear) | unasked, broken


def elsewhere(rule: Rule, facts: SheetFacts, sheets: Sheets, places: Places | None = None) -> dict[str, SlotColumn]:
    """What a rule names of other sheets, row by row; absent where they say nothing of it, or several things."""
    used = {name for part in (rule.expr, rule.when) if part is not None for name in names(part)}
    found: dict[str, SlotColumn] = {}
    places = {} if places is None else places
    for name in sorted(used):
        if ACROSS.fullmatch(name):
            found[name] = aggregated(name, facts, sheets)
            continue
        key, dot, field_name = name.partition(".")
        other = sheets.get(key) if dot else None
        if other is None or field_name not in other.columns:
            continue
        pair = (facts.sheet.key, key)
        if pair not in places:
            places[pair] = rows_there(facts, other)
        column, rows = other.columns[field_name].column, places[pair]
        codes = np.where(rows >= 0, column.codes[rows], 0).astype(np.int32)
        found[name] = SlotColumn(codes, column.values, (field_name,))
    return found


def rows_there(facts: SheetFacts, other: SheetFacts) -> Indices:
    """For each row the one of another sheet about the same patient and shared keys; -1 for none or more than one."""
    if other is facts:
        return np.arange(facts.table.size, dtype=np.int32)
    rows = np.flatnonzero(other.rows.usable).astype(np.int32)
    found = same_patient(facts, other, rows)
    return np.where(found >= 0, rows[found], -1).astype(np.int32) if len(rows) else found
