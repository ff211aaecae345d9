"""Rules: what the fields of a row, the rows of a patient and the patients of a site say about each other.

A study's rules stand in validators/STUDY.yaml, or as rules.yaml in a study's own folder. `sheet.field` names what
another sheet says of the same patient, and of the same tumour, visit ... where both sheets have the key for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from caseweave.assets import data_path
from caseweave.issues import SEVERITIES, Severity
from caseweave.quality.fieldchecks import CHECK, FieldCheck, build_checks
from caseweave.quality.kinds import CATEGORIES, DIMENSIONS, KEYS, KINDS, Category, Dimension, Part, Written, both
from caseweave.quality.tables import read_table
from caseweave.spec.blocks import Block, Key
from caseweave.spec.faults import Faults
from caseweave.spec.models import Field, Repeat, Study
from caseweave.spec.readers import Choice, Condition, Labels, Limits, ListOf, MapOf, Number, Word
from caseweave.spec.repeats import REPEAT, substitute
from caseweave.spec.syntax import Expression, names
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Node, read_yaml

PLACEHOLDERS = ("field", "place")
ACROSS = re.compile(r"(?:earliest|latest|count)\((.+)\)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one sheet: in every row in which `when` holds, `expr` must; None where rows are judged together.

    Arguments: `id` is the finding's rule; `mark` names the field whose cell gets the finding; `messages` by language;
    `undecided`, whether a row of which it can't be told is a finding; `blocks`, whether the marked cell is then
    rejected; `fields`, `by` and `limit` are what is judged together; `source` says where the rule comes from.
    """

    id: str
    sheet: str
    expr: Expression | None
    message: str
    severity: Severity
    mark: str
    when: Expression | None = None
    messages: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    kind: str = "coherence"
    category: Category = "plausibility"
    dimension: Dimension = "consistency"
    undecided: bool = True
    blocks: bool = False
    expected: str = ""
    source: str = ""
    fields: tuple[str, ...] = ()
    by: str = "study"
    limit: Decimal = Decimal(0)

    @property
    def by_row(self) -> bool:
        """Whether each row is judged by itself."""
        return KINDS[self.kind].rows == "each"


class _Repeating:
    """A rule as written; one with `repeat` stands for several, $i and $before (the number before it) written out."""

    wanted = "a rule"

    def accepts(self, node: Node) -> bool:
        return RULE.accepts(node)

    @property
    def inside(self) -> tuple[Block, ...]:
        return (RULE,)

    def read(self, node: Node, at: At) -> list[tuple[dict[str, Any], At]]:
        if not isinstance(node, Map) or "repeat" not in node:
            return [RULE.read(node, at)]
        repeat: Repeat = REPEAT.read(node["repeat"], at.key(node, "repeat"))
        found = []
        for index in repeat.indices:
            before = str(int(index) - 1) if index.isdigit() else ""
            made = substitute(substitute(node, repeat.variable, index), "before", before)
            found.append(RULE.read(made, at))
        return found

    def schema(self) -> dict[str, Any]:
        return RULE.schema()


