"""The report as one page: no script, no picture or font from elsewhere, readable on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from caseweave.quality.report.measure import Measures
from caseweave.quality.report.patients import by_case, inclusion, patients_first, timepoints
from caseweave.quality.report.pieces import soft, text
from caseweave.quality.report.shares import Share
from caseweave.quality.report.values import balance_of, completeness, distributions, fields, rules, unmapped
from caseweave.quality.speech import ENGLISH, Speech, number

__all__ = ["page"]


def page(
    measures: Measures,
    balance: Mapping[str, int],
    sources: Sequence[tuple[str, int]],
    *,
    concepts: Mapping[str, int],
    queries: Mapping[str, int],
    made: str,
    checked: bool,
    speech: Speech = ENGLISH,
) -> str:
    """The report's HTML; nothing in it names a person or says what was typed.

    Arguments: `balance` of the cells by outcome; `sources` with their rows, by alias; `concepts` as the manifest counts
    them; `queries` by status; `made`, when and by what; `checked`, whether nothing was loaded; `speech`, the language.
    """
    parts = [
        _head(measures, balance, sources, queries, made, checked, speech),
        patients_first(measures, speech),
        inclusion(measures, speech),
        completeness(measures, speech),
        by_case(measures, speech),
        rules(measures, speech),
        distributions(measures, speech),
        unmapped(measures, concepts, speech),
        timepoints(measures, speech),
        balance_of(balance, speech),
        fields(measures, speech),
        f"<footer>{text(made)}. {text(speech('foot'))}</footer>",
    ]
    here = files(__package__)
    filled = {
        "language": text(speech.language),
        "title": text(f"{measures.title}: {speech('report')}"),
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
    speech: Speech,
) -> str:
    read = ", ".join(f"{text(alias)} ({speech.counted(rows, 'row')})" for alias, rows in sources[:6])
    read += f" {speech('and_more', count=number(len(sources) - 6))}" if len(sources) > 6 else ""
    kind = speech("checked" if checked else "run")
    said = speech("study_line", study=text(measures.study), version=text(measures.version))
    return (
        f"<h1>{text(measures.title)}</h1>{soft(f'{said} · {kind} · {read} · {text(made)}')}"
        f'<p class="lead">{_lead(measures, checked, speech)}</p>{_tiles(measures, balance, queries, speech)}'
    )


def _lead(measures: Measures, checked: bool, speech: Speech) -> str:
    patients = speech.counted(len(measures.patients), "patient")
    bad = sum(1 for one in measures.patients if one.errors)
    doubt = sum(1 for one in measures.patients if one.warnings and not one.errors)
    if not bad:
        lead = speech("lead_good", patients=patients)
        return f"{lead} {speech('lead_doubt', patients=speech.counted(doubt, 'patient'))}" if doubt else lead
    lead = speech("lead_bad_checked" if checked else "lead_bad", bad=number(bad), patients=patients)
    return f"{lead} {speech('lead_doubt_more', patients=speech.counted(doubt, 'patient'))}" if doubt else lead


def _tiles(measures: Measures, balance: Mapping[str, int], queries: Mapping[str, int], speech: Speech) -> str:
    part, whole = (sum(getattr(sheet.all, one) for sheet in measures.sheets) for one in ("part", "whole"))
    filled = Share(part, whole).percent
    sites = len([one for one in measures.site_names if one])
    errors, warnings = (measures.severities[one] for one in ("error", "warning"))
    opened = sum(count for status, count in queries.items() if status != "Closed")
    closed = f", {speech('tile_closed', count=number(queries['Closed']))}" if queries.get("Closed") else ""
    tiles = [
        (
            "",
            number(len(measures.patients)),
            speech("tile_patients") + (f", {speech.counted(sites, 'site')}" if sites else ""),
        ),
        ("", "–" if filled is None else f"{filled}%", speech("tile_filled")),
        ("error" if errors else "", number(errors), speech("tile_errors")),
        ("warning" if warnings else "", number(warnings), speech("tile_warnings")),
        ("", number(opened), speech("tile_queries") + closed),
        ("", number(balance["cells"]), speech("tile_cells", rejected=number(balance["rejected"]))),
    ]
    shown = "".join(f'<div class="tile {css}"><b>{count}</b><span>{said}</span></div>' for css, count, said in tiles)
    return f'<div class="tiles">{shown}</div>'
