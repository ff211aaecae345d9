"""Words and columns for a terminal or a pipe; nothing here decides anything."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WIDTH = 96
LABEL = 11
TIED = "\u00a0"  # between a name and its count, which stay on one line


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns below each other, two spaces between them.

    >>> print(table(["name", "n"], [["a", 1]]))
    name  n
    a     1
    """
    lines = [[str(one) for one in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def entry(label: str, text: str) -> str:
    """A labelled text, its further lines below its first.

    >>> print(entry("Facts", "12"))
    Facts      12
    """
    return (label.ljust(LABEL) + ("\n" + " " * LABEL).join(wrap(text, WIDTH - LABEL))).replace(TIED, " ")


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most so many characters, broken at spaces; longer words stay whole.

    >>> wrap("one two", 5)
    ['one', 'two']
    """
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if len(joined) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def number(count: int) -> str:
    """A count as people read it.

    >>> number(230000)
    '230,000'
    """
    return f"{count:,}"


def count(amount: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> count(1, "row"), count(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number(amount)} {one if amount == 1 else many or one + 's'}"


def counts(found: Mapping[str, int]) -> str:
    """Names with their counts, the most frequent first.

    >>> print(entry("FHIR", counts({"Patient": 2, "Observation": 5})))
    FHIR       Observation 5, Patient 2
    """
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name}{TIED}{number(amount)}" for name, amount in ordered)


def command(*words: object) -> str:
    """A command line to copy, quoted as a shell wants it.

    >>> command("caseweave", "status", "my folder")
    "caseweave status 'my folder'"
    """
    return shlex.join(str(one) for one in words)


def harmless(text: str) -> str:
    r"""A text without what a terminal would obey: names of files and words of servers can hold escape sequences.

    >>> harmless("a\x1b[2Jb\n")
    'a\\u001b[2Jb\n'
    """
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str) -> None:
    """Print to standard output."""
    typer.echo(harmless(text))


def note(text: str) -> None:
    """Print to standard error: what isn't part of the answer."""
    typer.echo(harmless(f"caseweave: {text}"), err=True)


def say_json(content: Any) -> None:
    """Print JSON, letters as they are."""
    import json

    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
