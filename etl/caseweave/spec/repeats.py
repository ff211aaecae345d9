"""Repeats: a field or statement that stands several times is written out before anything else reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from caseweave.spec.models import Repeat
from caseweave.spec.readers import Choice, MapOf, Reader, Written, refuse, written
from caseweave.spec.words import At
from caseweave.spec.yamlfile import Map, Node, Quoted, Seq

MOST_REPEATS = 200


class _Repeat:
    """`{i: 1..3, gaps: error}`: a variable with its range, gaps, and what the header has instead of `_$i`."""

    wanted = "a mapping such as {i: 1..3, gaps: error}"

    def accepts(self, node: Node) -> bool:
        return isinstance(node, Map)

    def read(self, node: Node, at: At) -> Any:
        if not isinstance(node, Map):
            return refuse(self, node, at)
        variables = [key for key in node if key not in ("gaps", "suffix")]
        if len(variables) != 1 or not re.fullmatch(r"[a-z]\w*", variables[0]):
            at.fail(f"a repeat has one variable, found {', '.join(variables) or 'none'}", f"Write {self.wanted}.")
        name = variables[0]
        indices = _indices(node[name], at.key(node, name))
        gaps = Choice(("error", "warning", "allow")).read(node.get("gaps", "allow"), at.key(node, "gaps"))
        suffix = MapOf(Written()).read(node.get("suffix", Map()), at.key(node, "suffix"))
        for index in suffix:
            if index not in indices:
                raise at.key(node, "suffix").unknown("index", index, indices)
        return Repeat(name, indices, suffix, gaps)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"gaps": {"enum": ["error", "warning", "allow"]}, "suffix": {"type": "object"}},
            "additionalProperties": {"type": ["string", "array"]},
            "minProperties": 1,
        }


def _indices(node: Node, at: At) -> tuple[str, ...]:
    found = re.fullmatch(r"(\d{1,4})\.\.(\d{1,4})", node) if isinstance(node, str) else None
    if found:
        first, last = int(found[1]), int(found[2])
        indices = tuple(str(index) for index in range(first, last + 1))
    elif isinstance(node, Seq):
        indices = tuple(written(one) for one in node)
    else:
        at.fail(f"expected a range, found '{node}'", "Write it as 1..3, or as a list.")
    if not 1 <= len(indices) <= MOST_REPEATS or len(set(indices)) != len(indices):
        at.fail(f"{len(indices)} repeats", f"Give 1 to {MOST_REPEATS} different ones, the first before the last.")
    return indices


REPEAT: Reader = _Repeat()


def substitute(node: Node, variable: str, index: str) -> Any:
    """A copy of a node with `$variable` written as an index in every text, lines kept."""
    pattern = re.compile(r"\$" + re.escape(variable) + r"(?![A-Za-z0-9])")
    if isinstance(node, Map):
        made = Map(node.line)
        for key, value in node.items():
            name = pattern.sub(index, key)
            made[name] = substitute(value, variable, index)
            made.lines[name] = node.at(key)
        return made
    if isinstance(node, Seq):
        many = Seq(node.line)
        many.extend(substitute(one, variable, index) for one in node)
        many.lines = node.lines
        return many
    if isinstance(node, str) and "$" in node:
        return type(node)(pattern.sub(index, node))
    return node


def repeats_of(name: str, node: Node, at: At) -> Iterator[tuple[str, Any, Repeat | None, str]]:
    """A field as declared, once for each of its repeats: (name, node, repeat, index)."""
    if not isinstance(node, Map) or "repeat" not in node:
        yield name, node, None, ""
        return
    repeat: Repeat = REPEAT.read(node["repeat"], at.key(node, "repeat"))
    if f"${repeat.variable}" not in name:
        at.fail(
            f"'{name}' repeats and has no ${repeat.variable} in its name",
            f"Name it as in {name}_${repeat.variable}.",
        )
    for index in repeat.indices:
        made: Map = substitute(node, repeat.variable, index)
        if repeat.suffix:
            _suffixed(made, node, name, repeat, index)
        yield str(substitute(name, repeat.variable, index)), made, repeat, index


def _suffixed(made: Map, node: Map, name: str, repeat: Repeat, index: str) -> None:
    """The header of a repeat whose form writes the number in its own way, as in chemo, chemo_2, chemo_3."""
    column = str(node.get("column", name))
    suffix = repeat.suffix.get(index, f"_{index}")
    made["column"] = Quoted(column.replace(f"_${repeat.variable}", suffix).replace(f"${repeat.variable}", index))
    made.lines["column"] = node.at("column")
