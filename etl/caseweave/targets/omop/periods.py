"""OBSERVATION_PERIOD: every person has one, from the first to the last day that any sheet tells (OMOP CDM 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caseweave.targets.ledger import Ledger

if TYPE_CHECKING:
    from caseweave.targets.omop.write import Database

COLUMNS = (
    "observation_period_id",
    "person_id",
    "observation_period_start_date",
    "observation_period_end_date",
    "period_type_concept_id",
)


def write_periods(database: Database, ledger: Ledger, persons: Mapping[str, int], period_type: int) -> None:
    """Set the periods of some persons from the spans that the ledger holds.

    Arguments: `persons`, integers by pseudonym, 0 for one who never had a row; `period_type`, a concept.
    """
    spans = ledger.spans()
    query = "SELECT person_id, observation_period_id FROM observation_period"
    known = {int(str(person)): int(str(period)) for person, period in database.select(query)}
    following = database.largest("observation_period", "observation_period_id") + 1
    database.delete("observation_period", "person_id", [person for person in persons.values() if person in known])
    rows = []
    for subject, person in sorted(persons.items(), key=lambda item: item[1]):
        if not person or subject not in spans:
            continue
        period = known.get(person)
        if period is None:
            period, following = following, following + 1
        rows.append((period, person, *spans[subject], period_type))
    database.insert("observation_period", COLUMNS, rows)
