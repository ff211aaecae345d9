"""What a run must not do unasked: retract a sheet, or put older data over newer (DESIGN 4)."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caseweave.errors import Refusal
from caseweave.issues import Finding
from caseweave.plan.apply import Applied
from caseweave.targets.ledger import Difference, Ledger
from caseweave.targets.records import Records
from caseweave.targets.scope import Scope
from caseweave.values.grid import Source

if TYPE_CHECKING:
    from caseweave.run.convert import Conversion

MOST_RETRACTED = 20
MOST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Retraction:
    """What a run would retract in one target.

    Arguments: by sheet, how many records would vanish and, where any would, how many are held.
    """

    vanished: Mapping[str, int]
    held: Mapping[str, int]

    @classmethod
    def of(cls, change: Difference, scope: Scope, ledger: Ledger) -> Retraction:
        """What a difference retracts; a fact that only moves to another table or type is none of it."""
        new, gone = (_facts(records) for records in (change.new, change.vanished))
        units = change.vanished.unit[~np.isin(gone, new)].tolist()
        return cls(dict(Counter(scope.units[unit][1] for unit in units)), ledger.holds() if units else {})

    def grave(self) -> dict[str, tuple[int, int]]:
        """The sheets that would be emptied, or lose more than 20 records and more than 5 %."""
        counts = {sheet: (gone, self.held.get(sheet, 0)) for sheet, gone in self.vanished.items() if gone}
        return {
            sheet: (gone, held)
            for sheet, (gone, held) in counts.items()
            if gone >= held or (gone > MOST_RETRACTED and gone > MOST_SHARE * held)
        }


def _facts(records: Records) -> NDArray[np.void]:
    return np.ascontiguousarray(records.ids).view("V20").reshape(-1)


def refuse_mass_retraction(fhir: Retraction, omop: Retraction) -> None:
    """Stop a run that would empty a sheet, or retract more than 20 facts and more than 5 % of it, in either target.

    >>> refuse_mass_retraction(Retraction({"diagnosis": 3}, {"diagnosis": 400}), Retraction({}, {}))

    Raises Refusal with the numbers: resources, and of OMOP rows where those of the resources don't say it already.
    """
    grave, rows = fhir.grave(), omop.grave()
    if not grave and not rows:
        return
    told = [f"{sheet}: {gone} of {held}" for sheet, (gone, held) in sorted(grave.items())]
    told += [f"{sheet}: {gone} of {held} in OMOP"
             for sheet, (gone, held) in sorted(rows.items()) if sheet not in grave]  # fmt: skip
    raise Refusal(
        f"The run would retract too much ({'; '.join(told)}); nothing was changed.",
        way_out="Look whether rows or columns got lost, or values that rows can't be without, such as dates. If not, "
        "allow it with --retract all.",
        retracted=grave,
        retracted_omop=rows,
    )


def retractions(vanished: Mapping[str, int]) -> Iterator[Finding]:
    """Say how many records of earlier runs were retracted, sheet by sheet."""
    for sheet, count in sorted(vanished.items()):
        if count:
            yield Finding(rule="retracted", severity="message", sheet=sheet,
                          message=f"{count} resources that earlier files told were retracted.")  # fmt: skip


def disagreements(applied: Applied, conflicts: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """Say which facts another stream tells differently; what it says stands.

    Arguments: `conflicts` as (batch, fact).
    """
    told = set()
    for batch, fact in sorted(conflicts):
        made = applied.facts.batches[batch]
        facts, row = applied.sheets[made.sheet], int(made.rows[fact])
        slots = sorted(made.slots.items(), key=lambda item: item[0] != "value")
        fields = [name for _, slot in slots for name in slot.fields if name in facts.columns]
        spot = (made.sheet, row, fields[0] if fields else facts.sheet.subject_field)
        if spot not in told:
            told.add(spot)
            yield facts.finding(row, spot[2], rule="streams-disagree", severity="error",
                                message="Another stream says something else of this; that stands.",
                                suggestion="Correct it in the stream that is wrong.")  # fmt: skip


def age_of(sources: Sequence[Source], as_of: datetime.datetime | None) -> datetime.datetime:
    """How old a run's sources are: as said, else the newest workbook's own time; a csv counts as of now."""
    now = datetime.datetime.now(datetime.UTC)
    ages = [_aware(source.modified) if source.modified else now for source in sources]
    return _aware(as_of) if as_of else max(ages, default=now)


def _aware(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def spoken_of(conversion: Conversion) -> list[str]:
    """What a run's sources speak of, where newer ones take the place of older ones: each sheet, of each site."""
    sites = sorted(set(conversion.applied.subjects.sites)) or [""]
    return [f"{sheet}@{site}" if site else sheet for sheet in conversion.sheets for site in sites]


def refuse_older(
    state: Mapping[str, Any], sources: Sequence[Source], spoken: Sequence[str], age: datetime.datetime, options: Any
) -> None:
    """Stop a run whose sources are older than those that spoke of the same last, or were superseded by such before.

    Arguments: `spoken`, as `spoken_of` gives it. Raises Refusal; `--force` allows it.
    """
    known = state.get("streams", {}).get(options.stream)
    if known is None or options.force:
        return
    mine, before = digests(sources), [one for spot in spoken if (one := _last(known, spot))]
    if any(mine in one["superseded"] for one in before):
        raise Refusal("These files were loaded before, and newer ones after them.",
                      way_out="Take the newest files, or load these again with --force.")  # fmt: skip
    others = [one["as_of"] for one in before if mine != one["latest"]]
    newer = [one for one in others if age < datetime.datetime.fromisoformat(one)]
    if newer:
        raise Refusal(
            f"The files are as of {age:%Y-%m-%d %H:%M}, older than what was loaded last ({max(newer)[:16]}).",
            way_out="Take the newest files, say their age with --as-of, or load them with --force.",
        )


def _last(known: Mapping[str, Any], spot: str) -> Mapping[str, Any] | None:
    """What was loaded of a sheet; workspaces of before knew it of all sheets together."""
    found: Mapping[str, Any] | None = known.get("spoken", {}).get(spot)
    return found or (known if "latest" in known else None)


def digests(sources: Sequence[Source]) -> str:
    """What a set of files holds, whatever their order."""
    return " ".join(sorted(source.sha256 for source in sources))


def loaded(
    state: Mapping[str, Any], sources: Sequence[Source], spoken: Sequence[str], age: datetime.datetime, options: Any
) -> dict[str, Any]:
    """The state after a run: what was loaded last of each sheet that it spoke of, and what that superseded."""
    known = state.get("streams", {}).get(options.stream, {})
    mine = digests(sources)
    entries = dict(known.get("spoken", {}))
    for spot in spoken:
        before = _last(known, spot) or {"latest": "", "superseded": []}
        superseded = [one for one in {*before["superseded"], before["latest"]} if one and one != mine]
        entries[spot] = {"latest": mine, "as_of": age.isoformat(), "superseded": sorted(superseded)}
    return {**state, "streams": {**state.get("streams", {}), options.stream: {**known, "spoken": entries}}}
