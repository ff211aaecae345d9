"""The report as one page: no script, no picture or font from elsewhere, readable on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from caseweave.quality.report.measure import Measures, Patient, Share, SheetShares
from caseweave.quality.report.words import bar, counted, heat, number, table, tag, text

SHOWN_PATIENTS = 12
SHOWN_PLACES = 5
SHOWN_FIELDS = 4
FOOT = "Patients stand under their pseudonyms, files under their aliases; what was typed is in private/ alone."
OUTCOMES = {"loaded": "#4a8f6d", "ignored": "#a7b0bc", "missing": "#d9a441", "rejected": "#c4473a"}
ROWS = (("none", "#c4473a"), ("one", "#a9c6e8"), ("two", "#6f9fd4"), ("three or more", "#3f74b5"))


def page(
    measures: Measures,
    balance: Mapping[str, int],
    sources: Sequence[tuple[str, int]],
    *,
    concepts: Mapping[str, int],
    queries: Mapping[str, int],
    made: str,
    checked: bool,
) -> str:
    """The report's HTML; nothing in it names a person or says what was typed.

    Arguments: `balance` of the cells by outcome; `sources` with their rows, by alias; `concepts` as the manifest counts
    them; `queries` by status; `made`, when and by what; `checked`, whether nothing was loaded.
    """
    parts = [
        _head(measures, balance, sources, queries, made, checked),
        _patients(measures, checked),
        _completeness(measures),
        _rules(measures),
        _unmapped(measures, concepts),
        _timepoints(measures),
        _balance(balance),
        _fields(measures),
        f"<footer>{text(made)}. {FOOT}</footer>",
    ]
    here = files(__package__)
    filled = {
        "title": text(f"{measures.title}: report"),
        "style": here.joinpath("page.css").read_text(encoding="utf-8"),
        "body": "\n".join(parts),
    }
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(filled)


def _head(
    measures: Measures,
    balance: Mapping[str, int],
    sources: Sequence[tuple[str, int]],
    queries: Mapping[str, int],
    made: str,
    checked: bool,
) -> str:
    patients = len(measures.patients)
    bad = sum(1 for one in measures.patients if one.errors)
    doubt = sum(1 for one in measures.patients if one.warnings and not one.errors)
    would = "would not be" if checked else "were not"
    if bad:
        lead = f"<b>{number(bad)} of {counted(patients, 'patient')}</b> have values that {would} loaded."
        lead += f" {number(doubt)} more have values to confirm." if doubt else ""
    else:
        lead = f"No error in {counted(patients, 'patient')}." + (
            f" {number(doubt)} have values to confirm." if doubt else ""
        )
    part, whole = (sum(getattr(sheet.all, one) for sheet in measures.sheets) for one in ("part", "whole"))
    filled = Share(part, whole).percent
    opened = sum(count for status, count in queries.items() if status != "Closed")
    sites = len([one for one in measures.site_names if one])
    tiles = [
        ("", number(patients), f"patients, {counted(sites, 'site')}" if sites else "patients"),
        ("", "–" if filled is None else f"{filled}%", "of required cells filled"),
        ("error" if measures.severities["error"] else "", number(measures.severities["error"]), "errors"),
        ("warning" if measures.severities["warning"] else "", number(measures.severities["warning"]), "warnings"),
        (
            "",
            number(opened),
            "open queries" + (f", {number(queries['Closed'])} closed" if queries.get("Closed") else ""),
        ),
        ("", number(balance["cells"]), f"cells, {number(balance['rejected'])} rejected"),
    ]
    shown = "".join(f'<div class="tile {css}"><b>{count}</b><span>{said}</span></div>' for css, count, said in tiles)
    read = ", ".join(f"{text(alias)} ({counted(rows, 'row')})" for alias, rows in sources[:6])
    read += f" and {number(len(sources) - 6)} more" if len(sources) > 6 else ""
    kind = "Checked, nothing loaded" if checked else "Run"
    return (
        f'<h1>{text(measures.title)}</h1><p class="soft small">Study {text(measures.study)} {text(measures.version)} · '
        f'{kind} · {read} · {text(made)}</p><p class="lead">{lead}</p><div class="tiles">{shown}</div>'
    )


def _patients(measures: Measures, checked: bool) -> str:
    work = [one for one in measures.patients if one.errors or one.warnings]
    nobody = (
        f'<p class="soft small">{counted(measures.nobody, "finding")} can be tied to no patient: a column, a sheet, '
        "a row without id. See findings.csv.</p>"
        if measures.nobody
        else ""
    )
    if not work:
        return f"<h2>Patients that need work first</h2><p>None.</p>{nobody}"
    heads = [
        ("Patient", ""),
        ("Site", ""),
        ("Errors", "n"),
        ("Warnings", "n"),
        ("Required", "n"),
        ("Where to look", ""),
    ]
    rest = len(work) - SHOWN_PATIENTS
    more = f'<p class="soft small">{counted(rest, "more patient")} with less: findings.csv.</p>' if rest > 0 else ""
    rows = [_patient(one) for one in work[:SHOWN_PATIENTS]]
    return f"<h2>Patients that need work first</h2>{table(heads, rows)}{more}{nobody}"


def _patient(one: Patient) -> str:
    told = [place for place in one.places if place[4] != "message"]
    shown = [
        tag(severity, f"{sheet}!{cell or '?'} {field or rule}: {rule}" if field else f"{sheet}!{cell} {rule}")
        for rule, sheet, cell, field, severity in told[:SHOWN_PLACES]
    ]
    if len(told) > SHOWN_PLACES:
        shown.append(f'<span class="soft small">and {number(len(told) - SHOWN_PLACES)} more</span>')
    filled = "–" if one.required.percent is None else f"{one.required.percent}%"
    return (
        f'<td class="mono">{text(one.pseudonym)}</td><td>{text(one.site)}</td><td class="n">{number(one.errors)}</td>'
        f'<td class="n">{number(one.warnings)}</td><td class="n">{filled}</td><td>{"".join(shown)}</td>'
    )


def _site_heads(measures: Measures) -> list[tuple[str, str]]:
    if len(measures.site_names) < 2:
        return []
    return [
        (f"{name or 'no site'} ({number(count)})", "h")
        for name, count in zip(measures.site_names, measures.site_patients, strict=True)
    ]


def _site_cells(measures: Measures, shares: Sequence[Share], required: bool = True) -> str:
    return "".join(heat(one, required) for one in shares) if len(measures.site_names) > 1 else ""


def _completeness(measures: Measures) -> str:
    heads = [("Sheet", ""), ("Rows", "n"), ("All", "h"), *_site_heads(measures)]
    rows = [
        f'<td class="name">{text(one.title)}</td><td class="n">{number(one.rows)}</td>{heat(one.all)}'
        f"{_site_cells(measures, one.sites)}"
        for one in measures.sheets
    ]
    return (
        '<h2>Completeness</h2><p class="soft small">Required cells that are filled, by sheet and site (patients of the '
        "site). A declared missing code counts as filled; a field counts only where the form asks for it.</p>"
        f"{table(heads, rows, 'heat')}"
    )


def _fields(measures: Measures) -> str:
    shown = "".join(_sheet_fields(measures, one) for one in measures.sheets)
    return (
        '<h2>Completeness by field</h2><p class="soft small">Required fields (*) from orange to green; fields that '
        "need not be filled in blue, darker where more rows hold something.</p>" + shown
    )


def _sheet_fields(measures: Measures, sheet: SheetShares) -> str:
    shown = [one for one in sheet.fields if one.all.part < one.all.whole]
    shown.sort(key=lambda one: (not one.required, one.all.percent or 0))
    heads = [("Field", ""), ("All", "h"), *_site_heads(measures)]
    rows = [
        f'<td class="name">{text(one.label)}{" *" if one.required else ""} '
        f'<span class="soft small">{text(one.name)}</span></td>{heat(one.all, one.required)}'
        f"{_site_cells(measures, one.sites, one.required)}"
        for one in shown
    ]
    complete = len(sheet.fields) - len(shown)
    said = [f"{counted(complete, 'field')} filled wherever asked for"] if complete else []
    said += [f"{counted(sheet.unused, 'field')} that need not be filled blank in every row"] if sheet.unused else []
    half = (len(rows) + 1) // 2
    halves = [table(heads, part, "heat") for part in (rows[:half], rows[half:]) if part]
    note = f'<p class="soft small">{"; ".join(said)}.</p>' if said else ""
    return f'<h3>{text(sheet.title)}</h3>{note}<div class="two">{"".join(halves)}</div>'


def _rules(measures: Measures) -> str:
    if not measures.rules:
        return "<h2>Findings by rule</h2><p>None.</p>"
    heads = [("Severity", ""), ("Rule", ""), ("Findings", "n"), ("Patients", "n"), ("Fields", ""), ("What it says", "")]
    rows = []
    for one in measures.rules:
        fields = ", ".join(one.fields[:SHOWN_FIELDS])
        fields += f" and {number(len(one.fields) - SHOWN_FIELDS)} more" if len(one.fields) > SHOWN_FIELDS else ""
        rows.append(
            f"<td>{tag(one.severity, one.severity)}</td><td>{text(one.rule)}</td>"
            f'<td class="n">{number(one.count)}</td><td class="n">{number(one.patients)}</td>'
            f'<td class="small">{text(fields)}</td><td class="small">{text(one.message)}</td>'
        )
    return f"<h2>Findings by rule</h2>{table(heads, rows)}"


def _unmapped(measures: Measures, concepts: Mapping[str, int]) -> str:
    without = concepts["codes"] - concepts["standard"]
    lines = [
        f"<p>{counted(without, 'code')} of {number(concepts['codes'])} in use without an OMOP standard concept in the "
        "vocabulary at hand.</p>"
        if without
        else ""
    ]
    if measures.unmapped:
        heads = [("Sheet", ""), ("Field", ""), ("Different values", "n"), ("Cells", "n")]
        rows = [
            f'<td>{text(sheet)}</td><td>{text(field)}</td><td class="n">{number(values)}</td>'
            f'<td class="n">{number(cells)}</td>'
            for sheet, field, values, cells in measures.unmapped
        ]
        lines.append(table(heads, rows, "heat"))
    else:
        lines.append("<p>Every value is in its value set.</p>")
    return (
        '<h2>Unmapped values</h2><p class="soft small">Values that no value set knows. What they are stands in '
        f"private/worklist.csv, with candidates.</p>{''.join(lines)}"
    )


def _timepoints(measures: Measures) -> str:
    key = "".join(f'<span class="key" style="background:{colour}"></span>{said}' for said, colour in ROWS)
    rows = []
    for title, counts in measures.timepoints:
        drawn = bar([(count, colour) for count, (_, colour) in zip(counts, ROWS, strict=True)])
        cells = "".join(f'<td class="n">{number(count)}</td>' for count in counts)
        rows.append(f'<td>{text(title)}</td><td style="width:50%">{drawn}</td>{cells}')
    heads = [("Sheet", ""), ("Patients by number of rows", ""), *((said, "n") for said, _ in ROWS)]
    lost = [one for one in measures.patients if 0 in one.rows]
    gaps = [
        f'<td class="mono">{text(one.pseudonym)}</td><td>{text(one.site)}</td>'
        + "".join(f'<td class="n">{tag("error", "none") if not count else number(count)}</td>' for count in one.rows)
        for one in lost[:SHOWN_PATIENTS]
    ]
    titles = [(sheet.title, "n") for sheet in measures.sheets]
    rest = (
        f'<p class="soft small">{counted(len(lost) - len(gaps), "more patient")}.</p>' if len(lost) > len(gaps) else ""
    )
    lacking = (
        f"<h3>Patients without a row in some sheet</h3>{table([('Patient', ''), ('Site', ''), *titles], gaps)}{rest}"
        if gaps
        else ""
    )
    return f'<h2>Timepoints per patient</h2><p class="soft small">{key}</p>{table(heads, rows)}{lacking}'


def _balance(balance: Mapping[str, int]) -> str:
    said = " + ".join(f"{number(balance[one])} {one}" for one in OUTCOMES)
    key = "".join(f'<span class="key" style="background:{colour}"></span>{one}' for one, colour in OUTCOMES.items())
    drawn = bar([(balance[one], colour) for one, colour in OUTCOMES.items()], 22)
    return (
        f"<h2>The balance</h2><p>Every cell that holds something, once: {number(balance['cells'])} = {said}.</p>"
        f'{drawn}<p class="soft small">{key}</p>'
    )
