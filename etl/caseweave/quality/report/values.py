"""The parts of the page about values: completeness, rules, distributions, what was not understood, the balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caseweave.quality.report.distributions import FEWEST, Chart
from caseweave.quality.report.measure import Measures, SheetShares
from caseweave.quality.report.pieces import bar, bars, heat, histogram, soft, swatch, table, tag, text
from caseweave.quality.report.shares import Share
from caseweave.quality.speech import Speech, number

SHOWN_FIELDS = 4
OUTCOMES = {"loaded": "b-good", "ignored": "b-grey", "missing": "b-doubt", "rejected": "b-bad"}


def _site_heads(measures: Measures, speech: Speech) -> list[tuple[str, str]]:
    if len(measures.site_names) < 2:
        return []
    pairs = zip(measures.site_names, measures.site_patients, strict=True)
    return [(f"{_site(name, speech)} ({number(count)})", "h") for name, count in pairs]


def _site(name: str, speech: Speech) -> str:
    return {"": speech("no_site"), "others": speech("other_sites")}.get(name, name)


def _site_cells(measures: Measures, shares: Sequence[Share], required: bool = True) -> str:
    return "".join(heat(one, required) for one in shares) if len(measures.site_names) > 1 else ""


def completeness(measures: Measures, speech: Speech) -> str:
    """Required cells that are filled, by sheet and site."""
    heads = [(speech("sheet"), ""), (speech("rows"), "n"), (speech("all"), "h"), *_site_heads(measures, speech)]
    rows = [
        f'<td class="name">{text(one.title)}</td><td class="n">{number(one.rows)}</td>{heat(one.all)}'
        f"{_site_cells(measures, one.sites)}"
        for one in measures.sheets
    ]
    return f"<h2>{speech('completeness')}</h2>{soft(speech('completeness_about'))}{table(heads, rows, 'heat')}"


def fields(measures: Measures, speech: Speech) -> str:
    """The same by field."""
    shown = "".join(_sheet_fields(measures, one, speech) for one in measures.sheets)
    return f"<h2>{speech('by_field')}</h2>{soft(speech('by_field_about'))}{shown}"


def _sheet_fields(measures: Measures, sheet: SheetShares, speech: Speech) -> str:
    shown = [one for one in sheet.fields if one.all.part < one.all.whole]
    shown.sort(key=lambda one: (not one.required, one.all.percent or 0))
    heads = [(speech("field"), ""), (speech("all"), "h"), *_site_heads(measures, speech)]
    rows = [
        f'<td class="name">{text(one.label)}{" *" if one.required else ""} '
        f'<span class="soft small">{text(one.name)}</span></td>{heat(one.all, one.required)}'
        f"{_site_cells(measures, one.sites, one.required)}"
        for one in shown
    ]
    complete = len(sheet.fields) - len(shown)
    said = [speech("fields_filled", fields=speech.counted(complete, "field"))] if complete else []
    said += [speech("fields_unused", fields=speech.counted(sheet.unused, "field"))] if sheet.unused else []
    half = (len(rows) + 1) // 2
    halves = [table(heads, part, "heat") for part in (rows[:half], rows[half:]) if part]
    note = soft(f"{'; '.join(said)}." if said else "")
    return f'<h3>{text(sheet.title)}</h3>{note}<div class="two">{"".join(halves)}</div>'


def rules(measures: Measures, speech: Speech) -> str:
    """Findings by rule and severity."""
    if not measures.rules:
        return f"<h2>{speech('by_rule')}</h2><p>{speech('none')}</p>"
    heads = [(speech("severity"), ""), (speech("rule"), ""), (speech("category"), ""), (speech("findings"), "n"),
             (speech("patients"), "n"), (speech("fields"), ""), (speech("says"), "")]  # fmt: skip
    rows = []
    for one in measures.rules:
        named = ", ".join(one.fields[:SHOWN_FIELDS])
        rest = len(one.fields) - SHOWN_FIELDS
        named += f" {speech('and_more', count=number(rest))}" if rest > 0 else ""
        rows.append(
            f"<td>{tag(one.severity, speech.severity(one.severity))}</td><td>{text(one.rule)}</td>"
            f'<td class="small">{speech("category_" + one.category)}</td>'
            f'<td class="n">{number(one.count)}</td><td class="n">{number(one.patients)}</td>'
            f'<td class="small">{text(named)}</td><td class="small">{text(one.message)}</td>'
        )
    return f"<h2>{speech('by_rule')}</h2>{table(heads, rows)}"


def distributions(measures: Measures, speech: Speech) -> str:
    """How the key variables are distributed; too small counts are put together."""
    if not measures.charts:
        return ""
    shown = "".join(_chart(one, speech) for one in measures.charts)
    about = soft(speech("distributions_about", fewest=FEWEST))
    return f'<h2>{speech("distributions")}</h2>{about}<div class="cards">{shown}</div>'


def _chart(one: Chart, speech: Speech) -> str:
    if not one.bars:
        drawn = f'<p class="soft small">{speech("too_few")}</p>'
    elif one.kind == "codes":
        others = f"<i>{speech('others')}</i>"
        drawn = bars([(text(label) if label else others, count) for label, count in one.bars], one.patients)
    else:
        drawn = histogram(one.bars)
    unit = f" ({text(one.unit)})" if one.unit else ""
    under = f"{text(one.sheet)} · {speech.counted(one.patients, 'patient')}"
    return f'<div class="card"><h4>{text(one.label)}{unit}</h4><p class="soft small">{under}</p>{drawn}</div>'


def unmapped(measures: Measures, concepts: Mapping[str, int], speech: Speech) -> str:
    """Values that no value set knows: how many, never which."""
    without = concepts["codes"] - concepts["standard"]
    said = speech("no_concept", codes=speech.counted(without, "code"), of=number(concepts["codes"])) if without else ""
    lines = [f"<p>{said}</p>" if said else ""]
    if measures.unmapped:
        heads = [(speech("sheet"), ""), (speech("field"), ""), (speech("values"), "n"), (speech("cells"), "n")]
        rows = [
            f'<td>{text(sheet)}</td><td>{text(field)}</td><td class="n">{number(values)}</td>'
            f'<td class="n">{number(cells)}</td>'
            for sheet, field, values, cells in measures.unmapped
        ]
        lines.append(table(heads, rows, "heat"))
    else:
        lines.append(f"<p>{speech('all_mapped')}</p>")
    return f"<h2>{speech('unmapped')}</h2>{soft(speech('unmapped_about'))}{''.join(lines)}"


def balance_of(balance: Mapping[str, int], speech: Speech) -> str:
    """Where every cell went."""
    said = " + ".join(f"{number(balance[one])} {speech(f'outcome_{one}')}" for one in OUTCOMES)
    key = " ".join(swatch(css, speech(f"outcome_{one}")) for one, css in OUTCOMES.items())
    drawn = bar([(balance[one], css) for one, css in OUTCOMES.items()], 22)
    told = speech("balance_about", cells=number(balance["cells"]))
    return f"<h2>{speech('balance')}</h2><p>{told} = {said}.</p>{drawn}{soft(key)}"
