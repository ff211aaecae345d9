"""Checks of single fields as a rules file names them: for lists of every check made, beside the rules of coherence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.expression import Expression
from caseweave.spec.models import Study
from caseweave.spec.readers import Choice, Condition, Word
from caseweave.spec.syntax import names
from caseweave.spec.words import At

REQUIREMENTS = frozenset({"required", "minimal_req", "mandatory_req"})
KINDS = ("datatype", "permissible", "range", "required", "minimal_req", "mandatory_req")


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """One check of one field, made in every row, or in those in which `when` holds (elsewhere it passes).

    Arguments: `kind` is what is asked: that the cell is of the field's type, in its value set, within its range, or
    filled (required, minimal_req, mandatory_req: how much it matters).
    """

    id: str
    sheet: str
    field: str
    kind: str
    when: Expression | None = None
    file: str = ""
    line: int = 0


CHECK = Block(
    "check",
    "A check of one field that `caseweave check --all-checks` lists for each record, passed or not.",
    (
        Key("id", Word("a name"), "its name in the list", "uc1_sex_type", required=True),
        Key("sheet", Word("the key of a sheet"), "the sheet", "use-case-1", required=True),
        Key("field", Word("the name of a field"), "the field", "sex", required=True),
        Key("kind", Choice(KINDS), "what is asked of the cell", "permissible", required=True),
        Key("when", Condition(), "the rows in which it can fail; all where it isn't written", "age is present"),
    ),
    lambda found, at: (found, at),
)


def build_checks(found: Iterable[tuple[dict[str, Any], At]], study: Study) -> tuple[FieldCheck, ...]:
    """The checks of a rules file, held against the study; raises MappingError for what it hasn't got."""
    made: dict[str, FieldCheck] = {}
    for one, at in found:
        if one["sheet"] not in study.sheet_keys:
            raise at.unknown("sheet", one["sheet"], study.sheet_keys)
        fields = [name for name, each in study.sheet(one["sheet"]).fields.items() if not each.ignore]
        for name in (one["field"], *sorted(names(one["when"]) if one["when"] is not None else ())):
            if name not in fields:
                raise at.unknown("field", name, fields)
        if one["id"] in made:
            at.fail(f"two checks are called '{one['id']}'", "Give each its own id.")
        made[one["id"]] = FieldCheck(one["id"], one["sheet"], one["field"], one["kind"], one["when"], at.file, at.line)
    return tuple(made.values())


def implied_checks(study: Study) -> tuple[FieldCheck, ...]:
    """What the fields of a study ask by themselves, for one whose rules file names no checks.

    >>> from caseweave.spec.loader import load_study
    >>> [one.id for one in implied_checks(load_study("eucanimage-uc1"))][:4]
    ['record_id-datatype', 'record_id-required', 'sex-datatype', 'sex-permissible']
    """
    found = []
    for sheet in study.sheets:
        for name, one in sheet.fields.items():
            if one.ignore:
                continue
            kinds = ["datatype"]
            kinds += ["permissible"] if one.valueset is not None or one.matches else []
            kinds += ["range"] if one.range_error is not None else []
            kinds += ["required"] if one.required else []
            when = None if isinstance(one.required, bool) else one.required
            found += [
                FieldCheck(f"{name}-{kind}", sheet.key, name, kind, when if kind == "required" else None)
                for kind in kinds
            ]
    return tuple(found)
