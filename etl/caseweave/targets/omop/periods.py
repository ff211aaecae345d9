"""OBSERVATION_PERIOD: every person has one, from the first to the last day that any sheet tells (OMOP CDM 5.4)."""

from __future__ import annotations

from collections.abc import Mapping

from caseweave.targets.ledger import Ledger
from caseweave.targets.omop.database import Database

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
    given = {person for person in persons.values() if person}
    query = (
        "SELECT person_id, observation_period_id, observation_period_start_date, observation_period_end_date "
        "FROM observation_period WHERE person_id BETWEEN ? AND ?"
    )
    known = {
        int(str(person)): (int(str(period)), str(start), str(end))
        for person, period, start, end in database.select(query, min(given, default=0), max(given, default=0))
        if person in given
    }
    following = database.largest("observation_period", "observation_period_id") + 1
    spans = ledger.spans(persons)
    new, changed, gone = [], [], []
    for subject, person in sorted(persons.items(), key=lambda item: item[1]):
        held, span = known.get(person), spans.get(subject)
        if held and not span:
            gone.append(held[0])
        elif held and span and held[1:] != span:
            changed.append((held[0], person, *span, period_type))
        elif person and span and not held:
            new.append((following, person, *span, period_type))
            following += 1
    database.insert("observation_period", COLUMNS, new)
    database.update("observation_period", COLUMNS, changed)
    database.delete("observation_period", "observation_period_id", gone)
