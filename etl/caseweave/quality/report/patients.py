"""The parts of the page that name patients, by pseudonym: who needs work, who belongs, who lacks what."""

from __future__ import annotations

from collections.abc import Sequence

from caseweave.quality.report.measure import Measures, Patient
from caseweave.quality.report.pieces import bar, heat, histogram, soft, strip, strip_heads, swatch, table, tag, text
from caseweave.quality.speech import Speech, number

SHOWN_PATIENTS, SHOWN_PLACES, SHOWN_VERDICTS = 12, 5, 20
VERDICTS = {"included": "b-good", "undecided": "b-doubt", "excluded": "b-bad"}
ROWS = (("rows_0", "b-bad"), ("rows_1", "b-1"), ("rows_2", "b-2"), ("rows_3", "b-3"))


def patients_first(measures: Measures, speech: Speech) -> str:
    """The patients that need work, worst first."""
    work = [one for one in measures.patients if one.errors or one.warnings]
    nobody = _nobody(measures, speech)
    head = f"<h2>{speech('patients_first')}</h2>"
    if not work:
        return f"{head}<p>{speech('none')}</p>{nobody}"
    heads = [(speech("patient"), ""), (speech("site"), ""), (speech("errors"), "n"), (speech("warnings"), "n"),
             (speech("required"), "n"), (speech("where"), "")]  # fmt: skip
    rest = len(work) - SHOWN_PATIENTS
    more = speech("patients_more", patients=number(rest)) if rest > 0 else ""
    shown = table(heads, [_patient(one, speech) for one in work[:SHOWN_PATIENTS]], "first")
    return f"{head}{shown}{soft(more)}{nobody}"


def _nobody(measures: Measures, speech: Speech) -> str:
    """What no patient is known for: a row without id is lost as a whole, and nobody's line tells it."""
    if not measures.nobody:
        return ""
    title = speech("nobody", findings=speech.counted(len(measures.nobody), "finding"))
    rows = [
        f"<td>{text(f'{sheet} {cell}')}</td><td>{tag(severity, speech.severity(severity))}</td>"
        f"<td>{text(f'{field}: {said}' if field else said)}</td>"
        for said, sheet, cell, field, severity in measures.nobody[:SHOWN_PATIENTS]
    ]
    rest = len(measures.nobody) - len(rows)
    more = f"{speech('and_more', count=number(rest))}: findings.csv." if rest > 0 else ""
    heads = [(speech("where"), ""), (speech("severity"), ""), (speech("says"), "")]
    return f"<h3>{title}</h3>{table(heads, rows)}{soft(more)}"


def _patient(one: Patient, speech: Speech) -> str:
    told = [place for place in one.places if place[4] != "message"]
    shown = [
        tag(severity, f"{sheet} {cell or '?'} · {field}: {said}" if field else f"{sheet} {cell} · {said}")
        for said, sheet, cell, field, severity in told[:SHOWN_PLACES]
    ]
    if len(told) > SHOWN_PLACES:
        shown.append(f'<span class="soft small">{speech("and_more", count=number(len(told) - SHOWN_PLACES))}</span>')
    filled = "–" if one.required.percent is None else f"{one.required.percent}%"
    return (
        f'<td class="mono">{text(one.pseudonym)}</td><td>{text(one.site)}</td><td class="n">{number(one.errors)}</td>'
        f'<td class="n">{number(one.warnings)}</td><td class="n">{filled}</td><td>{"".join(shown)}</td>'
    )


def inclusion(measures: Measures, speech: Speech) -> str:
    """Who belongs to the study by its criteria; nothing where it has none."""
    found = measures.inclusion
    if found is None:
        return ""
    parts = [(found.verdicts.get(one, 0), css) for one, css in VERDICTS.items()]
    key = " ".join(
        swatch(css, f"{speech(f'verdict_{one}')}: {number(found.verdicts.get(one, 0))}")
        for one, css in VERDICTS.items()
    )
    heads = [(speech("criterion"), ""), (speech("says"), ""), (speech("broken"), "n"), (speech("untold"), "n")]
    criteria = table(
        heads,
        [
            f'<td>{text(one.rule)}</td><td class="small">{text(one.message)}</td>'
            f'<td class="n">{number(one.broken)}</td><td class="n">{number(one.open)}</td>'
            for one in found.criteria
        ],
    )
    names = [
        f'<td class="mono">{text(name)}</td><td>{text(site)}</td>'
        f"<td>{tag('error' if verdict == 'excluded' else 'warning', speech(f'verdict_{verdict}'))}</td>"
        f'<td class="small">{text(", ".join(why))}</td>'
        for name, site, verdict, why in found.patients[:SHOWN_VERDICTS]
    ]
    listed = table(
        [(speech("patient"), ""), (speech("site"), ""), (speech("verdict"), ""), (speech("because"), "")], names
    )
    rest = len(found.patients) - len(names)
    more = speech("patients_more", patients=number(rest)) if rest > 0 else ""
    outside = f"<h3>{speech('not_included')}</h3>{listed}{soft(more)}" if names else ""
    return f"<h2>{speech('inclusion')}</h2>{soft(key)}{bar(parts, 18)}{criteria}{outside}"


