"""What editors and readers get from the tables of the rules: JSON Schemas and the reference of the kinds.

`python -m caseweave.quality.schema` writes both into the source tree; a test says when they have to be written again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caseweave.assets import data_path
from caseweave.quality.kinds import CATEGORIES, DIMENSIONS, KINDS
from caseweave.quality.rules import RULES
from caseweave.quality.tables import TABLE
from caseweave.spec.blocks import Block
from caseweave.spec.schema import DIALECT, all_blocks, cell, schema_text, section, write
from caseweave.spec.syntax import AGGREGATES

FILES: dict[str, Block] = {"rules": RULES, "table": TABLE}
REFERENCE = "docs/reference/rules.md"
JUDGED = {"each": "each row", "together": "rows together", "patient": "the patient"}
HEAD = """\
# Rules: reference

Written by `python -m caseweave.quality.schema` from the tables that read the files. For an introduction see
[mapping authors](../mapping-authors.md#rules-and-checks); editors get the same as JSON Schemas,
`vocabularies/shapes/rules.schema.json` and `table.schema.json`.

A rule is about the rows of one sheet in which `when` holds. Its kind says what it asks of them. Where a row breaks
it, the marked cell gets a finding; the finding of an *error* also rejects the cell, so that no fact is made of it,
a *warning* and a *message* don't. Expressions are those of the [mapping language](mapping-language.md#expressions);
`sheet.field` is what another sheet says of the same patient, and of the same tumour or visit where both sheets have
the key for it.
"""
READING = """\
*Undecided* is a row of which it can't be told whether it keeps the rule: a cell is blank, a date is known to the
month only, a number is "<5". A CHECK in SQL and a range check in ODM let such a row pass, and so do all kinds but
`coherence` and `required`. `coherence` doesn't: it also says what must be there (a cause of death, so the status is
dead; a comorbidity, so one of these is ticked), and a blank breaks that. Where a blank is no fault, say so:

- by a kind that lets it pass: `range`, `order`, `table`;
- in `when`, which also keeps the row out of the list of `--all-checks`: `when: stage is present and grade is present`;
- in `expr`, one operand at a time: `not (status is present and status in ("progression", "recurrence"))`. Without
  `status is present` that is unknown, not true, where `status` is blank.

*Judged*: each row by itself; rows together, which names no cell where none is to blame; or the patient, which is a
verdict (included, excluded, undecided) in the report, and no finding. In Python:
`caseweave.quality.criteria.eligibility`.
"""


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file.

    >>> schema_of("rules")["required"]
    ['study']

    Arguments: `name`, rules or table. Standard: JSON Schema 2020-12.
    """
    return {"$schema": DIALECT, "title": f"Caseweave {FILES[name].name}", **FILES[name].schema()}


def reference() -> str:
    """The reference of the rules, as Markdown."""
    lines = [HEAD, "## Kinds", "", "| kind | asks | keys | judged | severity | undecided | category | dimension |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, kind in KINDS.items():
        keys = ", ".join([f"**`{key}`**" for key in kind.asks] + [f"`{key}`" for key in kind.may])
        undecided = "finding" if kind.undecided else "says nothing"
        parts = (f"`{name}`", cell(kind.about), keys, JUDGED[kind.rows], kind.severity, undecided)
        lines.append(f"| {' | '.join((*parts, kind.category, kind.dimension))} |")
    lines += ["", READING]
    lines += ["## Over all rows of a patient", "", "| function | gives |", "|---|---|"]
    lines += [f"| `{name}(sheet.field)` | {cell(about)} |" for name, about in AGGREGATES.items()]
    lines += ["", "## Categories and dimensions", ""]
    lines.append(f"- Kahn et al., eGEMs 2016, doi 10.13063/2327-9214.1244: {', '.join(CATEGORIES)}.")
    lines.append(f"- EUCAIM data quality framework (handbook, Data preparation): {', '.join(DIMENSIONS)}.")
    lines.append("")
    for block in all_blocks(FILES.values()):
        lines += section(block)
    return "\n".join(lines)


def published() -> dict[Path, str]:
    """The files in the source tree that this module writes, with their content."""
    home = data_path("vocabularies")
    found = {home / "shapes" / f"{name}.schema.json": schema_text(schema_of(name)) for name in FILES}
    found[home.parent / REFERENCE] = reference()
    return found


if __name__ == "__main__":
    write(published())
