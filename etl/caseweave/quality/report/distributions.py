"""How the key variables are distributed, told so that no patient can be read off.

Patients are counted, not rows. No bar stands for fewer than FEWEST of them: rare values are put together, and if too
few are together still, with the next one; the ends of a histogram are open. What identifies a person isn't shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.sheets import SheetFacts
from caseweave.quality.speech import Speech
from caseweave.spec.models import Field, FieldRef, Sheet, Study, fields_of
from caseweave.values.types import Code, Integer, PartialDate, Quantity

FEWEST = 5
MOST_CHARTS, MOST_DATES, MOST_BARS = 15, 3, 7
SHOWN = ("code", "number", "integer", "date")
# slots, by pattern, whose fields point to a person, however many share a value
POINTING = {"patient": ("birth", "age_at", "death", "race", "ethnicity"), "vital-status": ("at",)}
BINS = (12, 8, 6, 4, 3, 2)
Numbers = NDArray[np.float64]
Who = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chart:
    """One variable.

    Arguments: `kind` "codes" or "steps" (numbers and years, in their order); `bars`, label and patients, the label ""
    for values put together; `patients`, how many have a value; no bars where they are too few to be shown.
    """

    sheet: str
    label: str
    unit: str
    kind: str
    patients: int
    bars: tuple[tuple[str, int], ...]


def charts(study: Study, sheets: Mapping[str, SheetFacts], speech: Speech) -> list[Chart]:
    """The distributions of the key variables: the required ones first, then those that are filled most."""
    hidden = identifying(study)
    ranked = []
    for key, facts in sheets.items():
        sheet = study.sheet(key)
        for place, (name, one) in enumerate(sheet.fields.items()):
            if not _shown(sheet, one) or (key, name) in hidden or name not in facts.columns:
                continue
            filled = int(facts.columns[name].filled.sum())
            rank = (one.required is not True, not one.required, -filled)
            if filled:
                ranked.append((rank, list(sheets).index(key), place, facts, one))
    ranked.sort(key=lambda one: one[0])
    dates, others = ([one for one in ranked if (one[4].type == "date") is wanted] for wanted in (True, False))
    chosen = sorted(others[:MOST_CHARTS] + dates[:MOST_DATES], key=lambda one: one[1:3])
    return [_chart(study.sheet(facts.sheet.key), facts, one, speech) for _, _, _, facts, one in chosen]


def identifying(study: Study) -> frozenset[tuple[str, str]]:
    """Sheet and name of fields that point to a person: ids, and what says when somebody was born or died."""
    found = {(sheet.key, sheet.subject_field) for sheet in study.sheets}
    for one in study.statements:
        for slot in POINTING.get(one.pattern.name, ()):
            filler = one.slots.get(slot)
            if isinstance(filler, FieldRef):
                found.add((filler.sheet or one.sheet, filler.field))
            elif filler is not None:
                found |= {(one.sheet, name) for name in fields_of(filler)}
    return frozenset(found)


def _shown(sheet: Sheet, one: Field) -> bool:
    """Whether a field is a variable; one block of several alike stands for them all."""
    first = one.repeat is None or one.repeat_index == one.repeat.indices[0]
    bare = not (one.ignore or one.free_text or one.role) and one.name not in sheet.row_key
    unit = any(other.unit_field == one.name for other in sheet.fields.values())
    return first and bare and not unit and one.type in SHOWN


def _chart(sheet: Sheet, facts: SheetFacts, one: Field, speech: Speech) -> Chart:
    column = facts.columns[one.name].column
    usable = (facts.rows.subjects >= 0) & (column.codes > 0)
    who, codes = facts.rows.subjects[usable].astype(np.int64), column.codes[usable]
    values = column.values
    label = speech.text(one.label, one.column or one.name).replace("$i", one.repeat_index)
    said = (speech.text(sheet.title, sheet.name or sheet.key), label)
    if one.type == "code":
        named = [_code_label(one, value, speech) for value in values]
        there = np.array([bool(name) for name in named], dtype=bool)[codes]
        names = sorted({*named} - {""})
        place = np.array([names.index(name) if name else -1 for name in named])
        return Chart(*said, "", "codes", _people(who[there]), _codes(who[there], place[codes[there]], names))
    sizes = np.array([_size(value) for value in values], dtype=np.float64)[codes]
    there = ~np.isnan(sizes)
    whole = one.type != "number"
    unit = "" if one.type == "date" or one.unit == "1" else one.unit
    bars = _steps(who[there], sizes[there], whole)
    return Chart(*said, unit, "steps", _people(who[there]), bars)


def _code_label(one: Field, value: object, speech: Speech) -> str:
    if not isinstance(value, Code):
        return ""
    entry = one.valueset.values.get(value.local) if one.valueset else None
    return speech.text(entry.label, value.local) if entry else value.label or value.local


def _size(value: object) -> float:
    """A number or a year; a value with a comparator is none."""
    if isinstance(value, Integer):
        return float(value.number)
    if isinstance(value, PartialDate):
        return float(value.year)
    return float(value.number) if isinstance(value, Quantity) and not value.comparator else math.nan


def _people(who: Who) -> int:
    """How many different patients."""
    return int(np.count_nonzero(np.bincount(who)))


def _codes(who: Who, place: NDArray[np.int64], names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Bars of values, the most frequent first; rare ones together under "", and with the next if still too few."""
    have = np.zeros((len(names), int(who.max(initial=0)) + 1), dtype=np.bool_)  # which patients have which value
    have[place, who] = True
    count = have.sum(axis=1).tolist()
    ranked = sorted((n for n in range(len(names)) if count[n]), key=lambda n: (-count[n], names[n]))
    kept = [n for n in ranked if count[n] >= FEWEST]
    # one value too many would be told by the sum, so what is put together is never a small rest
    kept = kept if len(ranked) <= MOST_BARS + 1 else kept[:MOST_BARS]
    rest = [n for n in ranked if n not in kept]
    while rest and kept and have[rest].any(axis=0).sum() < FEWEST:
        rest.append(kept.pop())
    bars = [(names[n], count[n]) for n in kept]
    together = int(have[rest].any(axis=0).sum()) if rest else 0
    return tuple(bars + ([("", together)] if together >= FEWEST else []))