def by_case(measures: Measures, speech: Speech) -> str:
    """Completeness case by case: the least complete ones, by sheet and field; all of them as a histogram."""
    tenths = list(enumerate(measures.spread))
    while len(tenths) > 1 and not tenths[0][1]:
        tenths = tenths[1:]  # nobody is so incomplete
    steps = [(f"{10 * n}%" if n == 10 else f"{10 * n}–{10 * n + 9}%", count) for n, count in tenths]
    spread = f'<div class="card">{histogram(steps)}</div>' if any(measures.spread) else ""
    head = f"<h2>{speech('by_case')}</h2>{soft(speech('by_case_all'))}{spread}"
    if not measures.cases:
        return head
    heads = "".join(f'<th scope="col" class="h">{text(sheet.title)}</th>' for sheet in measures.sheets)
    top = (
        f'<th scope="col">{speech("patient")}</th><th scope="col">{speech("site")}</th>{heads}'
        f'<th scope="col" class="turned">{strip_heads(measures.fields_asked)}</th>'
    )
    rows = "\n".join(
        f'<tr><td class="mono">{text(one.pseudonym)}</td><td>{text(one.site)}</td>'
        f"{''.join(heat(share) for share in one.sheets)}"
        f"<td>{strip(one.states, _blank(one.states, measures, speech))}</td></tr>"
        for one in measures.cases
    )
    key = " ".join(swatch(f"s-{one}", speech(f"state_{one}")) for one in ("blank", "filled", "not-asked"))
    # no thead: where a table is broken over pages, Chromium prints the drawings in it empty
    inner = f"<tbody><tr>{top}</tr>{rows}</tbody>"
    grid = f'<div class="scroll" tabindex="0"><table class="heat cases">{inner}</table></div>'
    said = speech("by_case_worst", count=number(len(measures.cases)))
    return f"{head}<h3>{said}</h3>{soft(key)}{grid}"


def _blank(states: Sequence[str], measures: Measures, speech: Speech) -> str:
    blank = [label for label, state in zip(measures.fields_asked, states, strict=True) if state == "blank"]
    return f"{speech('state_blank')}: {', '.join(blank)}"


def timepoints(measures: Measures, speech: Speech) -> str:
    """How many rows patients have in each sheet, and who has none."""
    key = " ".join(swatch(css, speech(said)) for said, css in ROWS)
    rows = []
    for title, counts in measures.timepoints:
        drawn = bar([(count, css) for count, (_, css) in zip(counts, ROWS, strict=True)])
        cells = "".join(f'<td class="n">{number(count)}</td>' for count in counts)
        rows.append(f'<td>{text(title)}</td><td style="width:50%">{drawn}</td>{cells}')
    heads = [(speech("sheet"), ""), (speech("rows_each"), ""), *((speech(said), "n") for said, _ in ROWS)]
    lost = [one for one in measures.patients if 0 in one.rows]
    gaps = [
        f'<td class="mono">{text(one.pseudonym)}</td><td>{text(one.site)}</td>'
        + "".join(f'<td class="n">{number(n) if n else tag("error", speech("rows_0"))}</td>' for n in one.rows)
        for one in lost[:SHOWN_PATIENTS]
    ]
    titles = [(sheet.title, "n") for sheet in measures.sheets]
    rest = len(lost) - len(gaps)
    more = soft(speech("patients_more", patients=number(rest)) if rest > 0 else "")
    listed = table([(speech("patient"), ""), (speech("site"), ""), *titles], gaps)
    lacking = f"<h3>{speech('lacking_rows')}</h3>{listed}{more}" if gaps else ""
    return f"<h2>{speech('timepoints')}</h2>{soft(key)}{table(heads, rows)}{lacking}"
