"""Value sets: which local values a coded field may hold, and which codes they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.faults import Faults
from caseweave.spec.readers import Choice, CodeText, Labels, ListOf, MapOf, Word, Written
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Seq, canonical, parse_yaml, read_text, read_yaml
from caseweave.values.types import Code, Coding, Missing, Value

# http://hl7.org/fhir/R4/codesystem-data-absent-reason.html, all of it
ABSENT_REASONS = (
    "unknown",
    "asked-unknown",
    "temp-unknown",
    "not-asked",
    "asked-declined",
    "masked",
    "not-applicable",
    "unsupported",
    "as-text",
    "error",
    "not-a-number",
    "negative-infinity",
    "positive-infinity",
    "not-performed",
    "not-permitted",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value: `key` is what the form holds, `value` the code (or the reason why it is missing)."""

    key: str
    line: int
    codings: tuple[Coding, ...] = ()
    missing: str = ""
    label: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    help: Mapping[str, str] = field(default_factory=dict)

    @property
    def value(self) -> Value:
        """The value that a cell with this key has."""
        if self.missing:
            return Missing(self.missing, self.key)
        return Code(self.codings, self.key, self.label.get("en") or next(iter(self.label.values()), ""))


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A closed list of values.

    >>> sex = parse_valueset("sex", "values: {f: {code: GENDER|female, label: Female}}", "sex.yaml")
    >>> sex.values["f"].value
    Code(codings=(Coding(system='GENDER', code='female'),), local='f', label='Female')
    """

    name: str
    file: str
    line: int
    values: Mapping[str, Entry]
    title: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


ENTRY = Block(
    "value",
    "One value of a value set.",
    (
        Key(
            "code",
            ListOf(CodeText(), single=True, least=1),
            "its code, or several codes for the same; the first is the main one",
            "SCT|10828004",
            default=(),
        ),
        Key(
            "missing",
            Choice(ABSENT_REASONS),
            "it says that the value is missing; the reason is a code of FHIR's data-absent-reason",
            "unknown",
        ),
        Key("label", Labels(), "what it is called, per language", "{en: Positive, es: Positivo}", default={}),
        Key("aliases", ListOf(Written(), single=True), "other ways to write it", '[positive, "+"]', default=()),
        Key("help", Labels(), "a longer explanation, per language", default={}),
    ),
    lambda found, at: Entry(
        key="",
        line=at.line,
        codings=found["code"],
        missing=found["missing"] or "",
        label=found["label"],
        aliases=found["aliases"],
        help=found["help"],
    ),
    shorthand=ListOf(CodeText(), single=True, least=1),
)


class _Values:
    """The values of a set: each key with its entry, or with its code alone."""

    wanted = "a mapping from local value to its code, label and aliases"
    inside = (ENTRY,)

    def accepts(self, node: Any) -> bool:
        return isinstance(node, Map)

    def read(self, node: Any, at: At) -> Any:
        if not isinstance(node, Map) or not node:
            at.fail("a value set without values", f"Write {self.wanted}.")
        found: dict[str, Entry] = {}
        faults = Faults()
        for key, value in node.items():
            here = at.key(node, key)
            with faults:
                if value is None:
                    here.fail(f"value '{key}' says nothing", "Write its code, SYSTEM|code, or {} where it has none.")
                entry = ENTRY.read(value, here)
                if isinstance(entry, tuple):
                    entry = Entry(key="", line=here.line, codings=entry)
                if entry.missing and entry.codings:
                    here.fail(f"value '{key}' has a code and says that it is missing", "Keep `code` or `missing`.")
                found[key] = replace(entry, key=key)
        faults.tell()
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "minProperties": 1, "additionalProperties": ENTRY.schema()}


VALUESET = Block(
    "value set",
    "A closed list of values: vocabularies/NAME.yaml, or valuesets/NAME.yaml in a study's folder.",
    (
        Key("valueset", Word(), "its name, the same as the file's", "positive-negative"),
        Key("title", Labels(), "what it is called, per language", "{en: Positive or negative}", default={}),
        Key("source", Word(), "where the list and its codes come from", default=""),
        Key(
            "values",
            _Values(),
            "the values by what the form holds; quote keys that are numbers",
            required=True,
        ),
    ),
    lambda found, at: (found, at),
)


def parse_valueset(name: str, text: str, file: str) -> ValueSet:
    """Read a value set from YAML text; raises MappingError."""
    return _build(name, parse_yaml(text, file), file)


def read_valueset(name: str, path: Path, file: str) -> tuple[ValueSet, str]:
    """Read a value set from yaml or csv; returns it with its canonical content. Raises MappingError."""
    tree = _csv_tree(path, file) if path.suffix == ".csv" else read_yaml(path, file)[0]
    return _build(name, tree, file), canonical(tree)


def _build(name: str, tree: Any, file: str) -> ValueSet:
    found, at = VALUESET.read(tree, At(file, 1))
    if found["valueset"] not in (None, name):
        At(file, tree.at("valueset")).fail(
            f"the file '{name}' calls itself '{found['valueset']}'", "Give both one name."
        )
    valueset = ValueSet(name, file, at.line, found["values"], found["title"], found["source"])
    _refuse_ambiguous(valueset)
    return valueset


def normal(text: str) -> str:
    """A local value as it is compared: spaces tidied, case folded."""
    return re.sub(r"[\s\u00a0\u202f]+", " ", text).strip().casefold()


def _refuse_ambiguous(valueset: ValueSet) -> None:
    """Values that are written alike can't be told apart; a key wins over an alias, so only equals matter."""
    faults = Faults()
    for spellings in (lambda one: (one.key,), lambda one: one.aliases):
        seen: dict[str, Entry] = {}
        for entry in valueset.values.values():
            for text in spellings(entry):
                other = seen.setdefault(normal(text), entry)
                if other is entry:
                    continue
                with faults:
                    At(valueset.file, entry.line).fail(
                        f"'{text}' means both '{other.key}' and '{entry.key}' in value set '{valueset.name}'",
                        "Keep it for one of them.",
                    )
    faults.tell()


COLUMN = re.compile(r"value|code|missing|aliases|label_[a-z]{2,3}")


def _csv_tree(path: Path, file: str) -> Map:
    """A csv value set as the tree of a yaml one: value,code,missing,aliases,label_en,... (lists by ';')."""
    rows = csv.DictReader(StringIO(read_text(path, file), newline=None))
    tree, values = Map(1), Map(1)
    for column in rows.fieldnames or ():
        if not COLUMN.fullmatch(column):
            raise At(file, 1).unknown("column", column, ("value", "code", "missing", "aliases", "label_en"))
    for row in rows:
        line, key = rows.line_num, (row.get("value") or "").strip()
        if not key or key in values:
            At(file, line).fail(f"value '{key}' is empty or stands here twice", "Give each value one row.")
        entry = Map(line)
        labels = Map(line)
        for column, cell in row.items():
            content = (cell or "").strip() if isinstance(cell, str) else ""
            if not content or column == "value":
                continue
            if column.startswith("label_"):
                labels[column[6:]] = content
            elif column == "missing":
                entry[column] = content
            else:
                entry[column] = Seq(line)
                entry[column].extend(part.strip() for part in content.split(";") if part.strip())
        if labels:
            entry["label"] = labels
        values[key], values.lines[key] = entry, line
    tree["values"] = values
    return tree


__all__ = [
    "ABSENT_REASONS",
    "ENTRY",
    "VALUESET",
    "Entry",
    "MapOf",
    "ValueSet",
    "normal",
    "parse_valueset",
    "read_valueset",
]
