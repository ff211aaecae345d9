"""How errors speak: the place of a node, what is valid there, and the names that come near."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from caseweave.errors import MappingError
from caseweave.spec.yamlfile import Map, Node, Quoted, Seq

MOST_NAMES = 40


@dataclass(frozen=True, slots=True)
class At:
    """Where a node stands: the file as errors call it, and the line."""

    file: str
    line: int

    def key(self, tree: Map, key: str) -> At:
        """The place of a key."""
        return At(self.file, tree.at(key))

    def item(self, tree: Seq, place: int) -> At:
        """The place of an item."""
        return At(self.file, tree.at(place))

    def error(self, problem: str, way_out: str) -> MappingError:
        """The error to raise for what stands here."""
        return MappingError(self.file, self.line, problem, way_out=way_out)

    def fail(self, problem: str, way_out: str) -> NoReturn:
        """Raise the error for what stands here."""
        raise self.error(problem, way_out)

    def unknown(self, what: str, name: str, valid: Iterable[str], more: str = "") -> MappingError:
        """The error for a name that isn't one of those that are valid here."""
        way_out = names_here(name, valid) + more
        return MappingError(self.file, self.line, f"unknown {what} '{name}'", way_out=way_out, unknown=what, name=name)


def names_here(name: str, valid: Iterable[str]) -> str:
    """What would be valid instead of a name, the nearest first.

    >>> names_here("laterallity", ["laterality", "size"])
    "Did you mean 'laterality'? Valid here: laterality, size."
    """
    known = list(dict.fromkeys(valid))
    folded = {one.casefold(): one for one in known}
    near = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    listed = ", ".join(known[:MOST_NAMES]) + (f" ... ({len(known)} in all)" if len(known) > MOST_NAMES else "")
    meant = f"Did you mean {' or '.join(repr(one) for one in near)}? " if near else ""
    return f"{meant}Valid here: {listed or 'none'}."


def shown(node: Node) -> str:
    """A node as an error quotes it: short, and by its kind where it is a collection."""
    if isinstance(node, Map):
        return "a mapping"
    if isinstance(node, Seq):
        return "a list"
    if node is None:
        return "nothing"
    if isinstance(node, bool):
        return str(node).lower()
    text = str(node) if len(str(node)) <= 60 else str(node)[:57] + "..."
    return f'"{text}"' if isinstance(node, Quoted) else f"'{text}'"
