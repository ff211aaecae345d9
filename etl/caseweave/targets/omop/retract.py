"""A patient taken out of an OMOP database: rows, observation period and ledger, of some streams of one study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from caseweave.targets.ledger import Held, digest_bytes, find, pack, unpack
from caseweave.targets.omop.database import FIELD_CONCEPTS, Database, delete_rows
from caseweave.targets.omop.links import cut
from caseweave.targets.omop.periods import write_periods
from caseweave.targets.records import concatenate, unit_digests

LEDGER = "caseweave_ledger"
Place = tuple[str, str, str]  # study, stream, sheet


@dataclass(frozen=True)
class Retracted:
    """What became of a patient: the rows deleted, by table, and the (study, stream)s that still tell of them."""

    rows: Counter[str]
    elsewhere: tuple[tuple[str, str], ...]


def told_of(database: Database, subject: str) -> dict[Place, bytes]:
    """The packed records that the ledger holds of a patient, all studies and streams."""
    query = f"SELECT study, stream, sheet, records FROM {LEDGER} WHERE subject = ? ORDER BY study, stream, sheet"
    rows = database.select(query, subject)
    return {(str(one[0]), str(one[1]), str(one[2])): bytes(one[3]) for one in rows}  # type: ignore[call-overload]


def retract_patient(
    database: Database, study: str, streams: Collection[str], subject: str, conventions: Mapping[str, int]
) -> Retracted:
    """Delete what streams of a study said of a patient; the caller commits.

    What other streams or studies say stays, and with it the person. Arguments: `subject`, a pseudonym; `conventions`,
    concepts by name.
    """
    told = told_of(database, subject)
    places = [place for place in told if place[0] == study and place[1] in streams]
    mine = unpack([(n, told[place]) for n, place in enumerate(places)])
    others = unpack([(-1, records) for place, records in told.items() if place not in places])
    tables = list(database.shapes.tables.values())
    person = [table.name for table in tables].index("person")
    # several streams can say the same fact: it is one row
    _, firsts = np.unique(mine.keys(), return_index=True)
    gone = mine.take(np.sort(firsts))
    gone = gone.take(find(gone, others) < 0)
    stays = gone.take((gone.kind == person) & bool(len(others)))
    gone = gone.take(find(gone, stays) < 0)
    digests = digest_bytes(unit_digests(stays, max(len(places), 1)))
    packed = dict(pack(stays, range(len(places))))
    for n, (_, stream, sheet) in enumerate(places):
        ledger = database.ledger(study, stream)
        ledger.write([((subject, sheet), Held(digests[n], None, None, packed[n]))])
    concepts = {table.name: conventions.get(FIELD_CONCEPTS.get(table.name, ""), 0) for table in tables}
    cut(database, tables, others, gone, {name: concept for name, concept in concepts.items() if concept})
    delete_rows(database, gone, with_key=False)
    persons = concatenate([mine, others])
    persons = persons.take(persons.kind == person)
    if len(persons):
        ledger = database.ledger(study, "")
        write_periods(database, ledger, {subject: int(persons.integer[0])}, conventions["case-report-form"])
    delete_rows(database, gone, with_key=True)
    rows = Counter(tables[kind].name for kind in gone.kind.tolist())
    return Retracted(rows, tuple(sorted({place[:2] for place in told if place not in places})))
