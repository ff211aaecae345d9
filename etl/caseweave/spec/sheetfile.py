"""How a sheet is written: fields, statements, examples; bare words in slots are looked up later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.documents import JSON
from caseweave.spec.expression import Expression, parse
from caseweave.spec.faults import Faults
from caseweave.spec.fieldfile import field_block
from caseweave.spec.models import CodeLit, Example, Expr, Filler, Join, NumberLit, TextLit, TruthLit
from caseweave.spec.patternfile import Literal, coding
from caseweave.spec.readers import (
    CODE,
    Choice,
    Condition,
    Labels,
    ListOf,
    MapOf,
    Tree,
    Whole,
    Word,
    Written,
    refuse,
    written,
)
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Node, Quoted, Real, Seq
from caseweave.values.types import Value


@dataclass(frozen=True, slots=True)
class Ref:
    """A bare word in a slot: a field or a statement, which the slot will tell."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class MapRef:
    """A table over a field that isn't looked up yet."""

    name: str
    line: int
    map: Mapping[str, Value]
    map_lines: Mapping[str, int]
    default: Value | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement as written, its names not yet looked up."""

    line: int
    pattern: str
    fillers: Mapping[str, Filler | Ref | MapRef]
    lines: Mapping[str, int]
    over: str = ""
    when: Expression | None = None
    id: str = ""
    key: tuple[str, ...] = ()
    fhir_set: Mapping[str, Any] = field(default_factory=dict)
    omop_set: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    because: str = ""


FILLER = Block(
    "filler",
    "What fills a slot where a bare word, a code or a literal isn't enough.",
    (
        Key("field", Word("the name of a field"), "the field it comes from", "sex", default=""),
        Key(
            "map",
            MapOf(Literal()),
            "from the field's local values to what they become here",
            "{f: GENDER|female}",
            default={},
        ),
        Key("default", Literal(), "what every other value becomes", "GENDER|unknown"),
        Key(
            "expr",
            Word("an expression"),
            "an expression over the row's fields",
            '"age_at(birth_date, diagnosis_date)"',
            default="",
        ),
    ),
    lambda found, at: found,
)


class _Filler:
    """What fills a slot: a field or statement, SYSTEM|code, "text", a number, a table, an expression."""

    wanted = 'a field or statement, SYSTEM|code, "text", a number, {field: ..., map: ...} or {expr: ...}'
    inside = (FILLER,)

    def accepts(self, node: Node) -> bool:
        return node is not None

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, Seq):
            return CodeLit(tuple(coding(one, at.item(node, place)) for place, one in enumerate(node)))
        if isinstance(node, Map):
            return _filler(node, at)
        if isinstance(node, bool):
            return TruthLit(node)
        if isinstance(node, int | Real):
            return NumberLit(written(node))
        if isinstance(node, Quoted):
            return TextLit(str(node))
        if not isinstance(node, str):
            return refuse(self, node, at)
        return CodeLit((coding(node, at),)) if CODE.fullmatch(node) else Ref(str(node), at.line)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "array", "items": {"type": "string"}},
                FILLER.schema(),
            ]
        }


def _filler(node: Map, at: At) -> Filler | Ref | MapRef:
    found = FILLER.read(node, at)
    if bool(found["field"]) == bool(found["expr"]):
        at.fail(
            "a mapping in a slot needs either 'field' or 'expr'",
            'Write {field: name, map: {...}} or {expr: "..."}.',
        )
    if found["expr"]:
        return Expr(parse(found["expr"], at.file, node.at("expr")))
    if not found["map"]:
        return Ref(found["field"], at.line)
    table = node["map"]
    return MapRef(found["field"], at.line, found["map"], dict(table.lines), found["default"])


def _draft(found: dict[str, Any], at: At) -> Draft:
    if found["without"] and not found["because"]:
        at.fail("'without' needs a reason", "Add 'because: \"...\"'.")
    return Draft(
        at.line,
        found["pattern"],
        found["rest"],
        found["rest_lines"],
        found["for"] or "",
        found["when"],
        found["id"],
        found["key"],
        found["fhir_set"],
        found["omop_set"],
        found["without"],
        found["because"],
    )


STATEMENT = Block(
    "statement",
    "What a row means: a pattern, and what fills its slots.",
    (
        Key(
            "pattern",
            Word("the name of a pattern"),
            "the kind of clinical statement",
            "tumor-marker",
            required=True,
        ),
        Key(
            "for",
            Word("the variable of a repeat"),
            "once for each repeat of the fields with $i in their names",
            "i",
        ),
        Key("when", Condition(), "only where this holds for the row", "\"surgery = 'yes'\""),
        Key(
            "id",
            Word("the old name, sheet.statement"),
            "its identity from before it was renamed",
            "diagnosis.tumour",
            default="",
        ),
        Key(
            "key",
            ListOf(Word("the name of a field"), single=True),
            "fields that tell a patient's facts of this statement apart",
            "[tumour_number]",
            default=(),
        ),
        Key(
            "fhir.set",
            Tree(),
            "elements to add to the FHIR resource, or to replace",
            '{status: "preliminary"}',
            default={},
        ),
        Key("omop.set", Tree(), "columns to add to the OMOP row, or to replace", default={}),
        Key(
            "without",
            ListOf(Choice(("fhir", "omop")), single=True),
            "targets it isn't rendered to",
            "[omop]",
            default=(),
        ),
        Key("because", Word(), "why not", default=""),
    ),
    _draft,
    rest=_Filler(),
    rest_about="any slot of the pattern, with what fills it",
)


EXPECT = Block(
    "expectation",
    "What must come out of an example.",
    (
        Key(
            "facts",
            Tree(),
            "statements, each with its value: a code, a local value, a number, or `absent`",
            "{er_status: SCT|260385009}",
            default={},
        ),
        Key("fhir", MapOf(Whole()), "how many resources of each type", "{Condition: 1}", default={}),
        Key("omop", MapOf(Whole()), "how many rows in each table", "{condition_occurrence: 1}", default={}),
        Key("findings", ListOf(Word("the name of a rule")), "the rules of all findings", "[partial-date]"),
    ),
    lambda found, at: found,
)
EXAMPLE = Block(
    "example",
    "A test of the mapping, run by `caseweave lint`.",
    (
        Key(
            "row",
            Tree(),
            "one row of this sheet, as it would be typed",
            "{patient_id: AA-00001, er_status: neg}",
        ),
        Key("rows", ListOf(Tree()), "several rows of this sheet"),
        Key("sheets", MapOf(ListOf(Tree(), single=True)), "rows of other sheets that belong to it", default={}),
        Key("expect", EXPECT, "what must come out", required=True),
    ),
    lambda found, at: (found, at),
)


@dataclass(frozen=True, slots=True)
class SheetDraft:
    """A sheet as written; its repeats and names are worked out by the loader."""

    key: str
    file: str
    line: int
    found: Mapping[str, Any]


SHEET = Block(
    "sheet",
    "One tab of the form: mappings/STUDY/SHEET.yaml.",
    (
        Key("sheet", Word("the name of the tab"), "the tab's name", "Diagnosis", required=True),
        Key("aliases", ListOf(Written(), single=True), "more names of the tab", default=()),
        Key("title", Labels(), "what people call it, per language; valid as name of the tab too", default={}),
        Key(
            "header",
            Block(
                "header",
                "Where the headers are.",
                (
                    Key(
                        "rows",
                        Whole(1),
                        "how many rows the header has; they are joined by ' / '",
                        "1",
                        default=1,
                    ),
                ),
                lambda found, at: found,
            ),
            "how many rows the header has",
            "{rows: 1}",
            default={"rows": 1},
        ),
        Key(
            "grain",
            Choice(("one row per patient", "many rows per patient")),
            "how many rows a patient has",
            default="one row per patient",
        ),
        Key(
            "key",
            ListOf(Word("the name of a field"), single=True),
            "fields that tell a patient's rows apart, and that nobody corrects",
            "[visit_number]",
            default=(),
        ),
        Key(
            "join",
            Block(
                "join",
                "Another sheet that describes the same rows.",
                (
                    Key("with", Word("the key of a sheet"), "the other sheet", "outcome", required=True),
                    Key(
                        "on",
                        Word("the name of a field"),
                        "the field that both have",
                        "subject_id",
                        required=True,
                    ),
                ),
                lambda found, at: Join(found["with"], found["on"]),
            ),
            "another sheet that describes the same rows",
        ),
        Key(
            "json",
            JSON,
            "where the rows stand in JSON and BSON, which is refused without",
            '{each: "patients[].visits[]"}',
            default="",
        ),
        Key(
            "end",
            Choice(("default", "blank-row", "none")),
            "where the data end: before rows without a patient (default), "
            "at the first blank row, or not before the sheet does",
            default="default",
        ),
        Key("fields", Tree(), "the columns, by name", required=True),
        Key("statements", MapOf(STATEMENT), "what a row means, by name", default={}),
        Key("examples", ListOf(EXAMPLE), "tests of the mapping", default=()),
    ),
    lambda found, at: (found, at),
)
FIELD = field_block(STATEMENT)


def examples_of(sheet: str, found: tuple[Any, ...], faults: Faults) -> tuple[Example, ...]:
    """The examples of a sheet as read; `faults` take what is wrong with one."""
    made = []
    for one, at in found:
        if (one["row"] is None) == (one["rows"] is None):
            with faults:
                at.fail("an example needs either 'row' or 'rows'", "Write the row as it would be typed.")
            continue
        rows = {sheet: one["rows"] if one["row"] is None else (one["row"],), **one["sheets"]}
        expect = one["expect"]
        made.append(
            Example(at.file, at.line, rows, expect["facts"], expect["fhir"], expect["omop"], expect["findings"])
        )
    return tuple(made)
