"""Files as people write them: YAML 1.2 core, safe, quotes kept, every node knows its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from caseweave.errors import MappingError
from caseweave.spec.faults import Faults

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 400_000
MAX_DIGITS = 30

# YAML 1.2, section 10.3.2 (core schema): what a bare word means when it isn't text. One thing differs: digits behind
# a zero, as 0123, are text. They are codes and ids, and would lose their zero.
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
REAL = re.compile(r"[-+]?(\.[0-9]+|(?:0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

# what the parser says, as far as it goes, and the way out; the first that is in it
WAYS_OUT = (
    ("'\\t'", "Indent with spaces: YAML takes no tabs."),
    ("block end", "Indent the line as its neighbours are: it stands deeper, or less deep, than those above it."),
    ("cannot start any token", "Put the text in quotes: a bare one can't begin with that character."),
    ("mapping values", "Put a text with a colon and a space in quotes, or indent the line as its neighbours are."),
    ("", "Check quotes, colons and indentation around this line; inside { } a key with [ ] needs quotes."),
)

Scalar = str | int | float | bool | None


class Quoted(str):
    """A text that stood in quotes (or in a block), and so is a literal, never a name."""

    __slots__ = ()


class Real(float):
    """A number with a fraction; `text` keeps its digits as written, so that 4.30 stays 4.30."""

    text: str

    def __new__(cls, text: str) -> Real:
        found = super().__new__(cls, text)
        found.text = text
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return (Real, (self.text,))


class Map(dict[str, Any]):
    """A mapping; keys are text as written, `line` is its own line, `lines` that of each key."""

    line: int
    lines: dict[str, int]

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line, self.lines = line, {}

    def at(self, key: str) -> int:
        """The line of a key; the mapping's own where the key isn't there."""
        return self.lines.get(key, self.line)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_map, (self.line, self.lines, dict(self)))


class Seq(list[Any]):
    """A list; `line` is its own line, `lines` that of each item."""

    line: int
    lines: list[int]

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line, self.lines = line, []

    def at(self, place: int) -> int:
        """The line of an item."""
        return self.lines[place] if place < len(self.lines) else self.line

    def __reduce__(self) -> tuple[Any, ...]:
        return (_seq, (self.line, self.lines, list(self)))


def _map(line: int, lines: dict[str, int], content: dict[str, Any]) -> Map:
    found = Map(line)
    found.update(content)
    found.lines = lines
    return found


def _seq(line: int, lines: list[int], content: list[Any]) -> Seq:
    found = Seq(line)
    found.extend(content)
    found.lines = lines
    return found


Node = Map | Seq | Scalar


def scalar(text: str) -> Scalar:
    """What a bare word means in the YAML 1.2 core schema.

    >>> scalar("NO"), scalar("010"), scalar("2000-01-01"), scalar("~")
    ('NO', '010', '2000-01-01', None)
    """
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if len(text) > MAX_DIGITS:
        return text
    if INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if REAL.fullmatch(text):
        return Real(text)
    return text


@dataclass
class _Open:
    """A collection that is being filled: for a mapping the key that waits for its value."""

    node: Map | Seq
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0


@dataclass
class _Builder:
    file: str
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    root: list[tuple[Node, int]] = field(default_factory=list)
    count: int = 0
    faults: Faults = field(default_factory=Faults)

    def error(self, line: int, problem: str, way_out: str) -> MappingError:
        return MappingError(self.file, line, problem, way_out=way_out)

    def event(self, event: Any) -> None:
        line = event.start_mark.line + 1
        kind = type(event).__name__
        if kind in ("MappingStartEvent", "SequenceStartEvent", "ScalarEvent"):
            self.refuse_tag(event, line)
        if kind == "ScalarEvent":
            bare = event.style in (None, "")
            self.put(scalar(event.value) if bare else Quoted(event.value), line, event.anchor, 1, event.value)
        elif kind == "MappingStartEvent":
            self.open(Map(line), event.anchor, line)
        elif kind == "SequenceStartEvent":
            self.open(Seq(line), event.anchor, line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self.stack.pop()
            self.put(done.node, done.node.line, done.anchor, done.size, None)
        elif kind == "AliasEvent":
            if event.anchor not in self.anchors:
                raise self.error(
                    line,
                    f"'*{event.anchor}' names no anchor that is complete here",
                    f"Define &{event.anchor} before it is used, and not around it.",
                )
            node, size = self.anchors[event.anchor]
            self.put(node, line, None, size, node if isinstance(node, str) else None)

    def refuse_tag(self, event: Any, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag:
            raise self.error(
                line,
                f"the tag '{tag}' is not allowed",
                "Leave it out; quote a text that looks like a number.",
            )

    def open(self, node: Map | Seq, anchor: str | None, line: int) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.error(line, f"nested deeper than {MAX_DEPTH} levels", "Flatten it.")
        if self.stack and isinstance(self.stack[-1].node, Map) and self.stack[-1].key is None:
            raise self.error(line, "a key can't be a list or a mapping", "Use a text as key.")
        self.stack.append(_Open(node, anchor))

    def put(self, node: Node, line: int, anchor: str | None, size: int, text: str | None) -> None:
        """Add a finished node to the collection that is open; `size` counts what it stands for."""
        self.count += 1
        if anchor:
            self.anchors[anchor] = (node, size)
        if not self.stack:
            self.root.append((node, line))
            return
        top = self.stack[-1]
        if isinstance(top.node, Seq):
            top.node.append(node)
            top.node.lines.append(line)
        elif top.key is None:
            top.key, top.key_line = self.key(top.node, node, line, text), line
        else:
            top.node[top.key] = node
            top.node.lines[top.key] = top.key_line
            top.key = None
        top.size += size
        if top.size > MAX_NODES or self.count > MAX_NODES:
            raise self.error(
                line,
                f"more than {MAX_NODES:,} values, aliases counted as often as they are used",
                "Split the file.",
            )

    def key(self, mapping: Map, node: Node, line: int, text: str | None) -> str:
        if text is None or (not text and not isinstance(node, Quoted)):
            raise self.error(line, "a key can't be empty", "Use a text as key.")
        if text == "<<" and not isinstance(node, Quoted):
            raise self.error(line, "'<<' (merge) is not part of YAML 1.2", "Write the keys out.")
        if text in mapping:
            with self.faults:
                raise self.error(
                    line,
                    f"the key '{text}' stands here twice, first in line {mapping.at(text)}",
                    "Keep one of them.",
                )
        return str(text)


def parse_yaml(text: str, file: str) -> Node:
    """Read YAML text into a plain tree whose nodes know their lines.

    >>> tree = parse_yaml("a: NO\\nb: '1'\\n", "x.yaml")
    >>> tree["a"], isinstance(tree["b"], Quoted), tree.at("b")
    ('NO', True, 2)

    Arguments: `file` is what errors call it. Raises MappingError with the line of what is wrong.
    """
    builder = _Builder(file)
    loader = YAML(typ="safe", pure=True)
    try:
        for event in loader.parse(StringIO(text)):
            builder.event(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        raise MappingError(
            file,
            mark.line + 1 if mark else 1,
            f"not readable as YAML: {problem}",
            way_out=next(way_out for said, way_out in WAYS_OUT if said in problem),
        ) from None
    except YAMLError as error:
        raise MappingError(
            file,
            1,
            f"not readable as YAML: {' '.join(str(error).split())[:200]}",
            way_out="Save the file as UTF-8 text without control characters.",
        ) from None
    except ValueError as error:  # ruamel converts escapes such as "\U00110000" unchecked
        raise MappingError(
            file, 1, f"not readable as YAML: {error}", way_out="Check escapes in quoted texts."
        ) from None
    builder.faults.tell()
    if len(builder.root) > 1:
        raise MappingError(file, builder.root[1][1], "a second document begins here", way_out="One document a file.")
    return builder.root[0][0] if builder.root else None


def read_yaml(path: Path, file: str) -> tuple[Map, str]:
    """Read a file whose top level is a mapping; returns the tree and the text.

    Arguments: `path` to read; `file` is what errors call it. Raises MappingError.
    """
    return _read(_bytes(path, file), file)


@lru_cache(maxsize=512)
def _read(raw: bytes, file: str) -> tuple[Map, str]:
    """The same bytes are the same tree: nobody changes a tree, and the parser is slow (some 360 kB a second)."""
    text = decoded(raw, file)
    tree = parse_yaml(text, file)
    if not isinstance(tree, Map):
        raise MappingError(file, 1, "the top level isn't a mapping", way_out="Begin with a key and a colon.")
    return tree, text


def read_text(path: Path, file: str) -> str:
    """A file as text, its lines ended alike; raises MappingError."""
    return decoded(_bytes(path, file), file).replace("\r\n", "\n").replace("\r", "\n")


def _bytes(path: Path, file: str) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise MappingError(file, 1, f"can't be read ({error.strerror})", way_out="Check that it exists.") from None
    if len(raw) > MAX_BYTES:
        raise MappingError(file, 1, f"larger than {MAX_BYTES:,} bytes", way_out="Split it.")
    return raw


def decoded(raw: bytes, file: str) -> str:
    """Bytes as text; raises MappingError with the line of what isn't UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise MappingError(file, line, "not UTF-8 text", way_out="Save the file as UTF-8.") from None


def canonical(node: Node) -> str:
    """A text that changes with the content and not with comments, spacing or style.

    >>> canonical(parse_yaml("a:   [1,  'x'] # note", "f")) == canonical(parse_yaml("{a: [1, 'x']}", "f"))
    True
    """
    return json.dumps(_plain(node), ensure_ascii=False, separators=(",", ":"))


def _plain(node: Node) -> Any:
    if isinstance(node, Map):
        return [[key, _plain(value)] for key, value in node.items()]
    if isinstance(node, Seq):
        return {"list": [_plain(item) for item in node]}
    if isinstance(node, Quoted):
        return {"text": str(node)}
    return node.text if isinstance(node, Real) else node


def walk(node: Node, line: int = 1) -> Iterator[tuple[int, Scalar]]:
    """Every scalar below a node, with its line."""
    if isinstance(node, Map):
        for key, value in node.items():
            yield from walk(value, node.at(key))
    elif isinstance(node, Seq):
        for place, value in enumerate(node):
            yield from walk(value, node.at(place))
    else:
        yield line, node
