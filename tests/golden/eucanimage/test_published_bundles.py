"""Every entry of EuCanImage's 29 published bundles pairs with a statement of ours, or with a line of differences.csv.

The codebook's label is the truth. A line of the differences names reasons; `reasons.py` says of each what it may
change and checks that it holds for the cell, so that a line can't excuse a fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.golden.eucanimage.ours import statements
from tests.golden.eucanimage.pairing import Difference, key, pair, read_differences
from tests.golden.eucanimage.published import (
    NOT_RECORDED,
    USE_CASES,
    Statement,
    UseCase,
    bare,
    codebook_text,
    labels,
    published,
    records,
)
from tests.golden.eucanimage.reasons import REASONS, Case

from caseweave.api import Result

# several published entries say what one statement of ours says
TOLD_ONCE = {"one-condition", "against-histology"}


@dataclass(frozen=True)
class Compared:
    """One use case: what was published, what we say, and what is left of both when all that is equal is taken away."""

    case: UseCase
    published: list[Statement]
    ours: list[Statement]
    published_left: list[Statement]
    ours_left: list[Statement]
    records: dict[str, dict[str, str]]
    labels: dict[str, dict[str, str]]
    codebook: str


@pytest.fixture(scope="module")
def compared(shared: Path, results: dict[str, Result], key_file: Path) -> list[Compared]:
    found = []
    for case in USE_CASES:
        theirs = published(case, shared)
        own = statements(case, results[case.study], key_file)
        found.append(
            Compared(
                case,
                theirs,
                own,
                *pair(theirs, own),
                records(case, shared),
                labels(case, shared),
                codebook_text(case, shared),
            )
        )
    return found


@pytest.fixture(scope="module")
def differences() -> list[Difference]:
    return read_differences()


def test_all_of_the_bundles_is_compared(compared: list[Compared]) -> None:
    everything = [one for use_case in compared for one in use_case.published]
    assert Counter(one.type for one in everything) == {
        "Observation": 555,
        "Condition": 79,
        "MedicationAdministration": 40,
        "Procedure": 9,
    }
    assert sum(NOT_RECORDED in (one.code, one.value) for one in everything) == 202
    assert len({one.record for one in everything}) == 29
    assert len({(one.record, one.variable) for one in everything}) == len(everything) == 683


def test_what_pairs_and_what_differs_is_everything(compared: list[Compared], differences: list[Difference]) -> None:
    left = [one for use_case in compared for one in use_case.published_left]
    told = [one for one in differences if one.published_code]
    wanted = Counter(key(one) for one in left)
    given = Counter(one.published for one in told)
    assert not wanted - given, f"{len(wanted - given)} published entries pair with nothing"
    assert not given - wanted, f"{len(given - wanted)} differences are of entries that pair, or of none"
    # the figures of the day, so that neither side can shrink unnoticed
    assert (683 - len(left), len(told)) == (296, 387)
    assert max(given.values()) == 1


def test_no_statement_of_ours_is_without_its_counterpart(
    compared: list[Compared], differences: list[Difference]
) -> None:
    ours = Counter(key(one) for use_case in compared for one in use_case.ours)
    left = Counter(key(one) for use_case in compared for one in use_case.ours_left)
    named = Counter(one.ours for one in differences if one.our_code and not set(one.reasons) & TOLD_ONCE)
    assert max(ours.values()) == 1
    assert not left - named, f"{len(left - named)} statements of ours pair with nothing"
    assert not named - left, f"{len(named - left)} differences name a statement that pairs, or that we don't make"
    again = {one.ours for one in differences if set(one.reasons) & TOLD_ONCE}
    assert again <= set(ours)


def test_every_reason_holds(compared: list[Compared], differences: list[Difference]) -> None:
    wrong = []
    for use_case in compared:
        by_name = {(one.record, one.variable): one for one in use_case.published}
        ours = {key(one): one for one in use_case.ours}
        for one in differences:
            if one.record not in use_case.records:
                continue
            row = use_case.records[one.record]
            cell = row.get(one.variable, "")
            listed = use_case.labels.get(one.variable, {})
            case = Case(
                published=by_name[one.record, one.variable] if one.published_code else None,
                ours=ours.get(one.ours) if one.our_code else None,
                cell=cell,
                label=listed.get(cell, ""),
                listed=bool(listed),
                row=row,
            )
            wrong += [f"{one.record} {one.variable}: {problem}" for problem in _problems(one, case, use_case)]
    assert not wrong, "\n".join(wrong)


def _problems(one: Difference, case: Case, use_case: Compared) -> list[str]:
    found = []
    may_change = set().union(*(REASONS[name].changes for name in one.reasons))
    changed = _changes(case)
    if not changed or changed - may_change:
        found.append(f"changes {sorted(changed)}, its reasons allow {sorted(may_change)}")
    found += [f"'{name}' doesn't hold" for name in one.reasons if not REASONS[name].holds(case)]
    if any(not REASONS[name].known for name in one.reasons) and not one.codebook:
        found.append("a reason that the issue doesn't know needs the codebook's text")
    found += [
        f"the codebook doesn't say '{text}'"
        for text in one.codebook.split(" / ")
        if bare(text) not in use_case.codebook
    ]
    return found


def _changes(case: Case) -> set[str]:
    if case.published is None:
        return {"own"}
    if case.ours is None:
        return {"absent"}
    changed = set()
    if case.said.type != case.own.type:
        changed.add("type")
    if case.said.code not in case.own.codes:
        changed.add("code")
    if not case.said.parts <= case.own.parts:
        changed.add("value")
    # the same statement published twice, of which ours pairs with the first
    return changed or {"code"}


def test_every_reason_is_used(differences: list[Difference]) -> None:
    assert {name for one in differences for name in one.reasons} == set(REASONS)
    counts = Counter(name for one in differences for name in one.reasons)
    assert counts["not-recorded"] == 202 and counts["psc"] == 14 and counts["label"] == 21
