"""How a pattern is written: mappings/patterns/NAME.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.expression import parse
from caseweave.spec.pattern import (
    IMPLICIT_SLOTS,
    KIND_GROUPS,
    KINDS,
    Claim,
    Let,
    Need,
    Pattern,
    Rendering,
    Slot,
)
from caseweave.spec.readers import CODE, Choice, Flag, ListOf, MapOf, Word, refuse, written
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Quoted, Real, Seq, canonical, read_yaml
from caseweave.values.types import Boolean, Code, Coding, Integer, Quantity, Text, Value

QUOTED_CODE = re.compile(r"([A-Z][A-Z0-9]*)\|(\S.*)")


def literal(node: Any, at: At) -> Value:
    """A literal of a table: SYSTEM|code (or a list of them), a text in quotes, a number, true or false."""
    if isinstance(node, Seq):
        return Code(tuple(coding(one, at.item(node, place)) for place, one in enumerate(node)))
    if isinstance(node, bool):
        return Boolean(node)
    if isinstance(node, int | Real):
        text = written(node)
        return Integer(int(text)) if isinstance(node, int) else Quantity(text, "1")
    if isinstance(node, Quoted):
        # a code that holds a space has to stand in quotes, "OETHNICITY|Not Hispanic"
        quoted = QUOTED_CODE.fullmatch(node)
        return Code((Coding(quoted[1], quoted[2]),)) if quoted else Text(str(node))
    return Code((coding(node, at),))


def coding(node: Any, at: At) -> Coding:
    """A code as written; raises MappingError."""
    found = CODE.fullmatch(node) if isinstance(node, str) else None
    if found is None:
        at.fail(f"expected a code, a number or a text in quotes, found '{node}'", "Write SYSTEM|code.")
    return Coding(found[1], found[2])


class Literal:
    """A value written in the mapping itself."""

    wanted = "SYSTEM|code, a number or a text in quotes"

    def accepts(self, node: Any) -> bool:
        return isinstance(node, str | int | float | Seq)

    def read(self, node: Any, at: At) -> Any:
        return literal(node, at) if self.accepts(node) else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean", "array"]}


def _slot(found: dict[str, Any], at: At) -> Slot:
    kinds = {one for kind in found["kind"] for one in KIND_GROUPS.get(kind, (kind,))}
    return Slot("", at.line, found["required"], found["fact"], frozenset(kinds), found["about"])


SLOT = Block(
    "slot",
    "A place of a pattern that statements fill.",
    (
        Key("required", Flag(), "whether a fact exists only where it is filled", default=False),
        Key(
            "fact",
            ListOf(Word("the name of a pattern"), single=True),
            "it links to a fact of one of these patterns",
            "[primary-cancer]",
            default=(),
        ),
        Key(
            "kind",
            ListOf(Choice((*KINDS[:8], *KIND_GROUPS)), single=True),
            "what it may hold",
            "[code, quantity]",
            default=(),
        ),
        Key("about", Word(), "what it is for", default=""),
    ),
    _slot,
    shorthand=Choice(("required", "optional")),
)


class _Slots:
    """The slots of a pattern, each `required`, `optional` or a mapping."""

    wanted = "a mapping from slot to required, optional, or {fact: ..., kind: ...}"
    inside = (SLOT,)

    def accepts(self, node: Any) -> bool:
        return isinstance(node, Map)

    def read(self, node: Any, at: At) -> Any:
        if not isinstance(node, Map):
            return refuse(self, node, at)
        found: dict[str, Slot] = {}
        for name, value in node.items():
            here = at.key(node, name)
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in IMPLICIT_SLOTS:
                here.fail(
                    f"a slot can't be called '{name}'",
                    f"Use small letters and underscores; these are taken: {', '.join(IMPLICIT_SLOTS)}.",
                )
            slot = SLOT.read(value, here)
            if isinstance(slot, str):
                slot = Slot(name, here.line, slot == "required")
            found[name] = Slot(name, here.line, slot.required, slot.facts, slot.kinds, slot.about)
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": SLOT.schema()}


LET = Block(
    "derived slot",
    "A slot that is derived from others.",
    (
        Key("from", Word("the name of a slot"), "the slot it is derived from", "presence", default=""),
        Key(
            "map",
            MapOf(Literal()),
            "from a code, a local value, or yes, no, unknown, present, absent, missing to the value",
            "{no: VER|refuted}",
            default={},
        ),
        Key("default", Literal(), "the value where the table has none", "VER|confirmed"),
        Key("expr", Word("an expression"), "the value as an expression over the slots", '"year(birth)"'),
    ),
    lambda found, at: Let(
        "",
        at.line,
        found["from"],
        found["map"],
        found["default"],
        parse(found["expr"], at.file, at.line) if found["expr"] else None,
    ),
)


def _profiles(node: Any, at: At) -> tuple[Claim, ...]:
    """`profile: alias`, a list of them, or a mapping from alias to what it needs."""
    if isinstance(node, str):
        return (Claim(str(node), (), at.line),)
    if isinstance(node, Seq):
        return tuple(claim for place, one in enumerate(node) for claim in _profiles(one, at.item(node, place)))
    if not isinstance(node, Map):
        at.fail(
            "a profile is a name, a list of names, or a mapping from name to {needs: [...]}",
            'Write profile: {name: {needs: [slot, "slot:kind|kind"]}}.',
        )
    return tuple(_claim(alias, needs, at.key(node, alias)) for alias, needs in node.items())


def _claim(alias: str, needs: Any, at: At) -> Claim:
    return Claim(alias, () if needs is None else CLAIM.read(needs, at), at.line)


def _need(text: str, at: At) -> Need:
    slot, colon, kinds = text.partition(":")
    if not colon:
        return Need(slot.strip(), frozenset(KINDS) - {"missing", "absent"})
    chosen = [one.strip() for one in kinds.split("|")]
    for kind in chosen:
        if kind not in KINDS and kind not in KIND_GROUPS:
            raise at.unknown("kind", kind, (*KINDS, *KIND_GROUPS))
    return Need(slot.strip(), frozenset(one for kind in chosen for one in KIND_GROUPS.get(kind, (kind,))))


class _Need:
    """`slot`, or `slot:kind|kind`: what must be filled, and with what, before a profile is claimed."""

    wanted = "slot, or slot:kind|kind"

    def accepts(self, node: Any) -> bool:
        return isinstance(node, str)

    def read(self, node: Any, at: At) -> Any:
        return _need(node, at) if isinstance(node, str) else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


CLAIM = Block(
    "profile",
    "What must hold before a profile is claimed, under the profile's name.",
    (
        Key(
            "needs",
            ListOf(_Need(), single=True),
            "slots that must be filled, each with the kinds that are right: " + ", ".join((*KINDS, *KIND_GROUPS)),
            '[at:day, "value:code|quantity"]',
            default=(),
        ),
    ),
    lambda found, at: found["needs"],
)


class _Renderings:
    """One rendering, a list of named ones, or `none` (then `because` says why)."""

    inside = (CLAIM,)
    wanted = "one rendering, a list of named renderings, or none"

    def __init__(self, target: str) -> None:
        self.target = target

    def accepts(self, node: Any) -> bool:
        return isinstance(node, Map | Seq) or node == "none"

    def read(self, node: Any, at: At) -> Any:
        if node == "none":
            return ()
        if isinstance(node, Map):
            return (self.one(node, At(at.file, node.line)),)
        if not isinstance(node, Seq):
            return refuse(self, node, at)
        found = tuple(self.one(one, at.item(node, place)) for place, one in enumerate(node))
        names = [rendering.name for rendering in found]
        for place, rendering in enumerate(found):
            if names.index(rendering.name) != place or (place and not rendering.name):
                At(at.file, rendering.line).fail(
                    f"rendering '{rendering.name}' is unnamed or stands here twice",
                    "Give each one a `name` of its own.",
                )
        return found

    def one(self, node: Any, at: At) -> Rendering:
        if not isinstance(node, Map):
            return refuse(self, node, at)  # type: ignore[no-any-return]
        needed = "resourceType" if self.target == "fhir" else "table"
        if needed not in node:
            at.fail(
                f"{'a FHIR' if self.target == 'fhir' else 'an OMOP'} rendering without '{needed}'", f"Add '{needed}'."
            )
        tree = Map(node.line)
        # a text is the name of the rendering, a mapping the FHIR element that is called so too
        name = node.get("name") if isinstance(node.get("name"), str) else ""
        own = ("name", "when", "profile") if name else ("when", "profile")
        tree.update({key: value for key, value in node.items() if key not in own})
        tree.lines = node.lines
        when = Word("an expression").read(node["when"], at.key(node, "when")) if "when" in node else None
        return Rendering(
            name=str(name),
            tree=tree,
            file=at.file,
            line=at.line,
            when=parse(when, at.file, node.at("when")) if when else None,
            profiles=_profiles(node["profile"], at.key(node, "profile")) if "profile" in node else (),
            lines=node.lines,
        )

    def schema(self) -> dict[str, Any]:
        one = {
            "type": "object",
            "required": ["resourceType" if self.target == "fhir" else "table"],
            "properties": {"name": {"type": ["string", "object", "array"]}, "when": {"type": "string"}},
        }
        return {"anyOf": [{"const": "none"}, one, {"type": "array", "items": one}]}


PATTERN = Block(
    "pattern",
    "One kind of clinical statement: mappings/patterns/NAME.yaml, or patterns/NAME.yaml in a study's folder.",
    (
        Key("pattern", Word(), "its name, the same as the file's", "tumor-marker", required=True),
        Key("about", Word(), "what it says, in one line", required=True),
        Key("notes", ListOf(Word(), single=True), "what its user must know, one sentence an item", default=()),
        Key(
            "slots",
            _Slots(),
            "the places that statements fill",
            "{code: required, at: optional}",
            required=True,
        ),
        Key("let", MapOf(LET), "slots that are derived from others", default={}),
        Key("fhir", _Renderings("fhir"), "the FHIR resource, a list of named ones, or none", required=True),
        Key("omop", _Renderings("omop"), "the OMOP row, a list of named ones, or none", required=True),
        Key("because", Word(), "why a target has no rendering", default=""),
    ),
    lambda found, at: (found, at),
)


def read_pattern(name: str, path: Path, file: str) -> tuple[Pattern, str]:
    """Read a pattern file; returns the pattern with its canonical content. Raises MappingError."""
    tree = read_yaml(path, file)[0]
    return build_pattern(name, tree, file), canonical(tree)


def build_pattern(name: str, tree: Map, file: str) -> Pattern:
    """Make a pattern out of its tree; raises MappingError."""
    found, at = PATTERN.read(tree, At(file, 1))
    if found["pattern"] != name:
        At(file, tree.at("pattern")).fail(f"the file '{name}' calls itself '{found['pattern']}'", "Give both one name.")
    lets = {key: _named_let(key, let) for key, let in found["let"].items()}
    for key, let in lets.items():
        here = At(file, let.line)
        if key in found["slots"]:
            here.fail(f"'{key}' is a slot already", "Give the derived slot a name of its own.")
        if bool(let.source) == (let.expression is not None):
            here.fail(f"derived slot '{key}' needs either 'from' or 'expr'", "Write one of them.")
        if let.source and let.source not in found["slots"] and let.source not in lets:
            raise here.unknown("slot", let.source, (*found["slots"], *lets))
    for target in ("fhir", "omop"):
        if not found[target] and not found["because"]:
            At(file, tree.at(target)).fail(f"'{target}: none' without a reason", "Add 'because: \"...\"'.")
    return Pattern(
        name,
        found["about"],
        file,
        at.line,
        found["slots"],
        lets,
        found["fhir"],
        found["omop"],
        "" if found["fhir"] else found["because"],
        "" if found["omop"] else found["because"],
        found["notes"],
    )


def _named_let(name: str, let: Let) -> Let:
    return Let(name, let.line, let.source, let.map, let.default, let.expression)
