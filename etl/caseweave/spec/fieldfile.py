"""How a field is written: the table of its keys, its repeats, and what its cells may hold."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.models import Field, Repeat
from caseweave.spec.readers import (
    Choice,
    Condition,
    Either,
    Flag,
    Labels,
    Limits,
    ListOf,
    MapOf,
    Number,
    Reader,
    Word,
    Written,
    refuse,
)
from caseweave.spec.repeats import REPEAT
from caseweave.spec.valueset import ABSENT_REASONS
from caseweave.spec.words import At, names_here
from caseweave.spec.yamlfile import Map, Node
from caseweave.values.dates import DateRules
from caseweave.values.numbers import NumberRules

TYPES = ("id", "code", "number", "integer", "date", "text")
ROLES = ("subject", "site", "timepoint", "as-of")
FIELD_NAME = re.compile(r"[^\W\d]\w*")

DATES = Block(
    "set of date rules",
    "How dates are written.",
    (
        Key(
            "order",
            Choice(("YMD", "DMY", "MDY")),
            "the order of day, month and year where a date doesn't tell it",
            "DMY",
        ),
        Key(
            "accept",
            ListOf(Word("excel, excel-serial or a form such as DD.MM.YYYY"), single=True, least=1),
            "the forms that are accepted",
            '[excel, "DD.MM.YYYY", "YYYY"]',
        ),
        Key("partial", Choice(("keep", "reject")), "what happens to a date without its day"),
        Key(
            "ambiguous",
            Choice(("error", "order")),
            "what happens to a date that can be two: a finding, or `order` decides",
        ),
        Key("future", Choice(("error", "allow")), "what happens to a date after today"),
    ),
    lambda found, at: _date_rules(found, at),
)
NUMBERS = Block(
    "set of number rules",
    "How numbers are written.",
    (
        Key(
            "decimal",
            ListOf(Choice((".", ",")), single=True, least=1),
            "the signs before the fraction",
            '[".", ","]',
        ),
        Key("thousands", Choice(("none", ".", ",", " ", "'")), "the sign between thousands", "none"),
        Key("censored", Choice(("keep", "reject")), "whether <0.1 keeps its comparator or is an error"),
    ),
    lambda found, at: _number_rules(found),
)
MISSING_CODES = MapOf(Choice(ABSENT_REASONS), keys="what is typed")
CONVERSION = Block(
    "conversion",
    "From another unit to the field's: number * factor + offset.",
    (
        Key("factor", Number(), "what the number is multiplied with", "0.1", default=Decimal(1)),
        Key("offset", Number(), "what is added then", "-273.15", default=Decimal(0)),
    ),
    lambda found, at: found,
    shorthand=Number(),
)


def _date_rules(found: dict[str, Any], at: At) -> DateRules:
    try:
        return DateRules(**{key: value for key, value in found.items() if value is not None})
    except ValueError as error:
        raise at.error(str(error), "Write forms such as YYYY-MM-DD, DD.MM.YYYY, YYYY.") from None


def _number_rules(found: dict[str, Any]) -> NumberRules:
    given: dict[str, Any] = {key: value for key, value in found.items() if value is not None}
    if given.get("thousands") == "none":
        given["thousands"] = None
    return NumberRules(**given)


class _Conversions:
    """Accepted units, each with its factor to the field's own."""

    wanted = "a mapping from unit to its factor, or to {factor: ..., offset: ...}"
    inside = (CONVERSION,)

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Map)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, Map):
            return refuse(self, node, at)
        found = {unit: CONVERSION.read(one, at.key(node, unit)) for unit, one in node.items()}
        for unit, one in found.items():
            if not (one["factor"] if isinstance(one, dict) else one):
                at.key(node, unit).fail(f"the factor of '{unit}' is 0", "Give the factor that makes the field's unit.")
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": CONVERSION.schema()}