def _steps(who: Who, sizes: Numbers, whole: bool) -> tuple[tuple[str, int], ...]:
    """Bars of a histogram, as fine as no bar stands for too few; open at both ends, so that no extreme is told."""
    if _people(who) < 2 * FEWEST:
        return ()
    low, high = (float(one) for one in np.quantile(sizes, (0.02, 0.98)))
    for count in BINS:
        step = _nice((high - low) / count or 1.0, whole)
        edges = np.arange(math.floor(low / step), math.floor(high / step) + 2) * step
        places = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, max(len(edges) - 2, 0))
        bins = [int(edge) if whole or step >= 1 else round(float(edge), 6) for edge in edges[:-1]]
        counts = [_people(who[places == n]) for n in range(len(bins))]
        first, last = 0, len(bins) - 1
        while first < last and counts[first] < FEWEST:
            first += 1
            counts[first] = _people(who[places <= first])
        while first < last and counts[last] < FEWEST:
            last -= 1
            counts[last] = _people(who[places >= last])
        made = list(zip(bins, counts, strict=True))[first : last + 1]
        if len(made) > 1 and all(not n or n >= FEWEST for _, n in made):
            return tuple(_labelled(made))
    return ()


def _labelled(bins: Sequence[tuple[float, int]]) -> Iterator[tuple[str, int]]:
    yield f"<{bins[1][0]:g}", bins[0][1]
    for edge, count in bins[1:-1]:
        yield f"{edge:g}", count
    yield f"≥{bins[-1][0]:g}", bins[-1][1]


def _nice(step: float, whole: bool) -> float:
    """The next of 1, 2, 5, 10, 20 ... ; at least 1 for whole numbers.

    >>> _nice(3.2, True), _nice(0.013, False)
    (5.0, 0.02)
    """
    power = 10.0 ** math.floor(math.log10(step))
    found = next(one * power for one in (1.0, 2.0, 5.0, 10.0) if one * power >= step * (1 - 1e-9))
    return max(found, 1.0) if whole else round(found, 12)
