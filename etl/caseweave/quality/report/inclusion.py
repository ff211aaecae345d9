"""Who belongs to the study, as the report tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caseweave.quality.criteria import Eligibility
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import Rule
from caseweave.quality.speech import Speech


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion of inclusion or exclusion: how many patients break it, and of how many it can't be told."""

    rule: str
    message: str
    broken: int
    open: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Who belongs to the study: patients by verdict, the criteria, and those who don't belong or can't be judged.

    Arguments: `verdicts` of all patients, "included", "excluded" or "undecided"; `patients` gives pseudonym, site,
    verdict and the criteria that decided, the excluded first.
    """

    verdicts: Mapping[str, int]
    criteria: tuple[Criterion, ...]
    patients: tuple[tuple[str, str, str, tuple[str, ...]], ...]


def inclusion_of(people: Sequence[Eligibility], rules: Sequence[Rule], speech: Speech) -> Inclusion | None:
    """What the verdicts on the patients come to; None where there are none."""
    if not people:
        return None
    named = Counter((reason, one.verdict) for one in people for reason in one.reasons)
    criteria = tuple(
        Criterion(rule.id, speech.text(rule.messages, rule.message), named[rule.id, "excluded"],
                  named[rule.id, "undecided"])
        for rule in rules
        if KINDS[rule.kind].rows == "patient"
    )  # fmt: skip
    order = ("excluded", "undecided")
    outside = sorted((one for one in people if one.verdict in order), key=lambda one: order.index(one.verdict))
    return Inclusion(
        Counter(one.verdict for one in people),
        criteria,
        tuple((one.subject, one.site, one.verdict, one.reasons) for one in outside),
    )
