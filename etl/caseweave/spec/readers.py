"""Readers: each checks one kind of node, gives its value, knows its JSON Schema, and says what it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from caseweave.spec.expression import parse
from caseweave.spec.faults import Faults
from caseweave.spec.words import At, names_here, shown
from caseweave.spec.yamlfile import Map, Node, Real, Seq
from caseweave.values.types import Coding

CODE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\|(\S+)")


# longer lists stand in the way out alone
MOST_LISTED = 8


class Reader(Protocol):
    """Checks a node and gives its value; raises MappingError that says what is wanted."""

    @property
    def wanted(self) -> str:
        """What stands here, in words."""

    def accepts(self, node: Node) -> bool:
        """Whether a node is of the right kind at first sight."""

    def read(self, node: Node, at: At) -> Any:
        """The value; raises MappingError."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what stands here."""


def refuse(reader: Reader, node: Node, at: At) -> Any:
    """Raise the error for a node of the wrong kind."""
    at.fail(f"expected {reader.wanted}, found {shown(node)}", f"Write {reader.wanted}.")


@dataclass(frozen=True, slots=True)
class Word:
    """A text, in quotes or not; with `pattern` it must match as a whole."""

    wanted: str = "a text"
    pattern: str = ""

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, str) or (self.pattern and not re.fullmatch(self.pattern, node)):
            quote = " in quotes" if isinstance(node, int | float) else ""
            at.fail(f"expected {self.wanted}, found {shown(node)}", f"Write {self.wanted}{quote}.")
        return str(node)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"} if self.pattern else {"type": "string"}


@dataclass(frozen=True, slots=True)
class Written:
    """A text or a number, taken as the text that was written (a version, a local value)."""

    wanted: str = "a text or a number"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str | int | float)

    def read(self, node: Node, at: At) -> Any:
        if not self.accepts(node):
            refuse(self, node, at)
        return written(node)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean"]}


def written(node: Node) -> str:
    """A scalar as text, digits as they were written."""
    return node.text if isinstance(node, Real) else str(node).lower() if isinstance(node, bool) else str(node)


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    wanted: str = "true or false"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, bool)

    def read(self, node: Node, at: At) -> Any:
        return node if isinstance(node, bool) else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of at least `least`."""

    least: int = 0

    @property
    def wanted(self) -> str:
        return f"a whole number from {self.least} on"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, int) and not isinstance(node, bool)

    def read(self, node: Node, at: At) -> Any:
        return node if isinstance(node, int) and self.accepts(node) and node >= self.least else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least}


@dataclass(frozen=True, slots=True)
class Number:
    """A number, exact as written."""

    wanted: str = "a number"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, int | float) and not isinstance(node, bool)

    def read(self, node: Node, at: At) -> Any:
        if not self.accepts(node):
            refuse(self, node, at)
        return Decimal(node.text if isinstance(node, Real) else str(node))

    def schema(self) -> dict[str, Any]:
        return {"type": "number"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def wanted(self) -> str:
        few = len(self.options) <= MOST_LISTED
        return f"one of {', '.join(self.options)}" if few else f"one of {len(self.options)} words"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, str | int | float) or written(node) not in self.options:
            at.fail(f"expected {self.wanted}, found {shown(node)}", names_here(str(node), self.options))
        return written(node)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.options)}


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression of the expression language, parsed; `across_rows` where it may ask all rows of a patient."""

    wanted: str = "an expression"
    across_rows: bool = False

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, str):
            return refuse(self, node, at)
        return parse(str(node), at.file, at.line, across_rows=self.across_rows)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class CodeText:
    """A code, written SYSTEM|code."""

    wanted: str = "a code, SYSTEM|code"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str) and CODE.fullmatch(node) is not None

    def read(self, node: Node, at: At) -> Any:
        found = CODE.fullmatch(node) if isinstance(node, str) else None
        return Coding(found[1], found[2]) if found else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_-]*\|\S+$"}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, as a tuple; `single` allows one item without brackets."""

    item: Reader
    single: bool = False
    least: int = 0

    @property
    def wanted(self) -> str:
        return f"a list, each item {self.item.wanted}"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Seq) or (self.single and self.item.accepts(node))

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, Seq):
            return (self.item.read(node, at),) if self.single and node is not None else refuse(self, node, at)
        if len(node) < self.least:
            at.fail(f"{len(node)} items in the list", f"Give {self.least} or more.")
        faults, found = Faults(), []
        for place, one in enumerate(node):
            with faults:
                found.append(self.item.read(one, at.item(node, place)))
        faults.tell()
        return tuple(found)

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.item.schema(), "minItems": self.least}
        return {"anyOf": [self.item.schema(), many]} if self.single else many


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from names to values of one kind."""

    value: Reader
    keys: str = "names"

    @property
    def wanted(self) -> str:
        return f"a mapping from {self.keys} to {self.value.wanted}"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Map)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, Map):
            return refuse(self, node, at)
        faults, found = Faults(), {}
        for key, value in node.items():
            with faults:
                found[key] = self.value.read(value, at.key(node, key))
        faults.tell()
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.value.schema()}


@dataclass(frozen=True, slots=True)
class Either:
    """One of several kinds; the first that accepts the node reads it."""

    options: tuple[Reader, ...]

    @property
    def wanted(self) -> str:
        return " or ".join(option.wanted for option in self.options)

    def accepts(self, node: Node) -> bool:
        return any(option.accepts(node) for option in self.options)

    def read(self, node: Node, at: At) -> Any:
        for option in self.options:
            if option.accepts(node):
                return option.read(node, at)
        return refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [option.schema() for option in self.options]}


@dataclass(frozen=True, slots=True)
class Tree:
    """A mapping that is kept as it stands; another floor reads it."""

    wanted: str = "a mapping"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Map)

    def read(self, node: Node, at: At) -> Any:
        return node if isinstance(node, Map) else refuse(self, node, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class Labels:
    """A text in one or several languages: a mapping from language to text, or one text (English)."""

    wanted: str = "a text, or a mapping from language to text"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, str | Map)

    def read(self, node: Node, at: At) -> Any:
        if isinstance(node, str):
            return {"en": str(node)}
        if not isinstance(node, Map):
            return refuse(self, node, at)
        for language in node:
            if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", language):
                at.key(node, language).fail(
                    f"'{language}' is no language",
                    "Write en, es, pt-BR ...; inside { } a text with a comma needs quotes.",
                )
        return {key: Written().read(value, at.key(node, key)) for key, value in node.items()}

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}


@dataclass(frozen=True, slots=True)
class Limits:
    """[least, most], either of them empty."""

    wanted: str = "[least, most]"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Seq)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, Seq) or len(node) != 2:
            return refuse(self, node, at)
        low, high = (None if one is None else Number().read(one, at) for one in node)
        if low is not None and high is not None and low > high:
            at.fail(f"the least, {low}, is more than the most, {high}", "Swap them.")
        return (low, high)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["number", "null"]}}
