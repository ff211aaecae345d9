"""What a run must not do unasked: retract a sheet, or put older data over newer (DESIGN 4)."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from caseweave.errors import Refusal
from caseweave.issues import Finding
from caseweave.plan.apply import Applied
from caseweave.values.grid import Source

MOST_RETRACTED = 20
MOST_SHARE = 0.05


def refuse_mass_retraction(vanished: Mapping[str, int], held: Mapping[str, int]) -> None:
    """Stop a run that would empty a sheet, or retract more than 20 facts and more than 5 % of it.

    >>> refuse_mass_retraction({"diagnosis": 3}, {"diagnosis": 400})

    Arguments: by sheet, how many records would vanish and how many are held. Raises Refusal with the numbers.
    """
    grave = {
        sheet: (gone, held.get(sheet, 0))
        for sheet, gone in vanished.items()
        if gone and (gone >= held.get(sheet, 0) or (gone > MOST_RETRACTED and gone > MOST_SHARE * held[sheet]))
    }
    if grave:
        told = "; ".join(f"{sheet}: {gone} of {all_}" for sheet, (gone, all_) in sorted(grave.items()))
        raise Refusal(
            f"The run would retract too much ({told}); nothing was changed.",
            way_out="Look whether rows or columns got lost. If not, allow it with --retract all.",
            retracted=grave,
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


def refuse_older(state: Mapping[str, Any], sources: Sequence[Source], age: datetime.datetime, options: Any) -> None:
    """Stop a run whose sources are older than those of the last run, or were superseded before.

    Raises Refusal; `--force` allows it.
    """
    known = state.get("streams", {}).get(options.stream)
    if known is None or options.force:
        return
    mine = digests(sources)
    if mine in known["superseded"]:
        raise Refusal("These files were loaded before, and newer ones after them.",
                      way_out="Take the newest files, or load these again with --force.")  # fmt: skip
    if mine != known["latest"] and age < datetime.datetime.fromisoformat(known["as_of"]):
        raise Refusal(
            f"The files are as of {age:%Y-%m-%d %H:%M}, older than what was loaded last ({known['as_of'][:16]}).",
            way_out="Take the newest files, say their age with --as-of, or load them with --force.",
        )


def digests(sources: Sequence[Source]) -> str:
    """What a set of files holds, whatever their order."""
    return " ".join(sorted(source.sha256 for source in sources))


def loaded(state: Mapping[str, Any], sources: Sequence[Source], age: datetime.datetime, options: Any) -> dict[str, Any]:
    """The state after a run: what its stream loaded last, and what that superseded."""
    known = state.get("streams", {}).get(options.stream, {"latest": "", "superseded": []})
    mine = digests(sources)
    superseded = [one for one in {*known["superseded"], known["latest"]} if one and one != mine]
    entry = {"latest": mine, "as_of": age.isoformat(), "superseded": sorted(superseded)}
    return {**state, "streams": {**state.get("streams", {}), options.stream: entry}}
