"""The study as a whole: fields nobody uses, tables with holes, ranges, constants where there should be data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.spec.expression import names
from caseweave.spec.models import Field, Mapped, Sheet, Statement, TextLit
from caseweave.spec.resolve import fields_of
from caseweave.values.types import Missing

DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


def whole(known: Knowledge) -> Iterator[LintFinding]:
    """Check what only the study as a whole can show."""
    study = known.study
    used = _used(known)
    for sheet in study.sheets:
        for field in sheet.fields.values():
            if (sheet.key, field.name) not in used and not field.ignore and not field.role:
                yield LintFinding(
                    field.file,
                    field.line,
                    "unused-field",
                    "warning",
                    f"field '{field.name}' is read and says nothing",
                    "Give it `means`, use it in a statement, or `ignore` it with a reason.",
                )
            yield from field_(field)
        yield from labels(sheet)
        for statement in sheet.statements:
            yield from tables(known, statement)
            yield from constants(statement)
    patient = next(one for one in study.statements if one.pattern.name == "patient")
    if not {"sex", "birth_sex"} & set(patient.slots):
        yield LintFinding(
            patient.file,
            patient.line,
            "patient-without-sex",
            "warning",
            "the patient has no sex: FHIR gets no gender, no mCODE profile is claimed, OMOP gets 0",
            "Fill slot `sex` or `birth_sex` from a field.",
        )
    if study.anchor is None and not {"birth", "age"} & set(patient.slots):
        yield LintFinding(
            patient.file,
            patient.line,
            "patient-without-birth",
            "warning",
            "nobody gets a year of birth, so OMOP can't represent anybody",
            "Fill slot `birth`, or `age` with `age_at`, or give the study an anchor.",
        )
    if study.omop.get("cdm") not in ("5.3", "5.4", None):
        yield LintFinding(
            study.file,
            study.line,
            "unknown-cdm",
            "error",
            f"there is no CDM {study.omop['cdm']} here",
            "Say 5.3 or 5.4.",
        )


def _used(known: Knowledge) -> set[tuple[str, str]]:
    """Which fields of which sheets anything asks for."""
    study = known.study
    found: set[tuple[str, str]] = set()
    for sheet in study.sheets:
        joined = [other.key for other in study.sheets if _joined(sheet, other)]

        def ask(name: str, sheet: Sheet = sheet, joined: list[str] = joined) -> None:
            found.add((sheet.key, name))
            found.update((other, name.rpartition(".")[2]) for other in joined)

        for field in sheet.fields.values():
            asked = [field.unit_field] if field.unit_field else []
            for name in [*asked, *([] if isinstance(field.required, bool) else names(field.required))]:
                ask(name)
        for name in (*sheet.row_key, *([sheet.join.on] if sheet.join else [])):
            ask(name)
        for statement in sheet.statements:
            told = [statement.meant_by, *statement.key, *(names(statement.when) if statement.when else ())]
            for name in (*told, *(one for filler in statement.slots.values() for one in fields_of(filler))):
                ask(name)
    for name in (study.site.field if study.site else "", study.anchor.age if study.anchor else ""):
        found.update((sheet.key, name) for sheet in study.sheets)
    return found


def _joined(one: Sheet, other: Sheet) -> bool:
    return (one.join is not None and one.join.sheet == other.key) or (
        other.join is not None and other.join.sheet == one.key
    )


def field_(field: Field) -> Iterator[LintFinding]:
    """A field's ranges fit into each other."""
    if field.range_warn is None or field.range_error is None:
        return
    for place, (warn, error) in enumerate(zip(field.range_warn, field.range_error, strict=True)):
        if warn is not None and error is not None and (warn < error if place == 0 else warn > error):
            yield LintFinding(
                field.file,
                field.line,
                "range-outside-range",
                "error",
                f"field '{field.name}' warns at {warn}, where {error} is rejected already",
                "The range of warnings lies inside that of errors.",
            )


def labels(sheet: Sheet) -> Iterator[LintFinding]:
    """A label that two fields have can't be read as a header."""
    seen: dict[str, Field] = {}
    for field in sheet.fields.values():
        for text in field.label.values():
            other = seen.setdefault(" ".join(text.split()).casefold(), field)
            if other is not field and not field.ignore and not other.ignore:
                yield LintFinding(
                    field.file,
                    field.line,
                    "label-twice",
                    "message",
                    f"fields '{other.name}' and '{field.name}' are both called '{text}'",
                    "Tell them apart, or columns headed so are read as the first.",
                )


def tables(known: Knowledge, statement: Statement) -> Iterator[LintFinding]:
    """A table over a field has an answer for each of its values."""
    for name, filler in statement.slots.items():
        if not isinstance(filler, Mapped) or filler.default is not None:
            continue
        field = known.study.sheet(filler.sheet or statement.sheet).fields[filler.field]
        if field.valueset is None:
            continue
        holes = [
            key
            for key, entry in field.valueset.values.items()
            if key not in filler.map and not isinstance(entry.value, Missing)
        ]
        if holes:
            yield LintFinding(
                statement.file,
                statement.lines.get(name, statement.line),
                "table-with-holes",
                "message",
                f"slot '{name}' of '{statement.name}' stays empty for {', '.join(holes)} of '{field.base}'",
                "Add them to `map`, or give a `default`.",
            )


def constants(statement: Statement) -> Iterator[LintFinding]:
    """A date written into the mapping would be the same for every patient."""
    for name, filler in statement.slots.items():
        if isinstance(filler, TextLit) and DATE.fullmatch(filler.text):
            yield LintFinding(
                statement.file,
                statement.lines.get(name, statement.line),
                "constant-date",
                "error",
                f"slot '{name}' of '{statement.name}' is {filler.text} for every patient",
                "Fill it from a field; a study without calendar dates declares an `anchor`.",
            )
