"""Who belongs to the study: criteria of inclusion and exclusion, and what they come to for each patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from caseweave.plan.facts import Mask
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.judge import answers, of_patients
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import Rule
from caseweave.spec.evaluate import Presence

Verdict = Literal["included", "excluded", "undecided"]


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What the criteria come to for one patient; `reasons` are the rules that exclude, else those left undecided."""

    subject: str
    site: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


def eligibility(
    rules: Iterable[Rule], sheets: Mapping[str, SheetFacts], presence: Presence, sites: Sequence[str] = ()
) -> list[Eligibility]:
    """The verdict on each patient, in the order they were met; none at all where a study has no criteria.

    >>> eligibility([], {}, Presence())
    []

    Arguments: `rules` of the study; `sheets` by key, as applying it gave them; `sites` of the patients by number.
    """
    criteria = [rule for rule in rules if KINDS[rule.kind].rows == "patient"]
    if not criteria or not sheets:
        return []
    people = next(iter(sheets.values())).names
    out: list[list[str]] = [[] for _ in people]
    unclear: list[list[str]] = [[] for _ in people]
    for rule in criteria:
        met, broken = _standing(rule, sheets, presence, len(people))
        for number in np.flatnonzero(broken).tolist():
            out[number].append(rule.id)
        for number in np.flatnonzero(~met & ~broken).tolist():
            unclear[number].append(rule.id)
    present = np.zeros(len(people), dtype=bool)
    for facts in sheets.values():
        present[facts.rows.subjects[facts.rows.usable]] = True
    found = []
    for number in np.flatnonzero(present).tolist():
        verdict: Verdict = "excluded" if out[number] else "undecided" if unclear[number] else "included"
        reasons = tuple(out[number] or unclear[number])
        found.append(Eligibility(people[number], sites[number] if sites else "", verdict, reasons))
    return found


def _standing(rule: Rule, sheets: Mapping[str, SheetFacts], presence: Presence, people: int) -> tuple[Mask, Mask]:
    """Which patients meet a criterion, and which break it; those that do neither are undecided."""
    facts = sheets.get(rule.sheet)
    if facts is None:
        return np.zeros(people, dtype=bool), np.zeros(people, dtype=bool)
    return of_patients(rule, facts, answers(rule, facts, sheets, presence), people)
