"""The vocabulary tables of a database: as much of CONCEPT as its rows use, so that every foreign key holds.

The embedded database can so be read, joined and checked by itself; a server's vocabulary is its owner's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from caseweave.targets.omop.columns import Constant, Lookup, Reference
from caseweave.targets.omop.database import FIELD_CONCEPTS, Database
from caseweave.targets.omop.fill import Built
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.terms import Terms
from caseweave.terms.concept import Concept
from caseweave.terms.subset import load_subset

NONE = 0  # "No matching concept"
ASKED_AT_ONCE = 500
ATHENA = "https://athena.ohdsi.org"
# table -> its key and its name; both are texts that CONCEPT names (CDM, vocabulary tables)
LISTS: dict[str, tuple[str, str]] = {
    "vocabulary": ("vocabulary_id", "vocabulary_name"),
    "domain": ("domain_id", "domain_name"),
    "concept_class": ("concept_class_id", "concept_class_name"),
}


def write_vocabulary(database: Database, builder: OmopBuilder, terms: Terms) -> int:
    """Insert the concepts that the builder's rows use and the database lacks; returns how many.

    Arguments: `terms`, the vocabularies of the run; what they don't have is looked for among the shipped concepts. A
    concept that neither has stands there by its id alone, in vocabulary None.
    """
    if "concept" not in database.shapes.tables:
        return 0
    wanted = {NONE, *used_concepts(builder)}
    missing = sorted(wanted - set(present(database, "concept", "concept_id", sorted(wanted))))
    shipped = load_subset()
    found = [
        terms.concept_by_id(one)
        or shipped.concept_by_id(one)
        or Concept(one, f"concept {one}", "Metadata", "None", "Undefined", "", str(one))
        for one in missing
    ]
    for table, (key, name) in LISTS.items():
        values = sorted({str(getattr(concept, key)) for concept in found})
        new = sorted(set(values) - set(present(database, table, key, values)))
        told = {"vocabulary_reference": ATHENA, "vocabulary_version": terms.release} if table == "vocabulary" else {}
        columns = [key, name, *told, f"{table}_concept_id"]
        database.insert(table, columns, [(one, one, *told.values(), NONE) for one in new])
    database.insert("concept", list(COLUMNS), [_row(one) for one in found])
    return len(found)


def lacking_concepts(database: Database, builder: OmopBuilder) -> list[int]:
    """The ids that the builder's rows use and somebody else's vocabulary doesn't have; nothing is written."""
    used = sorted(used_concepts(builder))
    return sorted(set(used) - {int(str(one)) for one in present(database, "concept", "concept_id", used)})


def used_concepts(builder: OmopBuilder) -> set[int]:
    """The ids in all columns of all rows that point to CONCEPT, those of the fields that links point to among them."""
    conventions = builder.settings.concepts.conventions
    found: set[int] = set()
    for number in range(len(builder.facts.batches)):
        for built in builder.batch(number):
            found.update(_ids(built))
            for column in built.columns.values():
                if isinstance(column, Reference) and column.field_concept:
                    names = {FIELD_CONCEPTS.get(one.table.name, "") for one in builder.batch(column.batch)}
                    found.update(conventions[name] for name in names if name in conventions)
    return found


def _ids(built: Built) -> Iterator[int]:
    for name, column in built.columns.items():
        field = built.table.field(name)
        if field is None or field.fk_table != "concept":
            continue
        if isinstance(column, Constant) and isinstance(column.value, int):
            yield column.value
        elif isinstance(column, Lookup):
            for code in np.unique(column.codes[built.mask]).tolist():
                value = column.values[code]
                if isinstance(value, int):
                    yield value


def present(database: Database, table: str, key: str, values: Sequence[object]) -> Iterator[object]:
    """Which of some values stand in the key of a table."""
    for start in range(0, len(values), ASKED_AT_ONCE):
        asked = values[start : start + ASKED_AT_ONCE]
        marks = ", ".join("?" * len(asked))
        yield from (row[0] for row in database.select(f"SELECT {key} FROM {table} WHERE {key} IN ({marks})", *asked))


COLUMNS = (
    "concept_id",
    "concept_name",
    "domain_id",
    "vocabulary_id",
    "concept_class_id",
    "standard_concept",
    "concept_code",
    "valid_start_date",
    "valid_end_date",
    "invalid_reason",
)


def _row(concept: Concept) -> tuple[object, ...]:
    return (
        concept.concept_id,
        concept.concept_name[:255],
        concept.domain_id,
        concept.vocabulary_id,
        concept.concept_class_id,
        concept.standard_concept or None,
        concept.concept_code[:50],
        _iso(concept.valid_start_date),
        _iso(concept.valid_end_date),
        concept.invalid_reason or None,
    )


def _iso(date: str) -> str:
    """Athena's 20991231 as 2099-12-31."""
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else date
