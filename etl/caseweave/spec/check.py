"""What must hold in a study as a whole, as far as the spec alone can tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from caseweave.errors import MappingError
from caseweave.spec.faults import Faults
from caseweave.spec.models import Field, LinkRef, Sheet, Study
from caseweave.spec.words import At, names_here


def check_study(study: Study, lines: Mapping[str, int]) -> None:
    """Raise MappingError for what doesn't fit, each check for the first thing that it finds.

    Arguments: `lines` of the keys of study.yaml.
    """
    faults = Faults()
    tabs: dict[str, Sheet] = {}
    for sheet in study.sheets:
        for check in (partial(_tabs, tabs=tabs), _roles, _headers, _names, partial(_timepoints, study)):
            with faults:
                check(sheet)
    for whole in (_one_patient, _no_circles, partial(_outside, lines=lines, tabs=tabs)):
        with faults:
            whole(study)
    faults.tell()


def _tabs(sheet: Sheet, tabs: dict[str, Sheet]) -> None:
    for name in (sheet.name, *sheet.aliases):
        other = tabs.setdefault(_header(name), sheet)
        if other is not sheet:
            _fail(
                sheet.file,
                sheet.line,
                f"tab '{name}' is sheet '{other.key}' already",
                "Name each tab once.",
            )


def _outside(study: Study, lines: Mapping[str, int], tabs: Mapping[str, Sheet]) -> None:
    """What study.yaml says of fields and tabs."""
    fields = {name for sheet in study.sheets for name in sheet.fields}
    for key, name in (
        ("site", study.site.field if study.site else ""),
        ("anchor", study.anchor.age if study.anchor else ""),
    ):
        if name and name not in fields:
            raise At(study.file, lines.get(key, study.line)).unknown("field", name, sorted(fields))
    for alias in study.ignore_sheets:
        if _header(alias) in tabs:
            _fail(
                study.file,
                lines.get("ignore_sheets", 1),
                f"tab '{alias}' is ignored and is sheet '{tabs[_header(alias)].key}'",
                "Keep one.",
            )


def _roles(sheet: Sheet) -> None:
    subjects = [one for one in sheet.fields.values() if one.role == "subject"]
    if len(subjects) != 1:
        names = ", ".join(f"'{one.name}'" for one in subjects) or "no field"
        _fail(
            sheet.file,
            sheet.line,
            f"sheet '{sheet.key}' has one field with role: subject, here {names}",
            "Give the role to the field that holds the patient's id.",
        )
    for role in ("site", "timepoint", "as-of"):
        if sum(one.role == role for one in sheet.fields.values()) > 1:
            _fail(sheet.file, sheet.line, f"sheet '{sheet.key}' has two fields with role: {role}", "Keep one.")


def _names(sheet: Sheet) -> None:
    """What a sheet names of its own fields outside of slots."""
    live = [name for name, one in sheet.fields.items() if not one.ignore]
    for name in sheet.row_key:
        if name not in live:
            raise At(sheet.file, sheet.line).unknown("field in key", name, live)
    if sheet.join is not None and sheet.join.on not in live:
        raise At(sheet.file, sheet.line).unknown("field in join", sheet.join.on, live)
    for one in sheet.fields.values():
        if one.unit_field and one.unit_field not in live:
            raise At(one.file, one.line).unknown("field in unit_field", one.unit_field, live)
    for statement in sheet.statements:
        for name in statement.key:
            if name not in live:
                raise At(statement.file, statement.line).unknown("field in key", name, live)


def _header(text: str) -> str:
    return " ".join(text.split()).rstrip("* ").casefold()


def _headers(sheet: Sheet) -> None:
    """A header means one field: names, columns and aliases of a sheet are all different."""
    seen: dict[str, Field] = {}
    for one in sheet.fields.values():
        for text in dict.fromkeys((one.column or one.name, one.name, *one.aliases)):
            other = seen.setdefault(_header(text), one)
            if other is not one:
                _fail(
                    one.file,
                    one.line,
                    f"the header '{text}' means both '{other.name}' and '{one.name}'",
                    "Name each column once; case and spaces don't tell two apart.",
                )


def _one_patient(study: Study) -> None:
    found = [one for one in study.statements if one.pattern.name == "patient"]
    if not found:
        _fail(
            study.file,
            study.line,
            "no statement is of pattern 'patient'",
            "Add one to the sheet that holds sex and birth: patient: {pattern: patient, ...}.",
        )
    # forms that stand for themselves may each tell of their patients, a form only once
    for sheet in study.sheets:
        own = [one for one in found if one.sheet == sheet.key]
        if len(own) > 1:
            places = ", ".join(f"{one.sheet}.{one.name}" for one in own)
            _fail(
                own[1].file,
                own[1].line,
                f"{len(own)} statements are of pattern 'patient': {places}",
                "Keep one in each sheet.",
            )


def _no_circles(study: Study) -> None:
    """Links lead somewhere: a fact that links to itself through others could never be written."""
    links = {
        (one.sheet, one.name, one.repeat_index): [
            (link.sheet, link.statement, link.repeat_index) for link in one.slots.values() if isinstance(link, LinkRef)
        ]
        for one in study.statements
    }
    places = {(one.sheet, one.name, one.repeat_index): one for one in study.statements}
    done: set[tuple[str, str, str]] = set()
    for start in links:
        path = [start]
        stack = [iter(links[start])]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                done.add(path.pop())
                stack.pop()
            elif step in path:
                names = " -> ".join(f"{one[0]}.{one[1]}" for one in [*path[path.index(step) :], step])
                _fail(
                    places[start].file,
                    places[start].line,
                    f"links in a circle: {names}",
                    "Leave one of them out.",
                )
            elif step not in done and step in links:
                path.append(step)
                stack.append(iter(links[step]))


def _timepoints(study: Study, sheet: Sheet) -> None:
    one = sheet.by_role("timepoint")
    if one is None:
        return
    if not study.timepoints:
        _fail(
            one.file,
            one.line,
            f"field '{one.name}' is the timepoint and the study names none",
            "Add timepoints: [...].",
        )
    known = {_header(name) for name in study.timepoints}
    for entry in one.valueset.values.values() if one.valueset else ():
        spelled = (entry.key, *entry.label.values(), *entry.aliases)
        if not entry.missing and not any(_header(text) in known for text in spelled):
            _fail(
                one.valueset.file if one.valueset else one.file,
                entry.line,
                f"value '{entry.key}' of timepoint '{one.name}' is no timepoint of the study",
                names_here(entry.key, study.timepoints),
            )


def _fail(file: str, line: int, problem: str, way_out: str) -> NoReturn:
    raise MappingError(file, line, problem, way_out=way_out)
