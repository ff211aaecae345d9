"""Questions to the site and their answers: what is open, what a returned workbook says, and what follows from it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from caseweave.issues import Finding, Severity
from caseweave.plan.cells import FieldReader
from caseweave.plan.queries import answers_in, is_queries
from caseweave.quality.annotate import CLOSED, NEW, PROPOSED, UPDATED
from caseweave.quality.annotate.marks import is_address, split
from caseweave.quality.speech import Speech, confirming_words
from caseweave.quality.voice import ENGLISH_VOICE, Voice
from caseweave.run.convert import Conversion
from caseweave.run.language import voices_of
from caseweave.run.reports import identified
from caseweave.run.workspace import Workspace, write_json
from caseweave.spec.models import Field, Study
from caseweave.values.grid import Grid, GridColumn, Source
from caseweave.values.types import Missing

ASKED = ("error", "warning")
Cell = tuple[str, str, str]  # source, tab, address


@dataclass(frozen=True)
class Record:
    """One query as the workspace remembers it; it holds what was typed, so it stays in private/.

    Arguments: `file` is the name of the workbook without its ending, `tab` its sheet there, `held` what the cell held
    when it was answered, `decision` what the answer came to: "confirmed", "entered" or "".
    """

    id: str
    file: str
    source: str
    tab: str
    sheet: str
    cell: str
    field: str
    subject: str
    patient: str
    rule: str
    severity: Severity
    found: str
    expected: str
    message: str
    status: str = NEW
    answer: str = ""
    held: str = ""
    decision: str = ""


@dataclass
class Asked:
    """The queries of a workspace after a run.

    Arguments: `records` by id; `entries`, the missing codes that answers entered, by cell; `sources` with them.
    """

    records: dict[str, Record]
    sources: Sequence[Source]
    entries: dict[Cell, str] = field(default_factory=dict)


def file_stem(path: str) -> str:
    """The name under which a workbook's queries are kept, whether it comes back annotated or not.

    >>> file_stem("in/site-a.annotated.xlsx")
    'site-a'
    """
    return re.sub(r"(\.annotated)+$", "", Path(path).stem)


def ask(
    make: Callable[[Sequence[Source]], Conversion],
    sources: Sequence[Source],
    workspace: Workspace,
    language: str = "",
) -> tuple[Conversion, Asked]:
    """Convert sources with the answers that came back in them, and those that were given before.

    A missing code given as answer is put in its cell and everything is converted again; a confirmed warning becomes a
    message. Arguments: `make` converts sources; `language` that is asked for, "" for that of each template. Raises what
    `make` raises.
    """
    known = read_queries(workspace)
    given: dict[str, str] = {}
    for grid in (grid for one in sources for grid in one.grids if is_queries(grid)):
        for name, text in answers_in(grid).items():  # of two copies of the sheet only one may have the answer
            given[name] = text or given.get(name, "")
    conversion = make(sources)
    judged = _judge_all(conversion, sources, known, given, language)
    entries = {(one.source, one.tab, one.cell): one.answer for one in judged if one.decision == "entered"}
    entered = {one.id: one for one in judged if one.decision == "entered"}
    if entries:
        sources = _enter(sources, entries)
        conversion = make(sources)
        judged = _judge_all(conversion, sources, known, given, language)
    records = {one.id: one for one in judged}
    for name, one in entered.items():
        # a code that didn't help leaves its query open
        records[name] = replace(records[name], status=UPDATED) if name in records else replace(one, status=CLOSED)
    _lower(conversion, {one.id for one in judged if one.decision == "confirmed"})
    spoken = _Scope(conversion, sources)
    for name, one in known.items():
        if name not in records:
            gone = spoken(one) and one.status != CLOSED
            said = given.get(name) or one.answer  # who corrects the cell may say why, too
            records[name] = replace(one, status=CLOSED, decision="corrected", answer=said) if gone else one
    return conversion, Asked(records, sources, entries)


def read_queries(workspace: Workspace) -> dict[str, Record]:
    """The queries of earlier runs, by id."""
    path = _path(workspace)
    if not path.exists():
        return {}
    names = {one.name for one in dataclasses.fields(Record)}
    rows = json.loads(path.read_text(encoding="utf-8"))["queries"]
    return {row["id"]: Record(**{name: row[name] for name in row if name in names}) for row in rows}


def write_queries(workspace: Workspace, asked: Asked) -> None:
    """Remember the queries, in private/queries.json."""
    if asked.records or _path(workspace).exists():
        write_json(_path(workspace), {"queries": [dataclasses.asdict(one) for one in asked.records.values()]})


def _path(workspace: Workspace) -> Path:
    return workspace.private / "queries.json"


def _judge_all(
    conversion: Conversion,
    sources: Sequence[Source],
    known: Mapping[str, Record],
    given: Mapping[str, str],
    language: str,
) -> list[Record]:
    by_alias = {one.alias: one for one in sources}
    voices = voices_of(sources, conversion.study, conversion.rules, language)
    patients = _typed_ids(conversion)
    return [
        _judge(
            conversion, by_alias.get(one.source), name, one, known.get(name), given, patients.get(one.subject, ""),
            voices.get(one.source, ENGLISH_VOICE),
        )
        for name, one in identified(conversion)
        if one.severity in ASKED
    ]  # fmt: skip


def _judge(
    conversion: Conversion,
    source: Source | None,
    name: str,
    one: Finding,
    before: Record | None,
    given: Mapping[str, str],
    patient: str,
    voice: Voice,
) -> Record:
    """A finding as a query: what was answered to it, and what that makes of it."""
    tabs = conversion.layout.tabs.get((one.source, one.sheet), [])
    tab = tabs[0] if len(tabs) == 1 else ""
    speech, message = voice.speech, voice.message(one)
    said = f"{label}: {message}" if (label := _label(conversion.study, one, speech)) else message
    in_sheet = bool(tab and is_address(one.cell))
    held = _held(source, tab, one.cell) if source and in_sheet else one.found
    answer = given.get(name, before.answer if before else "")
    fresh = name in given and (before is None or given[name] != before.answer)
    old = before.held if before and not fresh else held
    record = Record(
        id=name, file=file_stem(source.path) if source else "", source=one.source, tab=tab or one.sheet,
        sheet=one.sheet, cell=one.cell if in_sheet else "", field=one.field, subject=one.subject,
        patient=patient, rule=one.rule, severity=one.severity,
        found=one.found or held, expected=voice.expected(one), message=said, answer=answer, held=held,
    )  # fmt: skip
    if answer and old != held:  # it was given to another value
        return replace(record, answer="", status=UPDATED)
    if not answer:
        same = before is not None and before.found == record.found and not before.answer
        kept = before.status if before and same and before.status in (NEW, UPDATED) else UPDATED if before else NEW
        return replace(record, status=kept)
    confirmed, reason = confirmation(answer)
    if confirmed and reason:
        if one.severity == "warning":
            return replace(record, status=CLOSED, decision="confirmed")
        return replace(record, status=UPDATED, message=f"{said} {speech('not_confirmable')}")
    if confirmed:
        return replace(record, status=UPDATED, message=f"{said} {speech('reason_wanted')}")
    if record.cell and _is_missing_code(conversion, one, answer):
        return replace(record, status=UPDATED, decision="entered")
    return replace(record, status=PROPOSED)


def confirmation(answer: str) -> tuple[bool, bool]:
    """Whether an answer says that the value is right, in any language, and whether it says why.

    >>> confirmation("Confirmed: weighed twice"), confirmation("confirmado"), confirmation("confirmed by phone")
    ((True, True), (True, False), (False, False))
    """
    word, colon, reason = answer.partition(":")
    if word.strip(" .").casefold() not in confirming_words():
        return False, False
    return True, bool(colon and reason.strip(" .:"))


def _label(study: Study, one: Finding, speech: Speech) -> str:
    """What the column of a finding is called; "" where it is about none."""
    found = study.sheet(one.sheet).fields.get(one.field) if one.sheet in study.sheet_keys else None
    return speech.text(found.label, found.column or found.name) if found else ""


def _is_missing_code(conversion: Conversion, one: Finding, answer: str) -> bool:
    study = conversion.study
    if one.sheet not in study.sheet_keys:
        return False
    sheet = study.sheet(one.sheet)
    found: Field | None = sheet.fields.get(one.field)
    if found is None or found.ignore or one.field == sheet.subject_field:
        return False
    return isinstance(FieldReader(study, found, datetime.date.max).outcome(answer), Missing)


def _typed_ids(conversion: Conversion) -> dict[str, str]:
    """The ids that patients have at home, by pseudonym."""
    subjects = conversion.applied.subjects
    return {subjects.names[number]: typed for (_, typed), number in subjects.by_id.items()}


def _held(source: Source, tab: str, cell: str) -> str:
    grid = next(one for one in source.grids if one.name == tab)
    row, column = split(cell)
    raw = grid.cell(row, column) if row < grid.height and column < grid.width else None
    return "" if raw is None else str(raw)


def _lower(conversion: Conversion, confirmed: set[str]) -> None:
    if not confirmed:
        return
    lowered = {id(one) for name, one in identified(conversion) if name in confirmed}
    conversion.findings[:] = [
        replace(one, severity="message", message=f"{one.message} The site confirmed it.") if id(one) in lowered else one
        for one in conversion.findings
    ]


@dataclass(frozen=True)
class _Scope:
    """Whether the sources speak of what a query is about, so that its problem has gone where it isn't found."""

    conversion: Conversion
    sources: Sequence[Source]

    def __call__(self, one: Record) -> bool:
        if one.subject:
            return one.sheet in self.conversion.sheets and one.subject in self.subjects
        return one.file in self.files

    @cached_property
    def subjects(self) -> frozenset[str]:
        return frozenset(self.conversion.applied.subjects.names)

    @cached_property
    def files(self) -> frozenset[str]:
        return frozenset(file_stem(source.path) for source in self.sources)


def _enter(sources: Sequence[Source], entries: Mapping[Cell, str]) -> list[Source]:
    """Sources with some cells filled in."""
    return [
        replace(source, grids=tuple(_filled(grid, _of_grid(entries, source, grid)) for grid in source.grids))
        for source in sources
    ]


def _of_grid(entries: Mapping[Cell, str], source: Source, grid: Grid) -> dict[tuple[int, int], str]:
    mine = (source.alias, grid.name)
    return {split(cell): text for (alias, tab, cell), text in entries.items() if (alias, tab) == mine}


def _filled(grid: Grid, cells: Mapping[tuple[int, int], str]) -> Grid:
    columns = list(grid.columns)
    for (row, column), text in cells.items():
        codes, distinct = columns[column].codes[:], [*columns[column].distinct]
        codes[row] = len(distinct)
        distinct.append(text)
        columns[column] = GridColumn(codes, distinct)
    return replace(grid, columns=tuple(columns)) if cells else grid
