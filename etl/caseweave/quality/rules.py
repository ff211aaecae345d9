"""Rules of coherence: what the fields of one row say about each other, and the findings where they contradict.

A study's rules stand in validators/STUDY.yaml, or as rules.yaml in a study's own folder. `sheet.field` names what
another sheet says of the same patient, and of the same tumour, visit ... where both sheets have the key for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caseweave.assets import data_path
from caseweave.issues import SEVERITIES, Finding, Severity
from caseweave.plan.conditions import holds
from caseweave.plan.facts import Indices, Mask, SlotColumn
from caseweave.plan.links import same_patient
from caseweave.plan.sheets import SheetFacts
from caseweave.quality.fieldchecks import CHECK, FieldCheck, build_checks
from caseweave.spec.blocks import Block, Key
from caseweave.spec.evaluate import Presence
from caseweave.spec.models import Study
from caseweave.spec.readers import Choice, Condition, Labels, ListOf, Word
from caseweave.spec.syntax import Expression, names
from caseweave.spec.words import At
from caseweave.spec.yamlfile import read_yaml


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one sheet: in every row in which `when` holds, `expr` must.

    Arguments: `id` is the finding's rule; `mark` names the field whose cell gets the finding; `messages` by language.
    """

    id: str
    sheet: str
    expr: Expression
    message: str
    severity: Severity
    mark: str
    when: Expression | None = None
    messages: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    line: int = 0


def _rule(found: dict[str, Any], at: At) -> tuple[dict[str, Any], At]:
    return found, at


RULE = Block(
    "rule",
    "What must hold in a row of a sheet.",
    (
        Key("id", Word("a name"), "its name, which its findings carry", "age-group-fits-age", required=True),
        Key("sheet", Word("the key of a sheet"), "the sheet whose rows it is about", "diagnosis", required=True),
        Key("when", Condition(), "the rows it is about; all where it isn't written", "age is present"),
        Key("expr", Condition(), "what must hold in them", "nodes_positive <= nodes_examined", required=True),
        Key("severity", Choice(SEVERITIES), "how bad it is if it doesn't", "warning", default="error"),
        Key("message", Labels(), "what the finding says, per language; never a value", required=True),
        Key("mark", Word("the name of a field"), "the field whose cell is marked; the first in `expr` otherwise"),
    ),
    _rule,
)
RULES = Block(
    "set of rules",
    "The rules of one study: validators/STUDY.yaml, or rules.yaml in a study's folder.",
    (
        Key("study", Word("the name of a study"), "the study they belong to", "breast", required=True),
        Key("rules", ListOf(RULE), "the rules of coherence", default=()),
        Key("checks", ListOf(CHECK), "what --all-checks lists, if not what the fields ask by themselves", default=()),
    ),
    lambda found, at: found,
)


def rules_of(study: Study) -> tuple[Rule, ...]:
    """The rules of a study; none where it has no file of them.

    >>> from caseweave.spec.loader import load_study
    >>> [rule.id for rule in rules_of(load_study("ispy1"))][0]
    'recurrence-free-beyond-survival'

    Raises MappingError, with file and line, for a rule that can't be understood or names what the study hasn't got.
    """
    path = _file_of(study)
    return read_rules(path, study) if path is not None else ()


def checks_of(study: Study) -> tuple[FieldCheck, ...]:
    """The checks of single fields that a study's file of rules names; none where it names none. Raises MappingError."""
    path = _file_of(study)
    return build_checks(_read(path, study)["checks"], study) if path is not None else ()


def _file_of(study: Study) -> Path | None:
    own = Path(study.folder) / "rules.yaml"
    shipped = data_path("validators") / f"{study.name}.yaml"
    return next((path for path in (own, shipped) if path.is_file()), None)


def read_rules(path: Path, study: Study) -> tuple[Rule, ...]:
    """Read a file of rules. Raises MappingError."""
    found = _read(path, study)
    made = tuple(_build(one, at, study) for one, at in found["rules"])
    seen: set[str] = set()
    for rule, (_, at) in zip(made, found["rules"], strict=True):
        if rule.id in seen:
            at.fail(f"two rules are called '{rule.id}'", "Give each its own id.")
        seen.add(rule.id)
    return made