FIELD_KEYS = (
    Key("type", Choice(TYPES), "what kind of thing its cells hold", "date"),
    Key(
        "column",
        Word(),
        "the header of its column where that isn't its name",
        '"Date of diagnosis"',
        default="",
    ),
    Key("alias", ListOf(Written(), single=True), "more headers that mean it", "[diag_date]", default=()),
    Key(
        "label",
        Labels(),
        "what people call it, per language; valid as header too",
        "{en: Laterality}",
        default={},
    ),
    Key("help", Labels(), "what the template tells the person who fills it", default={}),
    Key(
        "role",
        Choice(ROLES),
        "its part in the sheet: whose row it is, which site, which timepoint, which date",
        "subject",
        default="",
    ),
    Key(
        "required",
        Either((Flag(), Condition("an expression over the row's fields"))),
        "whether a blank is a finding: always, or where an expression holds",
        "required: \"er_status = 'pos'\"",
        default=False,
    ),
    Key(
        "values",
        Word("the name of a value set"),
        "the value set of a coded field",
        "positive-negative",
        default="",
    ),
    Key("unit", Word("a UCUM unit"), "the unit of its numbers (UCUM)", "mm", default=""),
    Key(
        "accept",
        _Conversions(),
        "other units that may be typed, with the factor to its own",
        "{cm: 10}",
        default={},
    ),
    Key(
        "unit_field",
        Word("the name of a field"),
        "the field that holds the unit of each row",
        "hb_unit",
        default="",
    ),
    Key(
        "range",
        Block(
            "range",
            "Which numbers are unusual, and which are impossible.",
            (
                Key("warn", Limits(), "outside it a number is loaded with a warning", "[7, 18]"),
                Key("error", Limits(), "outside it a number is rejected", "[2, 25]"),
            ),
            lambda found, at: found,
        ),
        "which numbers are unusual, and which impossible",
        "{warn: [7, 18], error: [2, 25]}",
        default={"warn": None, "error": None},
    ),
    Key(
        "precision",
        Choice(("day", "month", "year")),
        "the least precise date that is accepted",
        "month",
        default="",
    ),
    Key(
        "matches",
        Word("a regular expression"),
        "the whole text must match it",
        r"'[A-Z]{2}-\d{5}'",
        default="",
    ),
    Key(
        "missing",
        MISSING_CODES,
        "codes that say that a value is missing, beside the study's",
        "{NA: not-applicable}",
        default={},
    ),
    Key(
        "ignore",
        Word("the reason, as a text"),
        "the column is read past, for this reason",
        '"free text"',
        default="",
    ),
    Key("free_text", Flag(), "people write what they like in it, names too", default=False),
    Key("repeat", REPEAT, "it stands several times, with $i in its name", "{i: 1..3, gaps: error}"),
    Key("dates", DATES, "how this field writes dates, where it differs from the study"),
    Key("numbers", NUMBERS, "how this field writes numbers, where it differs from the study"),
)


def field_block(means: Reader) -> Block:
    """The block of a field; `means` reads its inline statement."""
    key = Key(
        "means",
        means,
        "what it means: a pattern whose slot `value` it fills, and the other slots",
        "{pattern: lab, code: LNC|718-7, at: visit_date}",
    )
    return Block("field", "What the cells of one column may hold.", (*FIELD_KEYS, key), lambda found, at: (found, at))


def build_field(name: str, base: str, found: dict[str, Any], at: At, repeat: Repeat | None, index: str) -> Field:
    """Make a field of what was read; raises MappingError where its keys contradict each other."""
    kind: Any = found["type"] or ("code" if found["values"] else "text" if found["ignore"] else None)
    if kind is None:
        at.fail(f"field '{name}' without a type", f'Add type: one of {", ".join(TYPES)}; or ignore: "reason".')
    if (kind == "code") != bool(found["values"]):
        at.fail(
            f"field '{name}' is of type {kind} and names {'a' if found['values'] else 'no'} value set",
            "A field of type code has `values`, no other has.",
        )
    for keys, kinds in KEYS_OF_TYPES:
        for key in keys:
            if found[key] and kind not in kinds and key != "range":
                at.fail(
                    f"field '{name}' is of type {kind} and has '{key}'",
                    f"'{key}' goes with {', '.join(kinds)}.",
                )
    limits = found["range"]
    if (limits["warn"] or limits["error"]) and kind not in ("number", "integer"):
        at.fail(f"field '{name}' is of type {kind} and has 'range'", "'range' goes with number, integer.")
    if found["accept"] and not found["unit"]:
        at.fail(f"field '{name}' accepts other units and has none of its own", "Add 'unit'.")
    if found["matches"]:
        _compile(found["matches"], at)
    if found["ignore"] and found["means"] is not None:
        at.fail(f"field '{name}' is ignored and means something", "Keep 'ignore' or 'means'.")
    return Field(
        name=name,
        base=base,
        file=at.file,
        line=at.line,
        type=kind,
        column=found["column"],
        aliases=found["alias"],
        label=found["label"],
        help=found["help"],
        role=found["role"],
        required=found["required"],
        values=found["values"],
        unit=found["unit"],
        accept=found["accept"],
        unit_field=found["unit_field"],
        range_warn=limits["warn"],
        range_error=limits["error"],
        precision=found["precision"],
        matches=found["matches"],
        missing=found["missing"],
        ignore=found["ignore"],
        free_text=found["free_text"],
        means=found["means"] is not None,
        repeat=repeat,
        repeat_index=index,
        dates=found["dates"],
        numbers=found["numbers"],
    )


# keys -> the types of field that can have them
KEYS_OF_TYPES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("unit", "accept", "unit_field", "numbers"), ("number", "integer")),
    (("precision", "dates"), ("date",)),
    (("matches",), ("id", "text")),
)


def _compile(pattern: str, at: At) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        at.fail(f"'{pattern}' is no regular expression ({error})", "Write one as Python's re takes it.")


def check_field_name(name: str, at: At) -> None:
    """Raise MappingError for a name that expressions couldn't use."""
    if not FIELD_NAME.fullmatch(name):
        at.fail(
            f"'{name}' can't be the name of a field",
            "Use letters, digits and underscores, and give the header as 'column'. "
            + ("" if "$" not in name else names_here(name, ("repeat: {i: 1..3}",))),
        )
