"""What a run gives back to people: each workbook with its problems marked, and the report."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from caseweave.issues import Finding
from caseweave.plan.queries import is_queries
from caseweave.quality.annotate import CLOSED, PROPOSED, UPDATED, Mark, Query, Unpatchable, annotate, fresh_workbook
from caseweave.quality.annotate.marks import is_address
from caseweave.quality.report import measure, page
from caseweave.quality.voice import Voice
from caseweave.run.convert import Conversion
from caseweave.run.language import speech_to, voices_of
from caseweave.run.queries import Asked, Record, file_stem, write_queries
from caseweave.run.sides import side_by_side
from caseweave.run.workspace import Workspace
from caseweave.terms.presence import presence
from caseweave.values.grid import Source
from caseweave.version import __version__

_PROTECTED = b"\xd0\xcf\x11\xe0"  # an encrypted workbook lies in an OLE container
PATCHED = ("xlsx", "xlsm", "xltx", "xltm")
FRESH = ("xls", "xlsb", "ods", "csv", "tsv")
T = TypeVar("T")
_ORDER = {UPDATED: 0, PROPOSED: 1, "New": 2, CLOSED: 3}


def hand_back(
    workspace: Workspace,
    conversion: Conversion,
    asked: Asked,
    account: Callable[[], T],
    *,
    checked: bool = False,
    language: str = "",
) -> T:
    """Write the report, and into private/ the queries and, of each source that has some, the annotated workbook.

    Arguments: `account` writes what else a run tells, and its answer is returned: meanwhile the workbooks, which take
    longest, are written in a process of their own; `checked`, whether nothing was loaded; `language` that is asked
    for, "" for that of the templates.
    """

    def tell() -> T:
        told = account()
        write_queries(workspace, asked)
        made = report_page(conversion, asked, checked=checked, language=language)
        _write(workspace.root / "report.html", made.encode())
        return told

    if not asked.records:
        return tell()
    return side_by_side(lambda: write_annotated(workspace, conversion, asked, language), tell)[1]


def write_annotated(workspace: Workspace, conversion: Conversion, asked: Asked, language: str) -> None:
    """Write into private/ the annotated workbook of each source that has queries."""
    names = _names(asked.sources)
    voices = voices_of(asked.sources, conversion.study, conversion.rules, language)
    for source in asked.sources:
        stem = file_stem(source.path)
        mine = [one for one in asked.records.values() if one.file == stem]
        if mine and source.kind in (*PATCHED, *FRESH):
            content, ending = annotated(source, conversion, mine, asked, voices[source.alias])
            if content:
                _write(workspace.private / f"{names[source.alias]}.annotated{ending}", content)


def report_page(conversion: Conversion, asked: Asked, *, checked: bool = False, language: str = "") -> str:
    """The report of a conversion as HTML."""
    speech = speech_to(asked.sources, language)
    return page(
        measure(conversion.study, conversion.applied, presence(), speech, conversion.rules),
        conversion.balance,
        [(one.alias, conversion.rows_of(one.alias)) for one in asked.sources],
        concepts=conversion.concepts(),
        queries=Counter(one.status for one in asked.records.values()),
        made=f"{datetime.date.today().isoformat()}, Caseweave {__version__}",
        checked=checked,
        speech=speech,
    )


def _names(sources: Sequence[Source]) -> dict[str, str]:
    """Names of annotated workbooks by alias; two files of one name are told apart."""
    stems = [file_stem(one.path) for one in sources]
    return {
        one.alias: stem if stems.count(stem) == 1 else f"{stem}.{one.alias}"
        for one, stem in zip(sources, stems, strict=True)
    }


def annotated(
    source: Source, conversion: Conversion, records: Sequence[Record], asked: Asked, voice: Voice
) -> tuple[bytes, str]:
    """A source with its problems marked, and the ending of its name; nothing of a protected file, which stays closed.

    A file that can't be patched is written anew from what was read of it.
    """
    path = Path(source.path)
    findings = [one for one in conversion.findings if one.source == source.alias]
    if path.is_file() and source.kind in PATCHED:
        content = path.read_bytes()
        if content.startswith(_PROTECTED):
            return b"", ""
        ending = path.suffix.lower() if path.suffix.lower().lstrip(".") in PATCHED else ".xlsx"
        with suppress(Unpatchable):
            if hashlib.sha256(content).hexdigest() == source.sha256:
                return _annotate(content, source, conversion, findings, records, asked, {}, voice), ending
    content, tabs = fresh_workbook([one for one in source.grids if not is_queries(one)])
    return _annotate(content, source, conversion, findings, records, asked, tabs, voice), ".xlsx"


def _annotate(
    content: bytes,
    source: Source,
    conversion: Conversion,
    findings: Sequence[Finding],
    records: Sequence[Record],
    asked: Asked,
    tabs: Mapping[str, str],
    voice: Voice,
) -> bytes:
    """Arguments: `tabs`, what tabs are called in `content` where that differs from the source."""
    marks = []
    for one in findings:
        named = conversion.layout.tabs.get((source.alias, one.sheet), [])
        if is_address(one.cell) and len(named) == 1:
            marks.append(Mark(tabs.get(named[0], named[0]), one.cell, one.severity, _said(one, voice)))
    entries = {
        (tabs.get(tab, tab), cell): text for (alias, tab, cell), text in asked.entries.items() if alias == source.alias
    }
    old = "" if tabs else next((grid.name for grid in source.grids if is_queries(grid)), "")
    return annotate(content, marks, [_query(one, tabs) for one in _sorted(records)], entries, old, voice.speech)


def _sorted(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda one: (one.status == CLOSED, one.severity, _ORDER[one.status]))


def _said(one: Finding, voice: Voice) -> str:
    speech = voice.speech
    lines = [voice.message(one)]
    if one.expected:
        lines.append(speech("expected", expected=voice.expected(one)))
    if one.suggestion:
        lines.append(speech("perhaps", suggestion=voice.suggestion(one)))
    return f"{speech.severity(one.severity)} {one.rule}. {' '.join(lines)}"


def _query(one: Record, tabs: Mapping[str, str]) -> Query:
    return Query(
        one.id, one.severity, tabs.get(one.tab, one.tab), one.cell, one.patient, one.rule, one.found, one.expected,
        one.message, one.status, one.answer,
    )  # fmt: skip


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