def _read(path: Path, study: Study) -> dict[str, Any]:
    file = f"{path.parent.name}/{path.name}"
    tree, _ = read_yaml(path, file)
    found: dict[str, Any] = RULES.read(tree, At(file, 1))
    if found["study"] != study.name:
        At(file, tree.at("study")).fail(
            f"these are rules of '{found['study']}', not of '{study.name}'", "Name the file after its study."
        )
    return found


def _build(found: Mapping[str, Any], at: At, study: Study) -> Rule:
    if found["sheet"] not in study.sheet_keys:
        raise at.unknown("sheet", found["sheet"], study.sheet_keys)
    sheet = study.sheet(found["sheet"])
    known = [name for name, one in sheet.fields.items() if not one.ignore]
    if sheet.join:
        known += study.sheet(sheet.join.sheet).fields
    others = [f"{one.key}.{name}" for one in study.sheets for name, two in one.fields.items() if not two.ignore]
    used = [name for part in (found["when"], found["expr"]) if part is not None for name in sorted(names(part))]
    for name in used:
        if name not in known and name not in others:
            raise at.unknown("field", name, others if "." in name else known)
    if found["mark"] and found["mark"] not in known:
        raise at.unknown("field", found["mark"], known)
    if not names(found["expr"]):
        at.fail(f"rule '{found['id']}' asks nothing of a row", "Name a field in 'expr'.")
    marks = sorted(name for name in names(found["expr"]) if name in known)
    if not found["mark"] and not marks:
        at.fail(f"rule '{found['id']}' names no field of sheet '{sheet.key}'", "Say with 'mark' which cell is marked.")
    said: dict[str, str] = found["message"]
    message = said.get("en") or next(iter(said.values()))
    mark = found["mark"] or marks[0]
    place = (at.file, at.line)
    return Rule(found["id"], sheet.key, found["expr"], message, found["severity"], mark, found["when"], said, *place)


def contradictions(rules: Iterable[Rule], sheets: Mapping[str, SheetFacts], presence: Presence) -> Sequence[Finding]:
    """The findings of rules: one per row in which `when` holds and `expr` doesn't, an undecided `expr` included.

    Arguments: `sheets` by key, as applying the study gave them; a sheet that isn't in the sources has no findings.
    """
    found: list[Finding] = []
    for rule in rules:
        facts = sheets.get(rule.sheet)
        if facts is None:
            continue
        _, wrong = verdict(rule, facts, sheets, presence)
        for row in np.flatnonzero(wrong).tolist():
            found.append(facts.finding(row, rule.mark, rule=rule.id, severity=rule.severity, message=rule.message))
    return found


def verdict(rule: Rule, facts: SheetFacts, sheets: Mapping[str, SheetFacts], presence: Presence) -> tuple[Mask, Mask]:
    """The rows that a rule is about, and those of them that break it.

    Arguments: `facts` of the rule's own sheet; `sheets` by key, for what it names of others.
    """
    size = facts.table.size
    values = {**facts.values, **_elsewhere(rule, facts, sheets)}
    about = facts.rows.usable & holds(rule.when, values, size, presence)
    return about, about & ~holds(rule.expr, values, size, presence)


def _elsewhere(rule: Rule, facts: SheetFacts, sheets: Mapping[str, SheetFacts]) -> dict[str, SlotColumn]:
    """What a rule names of other sheets, row by row; absent where they say nothing of it, or several things."""
    used = names(rule.expr) | (names(rule.when) if rule.when is not None else frozenset())
    found: dict[str, SlotColumn] = {}
    places: dict[str, Indices] = {}
    for name in sorted(used):
        key, dot, field_name = name.partition(".")
        other = sheets.get(key) if dot else None
        if other is None or field_name not in other.columns:
            continue
        if key not in places:
            places[key] = _rows_there(facts, other)
        column, rows = other.columns[field_name].column, places[key]
        codes = np.where(rows >= 0, column.codes[rows], 0).astype(np.int32)
        found[name] = SlotColumn(codes, column.values, (field_name,))
    return found


def _rows_there(facts: SheetFacts, other: SheetFacts) -> Indices:
    """For each row the one of another sheet about the same patient and shared keys; -1 for none or more than one."""
    rows = np.flatnonzero(other.rows.usable).astype(np.int32)
    found = same_patient(facts, other, rows)
    return np.where(found >= 0, rows[found], -1).astype(np.int32) if len(rows) else found
