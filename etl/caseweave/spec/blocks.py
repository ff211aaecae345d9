"""Blocks: mappings with known keys, as tables that reading, JSON Schema and reference manual share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caseweave.spec.faults import Faults
from caseweave.spec.readers import Reader, refuse
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Node


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a block: its reader, what it is for, an example, and its value where it isn't written."""

    name: str
    reader: Reader
    about: str
    example: str = ""
    required: bool = False
    default: Any = None

    @property
    def attribute(self) -> str:
        """The key as a Python name."""
        return self.name.replace(".", "_").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping with known keys: a table that reading, JSON Schema and reference manual share.

    Arguments: `rest` reads keys that aren't in the table; without it they are errors. `build` makes the value
    out of the keys' values and the place; `shorthand` reads a node that isn't a mapping.
    """

    name: str
    about: str
    keys: tuple[Key, ...]
    build: Callable[[dict[str, Any], At], Any]
    rest: Reader | None = None
    shorthand: Reader | None = None
    rest_about: str = ""

    @property
    def wanted(self) -> str:
        article = "an" if self.name[0] in "aeiou" else "a"
        return f"{article} {self.name}" + (f" ({self.shorthand.wanted})" if self.shorthand else "")

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Map) or (self.shorthand is not None and self.shorthand.accepts(node))

    def read(self, node: Node, at: At, collect: Faults | None = None) -> Any:
        """The value; raises what is wrong with it, all at once.

        Arguments: `collect` takes what is wrong with single keys, which then have their defaults; it isn't raised.
        """
        if self.shorthand is not None and not isinstance(node, Map):
            return self.shorthand.read(node, at)
        if not isinstance(node, Map):
            return refuse(self, node, at)
        known: Mapping[str, Key] = {key.name: key for key in self.keys}
        found: dict[str, Any] = {key.attribute: key.default for key in self.keys}
        rest: dict[str, Any] = {}
        faults = Faults() if collect is None else collect
        for name, value in node.items():
            here = at.key(node, name)
            key = known.get(name)
            with faults:
                if key is not None:
                    found[key.attribute] = key.reader.read(value, here)
                elif self.rest is not None:
                    rest[name] = self.rest.read(value, here)
                else:
                    comma = " Inside { } a text with a comma needs quotes." if value is None else ""
                    raise here.unknown("key", name, known, comma)
        # a key that nobody knows is, as a rule, one that is wanted
        strange = self.rest is None and any(name not in known for name in node)
        for key in self.keys:
            if key.required and key.name not in node and not strange:
                with faults:
                    at.fail(f"{self.wanted} without '{key.name}'", f"Add '{key.name}': {key.about}")
        if collect is None:
            faults.tell()
        if self.rest is not None:
            found["rest"], found["rest_lines"] = rest, {name: node.at(name) for name in rest}
        return self.build(found, at)

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "description": self.about,
            "properties": {key.name: {**key.reader.schema(), "description": key.about} for key in self.keys},
            "additionalProperties": self.rest.schema() if self.rest else False,
        }
        required = [key.name for key in self.keys if key.required]
        if required:
            found["required"] = required
        return {"anyOf": [found, self.shorthand.schema()]} if self.shorthand else found