RULE = Block(
    "rule",
    "What must hold: in a row of a sheet, in the rows of a patient, or of a site.",
    (
        Key("id", Word("a name"), "its name, which its findings carry", "age-group-fits-age", required=True),
        Key("kind", Choice(tuple(KINDS)), "what it asks, see the kinds of rules", "order", default="coherence"),
        Key("sheet", Word("the key of a sheet"), "the sheet whose rows it is about", "diagnosis", required=True),
        Key("when", Condition(across_rows=True), "the rows it is about; all where it isn't written", "age is present"),
        Key("expr", Condition(across_rows=True), "what must hold in them", "nodes_positive <= nodes_examined"),
        Key("fields", ListOf(Word("the name of a field"), single=True, least=1), "the fields it is about",
            "[birth_date, diagnosis_date]", default=()),
        Key("between", Limits(), "the least and the most", "[18, 120]"),
        Key("table", Word("the name of a lookup table"), "the table that says what goes together",
            "ajcc8-breast-anatomic"),
        Key("columns", MapOf(Word("the name of a field"), "columns of the table"), "which field fills which column",
            "{T: clinical_t, N: clinical_n, M: clinical_m, stage: clinical_stage}"),
        Key("by", Choice(("patient", "site", "study")), "whose rows are judged together", "site"),
        Key("least", Number(), "the smallest share that will do", "0.9"),
        Key("most", Number(), "the largest robust z that isn't told", "3.5"),
        Key("repeat", REPEAT, "it stands several times, with $i, and $before for the number before it",
            "{i: 2..5}"),
        Key("severity", Choice(SEVERITIES), "how bad it is if not; an error rejects the marked cell, so that "
            "no fact is made of it (by itself: as the kind says)", "warning"),
        Key("message", Labels(), "what the finding says, per language: never a value; {field} and {place} stand for "
            "the marked field and its cell", required=True),
        Key("mark", Word("the name of a field"), "the field whose cell is marked; the first in `expr` otherwise"),
        Key("category", Choice(CATEGORIES), "of Kahn's framework; by itself: as the kind says", "plausibility"),
        Key("dimension", Choice(DIMENSIONS), "of EUCAIM's data quality framework; by itself: as the kind says",
            "accuracy"),
        Key("source", Word(), "where it comes from: a guideline, a codebook, a paper", default=""),
    ),
    lambda found, at: (found, at),
)  # fmt: skip
RULES = Block(
    "set of rules",
    "The rules of one study: validators/STUDY.yaml, or rules.yaml in a study's folder.",
    (
        Key("study", Word("the name of a study"), "the study they belong to", "breast", required=True),
        Key("rules", ListOf(_Repeating()), "the rules, each as below", default=()),
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
    made: dict[str, Rule] = {}
    faults = Faults()
    for found, at in (one for many in _read(path, study)["rules"] for one in many):
        with faults:
            for rule in _build(found, at, study):
                if rule.id in made:
                    at.fail(f"two rules are called '{rule.id}'", "Give each its own id.")
                made[rule.id] = rule
    faults.tell()
    return tuple(made.values())


def _read(path: Path, study: Study) -> dict[str, Any]:
    file = f"{path.parent.name}/{path.name}"
    tree, _ = read_yaml(path, file)
    found: dict[str, Any] = RULES.read(tree, At(file, 1))
    if found["study"] != study.name:
        At(file, tree.at("study")).fail(
            f"these are rules of '{found['study']}', not of '{study.name}'", "Name the file after its study."
        )
    return found


def asked_of(name: str) -> str:
    """The field that a name in an expression asks for: latest(follow-up.visit_date) asks for follow-up.visit_date."""
    across = ACROSS.fullmatch(name)
    return across[1] if across else name


def _build(found: Mapping[str, Any], at: At, study: Study) -> Iterator[Rule]:
    """The rules that one written rule comes to: most kinds make one for each of their fields."""
    if found["sheet"] not in study.sheet_keys:
        raise at.unknown("sheet", found["sheet"], study.sheet_keys)
    kind = KINDS[found["kind"]]
    for key in KEYS:
        given = found[key] is not None and found[key] != ()
        if given and key not in (*kind.asks, *kind.may):
            at.fail(f"a rule of kind '{found['kind']}' has no '{key}'", f"It has {', '.join((*kind.asks, *kind.may))}.")
        if key in kind.asks and not given:
            at.fail(f"a rule of kind '{found['kind']}' without '{key}'", f"Add '{key}'. {kind.about}")
    own, others = _fields(study, found["sheet"])
    used = [*found["fields"], *(found["columns"] or {}).values()]
    for part in (found["when"], found["expr"]):
        used += sorted(names(part)) if part is not None else []
    faults = Faults()
    for name in map(asked_of, used):
        if name not in own and name not in others:
            with faults:
                raise at.unknown("field", name, others if "." in name else own)
    faults.tell()
    everything = {**others, **own}
    for name in found["fields"]:
        if kind.types and everything[name].type not in kind.types:
            wanted = " or ".join(kind.types)
            at.fail(f"'{name}' is of type {everything[name].type}", f"Kind '{found['kind']}' asks for {wanted}.")
    if found["least"] is not None and not 0 < found["least"] <= 1:
        at.fail(f"a share of {found['least']}", "Write it as a fraction, such as 0.9.")
    for name in filter(ACROSS.fullmatch, used):
        if not name.startswith("count") and everything[asked_of(name)].type != "date":
            at.fail(f"'{asked_of(name)}' is no date", "earliest() and latest() ask for one; count() takes any field.")
    if found["mark"] and found["mark"] not in own:
        raise at.unknown("field", found["mark"], own)
    if kind.rows == "together" and (foreign := [name for name in found["fields"] if name not in own]):
        at.fail(f"'{foreign[0]}' is no field of sheet '{found['sheet']}'", "Judge it in a rule of its own sheet.")
    for text in found["message"].values():
        for placeholder in re.findall(r"\{([^{}]*)\}", text):
            if placeholder not in PLACEHOLDERS:
                way_out = "A message holds no value: the private list has a column for it. Valid: {field}, {place}."
                at.fail(f"the message names {{{placeholder}}}", way_out)
    table = read_table(found["table"], Path(study.folder), at) if found["table"] else None
    parts = list(kind.build(Written(found, at, everything, table)))
    for part in parts:
        yield _rule(found, at, part, own, alone=len(parts) == 1)


def _fields(study: Study, key: str) -> tuple[dict[str, Field], dict[str, Field]]:
    """The fields of a sheet, joined ones among them, and those of all sheets as sheet.field."""
    sheet = study.sheet(key)
    own = {name: one for name, one in sheet.fields.items() if not one.ignore}
    if sheet.join:
        own = {**study.sheet(sheet.join.sheet).fields, **own}
    others = {f"{one.key}.{name}": two for one in study.sheets for name, two in one.fields.items() if not two.ignore}
    return own, others


def _rule(found: Mapping[str, Any], at: At, part: Part, own: Mapping[str, Field], *, alone: bool) -> Rule:
    kind = KINDS[found["kind"]]
    asked = names(part.expr) if part.expr is not None else frozenset(found["fields"])
    if not asked:
        at.fail(f"rule '{found['id']}' asks nothing of a row", "Name a field in 'expr'.")
    marks = sorted(name for name in asked if name in own)
    mark = found["mark"] or part.mark or (marks[0] if marks else "")
    if mark not in own:
        at.fail(f"rule '{found['id']}' names no field of sheet '{found['sheet']}'", "Say with 'mark' which cell.")
    label = own[mark].label
    said = {tongue: text.replace("{field}", label.get(tongue, mark)) for tongue, text in found["message"].items()}
    severity: Severity = found["severity"] or kind.severity
    limit = found["least"] if found["least"] is not None else found["most"]
    return Rule(
        id=found["id"] if alone or not part.name else f"{found['id']}.{part.name}",
        sheet=found["sheet"],
        expr=part.expr,
        message=said.get("en") or next(iter(said.values())),
        severity=severity,
        mark=mark,
        when=both(found["when"], part.when),
        messages=said,
        file=at.file,
        line=at.line,
        kind=found["kind"],
        category=found["category"] or kind.category,
        dimension=found["dimension"] or kind.dimension,
        undecided=kind.undecided,
        blocks=severity == "error" and kind.rows != "patient",
        expected=part.expected,
        source=" ".join(found["source"].split()),
        fields=(part.name,) if part.name and part.expr is None else tuple(found["fields"]),
        by=found["by"] or ("site" if found["kind"] == "share" else "study"),
        limit=limit if limit is not None else Decimal("3.5"),
    )
