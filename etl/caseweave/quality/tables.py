"""Tables that rules look things up in: which values go together, such as T, N and M with their stage group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caseweave.assets import data_path
from caseweave.spec.blocks import Block, Key
from caseweave.spec.models import Field
from caseweave.spec.readers import Labels, ListOf, MapOf, Word, Written
from caseweave.spec.words import At
from caseweave.spec.yamlfile import read_yaml

ANY = "any"


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table of values that go together: for what the other columns say, the last one is the answer.

    Arguments: `rows` hold, column by column, the values that fit; an empty tuple fits any. `prefixes` may stand before
    a value where a field writes it (cT1 for T1).
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], ...], ...]
    source: str
    prefixes: tuple[str, ...] = ()


TABLE = Block(
    "lookup table",
    "Values that go together, for rules of kind `table`: validators/tables/NAME.yaml, or tables/ in a study's folder.",
    (
        Key("table", Word("a name"), "its name, that of the file", "ajcc8-breast-anatomic", required=True),
        Key("title", Labels(), "what it says, per language", required=True),
        Key("source", Word(), "where it was read, so that anybody can look it up", required=True),
        Key("columns", ListOf(Word("the name of a column"), least=2), "its columns; the last is the answer",
            "[T, N, M, stage]", required=True),
        Key("prefixes", ListOf(Word("a prefix")), "what fields may write before a value", "[c, p, yp]", default=()),
        Key("groups", MapOf(ListOf(Written())), "values that a row names together", "{T1: [T1, T1mi, T1a]}",
            default={}),
        Key("rows", ListOf(ListOf(Written(), least=2), least=1), "the values of one row: a value, a group, or any",
            "[T1, N0, M0, IA]", required=True),
    ),
    lambda found, at: (found, at),
)  # fmt: skip


def read_table(name: str, folder: Path, at: At) -> Lookup:
    """Find and read a table. Raises MappingError where there is none, or where a row doesn't fit its columns.

    Arguments: `folder` of the study, which is asked first; `at`, where a rule names it.
    """
    places = (folder / "tables", data_path("validators") / "tables")
    path = next((one / f"{name}.yaml" for one in places if (one / f"{name}.yaml").is_file()), None)
    if path is None:
        raise at.unknown("table", name, sorted(one.stem for place in places for one in place.glob("*.yaml")))
    tree, _ = read_yaml(path, f"tables/{path.name}")
    found, here = TABLE.read(tree, At(f"tables/{path.name}", 1))
    if found["table"] != name:
        here.fail(f"table '{found['table']}' stands in {path.name}", "Name the file after its table.")
    return _build(found, here)


def _build(found: Mapping[str, Any], at: At) -> Lookup:
    columns: tuple[str, ...] = found["columns"]
    for row in found["rows"]:
        if len(row) != len(columns):
            at.fail(f"row {', '.join(row)} has {len(row)} values", f"Give {len(columns)}: {', '.join(columns)}.")
    groups: Mapping[str, tuple[str, ...]] = found["groups"]
    rows = tuple(tuple(() if one == ANY else groups.get(one, (one,)) for one in row) for row in found["rows"])
    return Lookup(found["table"], columns, rows, found["source"], found["prefixes"])


def written_in(field: Field, values: tuple[str, ...], prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """What a field writes for some values of a table: the keys of its value set that are or are labelled so."""
    if field.valueset is None:
        return values
    wanted = {prefix + one for one in values for prefix in ("", *prefixes)}
    return tuple(key for key, one in field.valueset.values.items() if {key, *one.label.values()} & wanted)
