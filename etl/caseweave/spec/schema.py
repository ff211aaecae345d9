"""What editors and readers get from the tables of the mapping language: JSON Schemas and the reference manual.

`python -m caseweave.spec.schema` writes both into the source tree; a test says when they have to be written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from caseweave.assets import data_path
from caseweave.spec.blocks import Block, Key
from caseweave.spec.patternfile import PATTERN
from caseweave.spec.readers import Either, ListOf, MapOf, Reader
from caseweave.spec.sheetfile import FIELD, SHEET, STATEMENT
from caseweave.spec.studyfile import STUDY
from caseweave.spec.syntax import FUNCTIONS
from caseweave.spec.valueset import VALUESET

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, Block] = {"study": STUDY, "sheet": SHEET, "pattern": PATTERN, "valueset": VALUESET}
REFERENCE = "docs/reference/mapping-language.md"
HEAD = """\
# The mapping language: reference

Written by `python -m caseweave.spec.schema` from the tables that read the files. For an introduction see
[mapping authors](../mapping-authors.md); editors get the same as JSON Schemas, `vocabularies/shapes/*.schema.json`.

Files are YAML 1.2: `NO` is text, `2000-01-01` is text until a field says that it is a date. Digits behind a zero are
text as well: `0123` keeps it. No tags, no merge keys, no key twice. In a slot a bare word is a field or a statement,
`SYSTEM|code` a code, a text in quotes a literal. Keys in bold must be there.
"""
EXPRESSIONS = (
    ("`a and b`, `a or b`, `not a`", "Unknown stays unknown, unless the other side decides."),
    (
        "`=` `!=` `<` `<=` `>` `>=`",
        "Unknown where a side is blank or declared missing, where units differ, and where periods overlap.",
    ),
    ("`x in (a, b)`, `x not in (a, b)`", "One of several values."),
    ("`x is present`, `x is not present`", "A value that isn't declared missing."),
    ("`x is missing`", "Declared missing; a blank isn't."),
    ("`+` `-` `*` `/`", "Numbers of one unit; a date less a date is days; a date and days are a date."),
    ('`er = "pos"`, `er = SCT|10828004`', "A code against its local value, or against any of its codes."),
    ('`visit_date >= "2021-03"`', "A date against a text that is one."),
)


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file.

    >>> schema_of("study")["required"]
    ['study', 'sheets']

    Arguments: `name`, one of study, sheet, pattern, valueset. Standard: JSON Schema 2020-12.
    """
    found = FILES[name].schema()
    if name == "sheet":
        found["properties"]["fields"] = {"type": "object", "additionalProperties": FIELD.schema()}
    return {"$schema": DIALECT, "title": f"Caseweave {FILES[name].name}", **found}


def schema_text(schema: dict[str, Any]) -> str:
    """A JSON Schema as it is published."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def blocks_in(reader: Reader) -> Iterator[Block]:
    """The blocks that a reader reads, itself among them."""
    if isinstance(reader, Block):
        yield reader
    elif isinstance(reader, ListOf):
        yield from blocks_in(reader.item)
    elif isinstance(reader, MapOf):
        yield from blocks_in(reader.value)
    elif isinstance(reader, Either):
        for option in reader.options:
            yield from blocks_in(option)
    yield from getattr(reader, "inside", ())


def all_blocks(roots: Iterable[Block] = (STUDY, SHEET, FIELD, STATEMENT, VALUESET, PATTERN)) -> list[Block]:
    """Every block of the language, from the files down to their parts, each once."""
    found: list[Block] = []
    queue: list[Block] = [*roots]
    while queue:
        block = queue.pop(0)
        if any(block is one for one in found):
            continue
        found.append(block)
        readers = [key.reader for key in block.keys] + ([block.rest] if block.rest else [])
        inner = [one for reader in readers for one in blocks_in(reader)]
        queue.extend(one for one in inner if one is not block)
    return found


def reference() -> str:
    """The reference manual of the mapping language, as Markdown."""
    lines = [HEAD]
    for block in all_blocks():
        lines += section(block)
    lines += ["## Expressions", "", "| written | meaning |", "|---|---|"]
    lines += [f"| {cell(written)} | {cell(meaning)} |" for written, meaning in EXPRESSIONS]
    lines += ["", "| function | gives |", "|---|---|"]
    lines += [f"| `{_signature(name)}` | {cell(about)} |" for name, (_, _, about) in FUNCTIONS.items()]
    lines += [
        "",
        "A condition (`when`, `required`, `if`) holds only where its answer is true; unknown is not true.",
        "",
    ]
    return "\n".join(lines)


def section(block: Block) -> list[str]:
    """A block as a section of a reference page: what it is, and its keys."""
    lines = [f"## {block.name[0].upper()}{block.name[1:]}", "", block.about]
    if block.shorthand is not None:
        lines[-1] += f" Or in short: {block.shorthand.wanted}."
    lines += ["", "| key | what it is | takes | example |", "|---|---|---|---|"]
    lines += [_row(key) for key in block.keys]
    if block.rest is not None:
        lines.append(f"| *others* | {cell(block.rest_about)} | {cell(block.rest.wanted)} | |")
    return [*lines, ""]


def _row(key: Key) -> str:
    name = f"**`{key.name}`**" if key.required else f"`{key.name}`"
    example = f"`{key.example}`" if key.example else ""
    default = key.default if isinstance(key.default, str | bool | int) and key.default not in ("", False) else None
    takes = key.reader.wanted + (f" (default: {default})" if default is not None else "")
    return f"| {name} | {cell(key.about)} | {cell(takes)} | {cell(example)} |"


def cell(text: str) -> str:
    """A text as a cell of a table in Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def _signature(name: str) -> str:
    fewest, most, _ = FUNCTIONS[name]
    letters = [chr(97 + place) for place in range(fewest)] if most < 10 else ["a", "b", "..."]
    return f"{name}({', '.join(letters)})"


def published() -> dict[Path, str]:
    """The files in the source tree that this module writes, with their content."""
    home = data_path("vocabularies")
    found = {home / "shapes" / f"{name}.schema.json": schema_text(schema_of(name)) for name in FILES}
    found[home.parent / REFERENCE] = reference()
    return found


def write(files: Mapping[Path, str]) -> None:
    """Write files that are made out of tables, into the source tree."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(published())
