"""How a sheet says where its rows stand in JSON and BSON, and that its fields can be reached from there."""

from __future__ import annotations

from collections.abc import Iterable

from caseweave.spec.blocks import Block, Key
from caseweave.spec.models import Field
from caseweave.spec.readers import Word
from caseweave.spec.words import At

UP = "../"
# keys, and [] behind what is a list
EACH = r"\.|(?:(?:\[\])+|[^.\[\]]+(?:\[\])*)(?:\.[^.\[\]]+(?:\[\])*)*"
JSON = Block(
    "set of JSON settings",
    "Where the rows stand in JSON, NDJSON and BSON. A field's `column` is a path from there: `ki67`, `tumour.grade`, "
    "`lesions.0.size`; each `../` before it leads out of one list, `.` is the row itself.",
    (
        Key(
            "each",
            Word("keys with . between them and [] behind each list, or .", EACH),
            "the list whose items are the rows; in a file of many documents it begins with []",
            '"patients[].visits[]"',
            required=True,
        ),
    ),
    lambda found, at: found["each"],
)


def check_paths(each: str, fields: Iterable[Field]) -> None:
    """Raise MappingError for a field that lies outside the document.

    Arguments: `each`, where the rows stand; "" where the sheet has none in documents.
    """
    levels = each.count("[]") + (each != "." and not each.endswith("[]"))
    for one in fields:
        names = (one.column, *one.aliases)
        if each and any(name.count(UP) > levels for name in names if name.startswith(UP)):
            raise At(one.file, one.line).error(
                f"field '{one.name}' lies outside the document", f"From '{each}' {levels} times ../ leads to its top."
            )
