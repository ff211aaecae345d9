"""The ledger of a server, made out of the server: what it holds as we would send it needs no sending."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from caseweave.targets.fhir.render import STUDY_TAG
from caseweave.targets.fhir.server.answers import Node, one, reference
from caseweave.targets.fhir.server.confirm import Reader
from caseweave.targets.fhir.server.ledger import OWN, SOMEHOW, ServerLedger, contents
from caseweave.targets.fhir.server.parcels import Lines, UnitName
from caseweave.targets.fhir.server.retry import Patience
from caseweave.targets.ledger import PACKED

TAGGED = 1000
# where a resource names its patient
OWNERS = ("subject", "patient", "individual")
RETRACTED: UnitName = ("", "")

Made = Callable[[Collection[str]], set[str]]


@dataclass(frozen=True)
class Rebuilt:
    """What a server was found to hold: `same` as we would send it, `different`, `missing`; `stray`, what this workspace
    told once and no more; `others`, resources of the study that it never told."""

    same: int
    different: int
    missing: int
    stray: int
    others: int


def holds_some(reader: Reader, study: str, types: Iterable[str], patience: Patience) -> bool:
    """Whether a server holds anything of a study."""
    return any(reader.finds(name, {"_tag": f"{STUDY_TAG}|{study}"}, patience) for name in types)


def rebuild(
    ledger: ServerLedger, reader: Reader, study: str, lines: Lines, made: Made, patience: Callable[[], Patience]
) -> Rebuilt:
    """Write the ledger of a server from its contents; the caller commits.

    Arguments: `lines` knows every resource of the workspace; `made` tells which ids of facts this workspace's runs have
    made. Only those are retracted that it made: another workspace may deliver the same study to the same server.
    """
    kinds = ledger.kinds()
    ledger.create()
    ledger.forget()
    same = different = missing = 0
    known: set[str] = set()
    patients: dict[str, str] = {}
    for rows in _in_portions(ledger):
        here = {ref: hash_ for _, _, _, records in rows for ref, hash_ in contents(records, kinds).items()}
        known |= here.keys()
        wrong = reader.differing(sorted(here), lines, patience())
        different += sum(wrong.values())
        missing += len(wrong) - sum(wrong.values())
        same += len(here) - len(wrong)
        for subject, unit, name, records in rows:
            refs = list(contents(records, kinds))
            patients.update((ref, subject) for ref in refs if ref.startswith("Patient/"))
            if not wrong.keys() & set(refs):
                ledger.settle(subject, [unit])
            elif kept := _held(records, refs, wrong):
                ledger.put(subject, unit, name, kept)
    strays, others = _strays(reader, study, kinds, known, made, patience)
    for subject, records in _packed(strays, kinds, patients).items():
        ledger.put(subject, RETRACTED, study, records)
    return Rebuilt(same, different, missing, len(strays), others)


def _in_portions(ledger: ServerLedger, size: int = 200) -> Iterator[list[tuple[str, UnitName, str, bytes]]]:
    query = f"SELECT subject, sheet, stream, study, records FROM {OWN} ORDER BY subject, sheet, stream"
    found = ledger.connection.execute(query).fetchall()
    rows = [(subject, (sheet, stream), study, records) for subject, sheet, stream, study, records in found]
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _held(records: bytes, refs: list[str], wrong: dict[str, bool]) -> bytes:
    """The records of a unit as the server holds them: without those that it lacks, another hash for what differs."""
    packed = np.frombuffer(records, dtype=PACKED).copy()
    there = np.array([wrong.get(ref, True) for ref in refs], dtype=bool)
    differs = np.array([ref in wrong for ref in refs], dtype=bool)
    packed["hash"][differs] = SOMEHOW
    return bytes(packed[there].tobytes())


def _strays(
    reader: Reader,
    study: str,
    kinds: dict[int, str],
    known: set[str],
    made: Made,
    patience: Callable[[], Patience],
) -> tuple[list[Node], int]:
    """Resources of the study that the workspace doesn't tell: those that it told once, and the number of the others."""
    found: list[str] = []
    for name in sorted({kind.partition("-")[0] for kind in kinds.values()}):
        if reader.capability.searches(name):
            tagged = {"_tag": f"{STUDY_TAG}|{study}", "_elements": "id"}
            here = {reference(node) for node in reader.pages(name, tagged, patience(), TAGGED)}
            found += sorted(here - known)
    ours = made({_fact(ref) for ref in found})
    strays = [ref for ref in found if _fact(ref) in ours]
    return list(reader.whole(strays, patience())), len(found) - len(strays)


def _fact(ref: str) -> str:
    return ref.partition("/")[2][:32]


def _packed(strays: list[Node], kinds: dict[int, str], patients: dict[str, str]) -> dict[str, bytes]:
    """Strays as records, by the pseudonym of whom they are about, "" where that is unknown."""
    import base64

    numbers = {name: kind for kind, name in kinds.items()}
    found: dict[str, bytes] = {}
    for node in strays:
        own = str(one(node, "id"))
        kind = numbers.get(str(node["resourceType"]) + own[32:])
        owner = next((str(one(node, name, "reference")) for name in OWNERS if one(node, name)), reference(node))
        if kind is None:
            continue
        record = np.zeros(1, dtype=PACKED)
        record["id"] = np.frombuffer(base64.b32decode(own[:32].upper()), dtype="V20")
        record["kind"], record["hash"] = kind, SOMEHOW
        subject = patients.get(owner, "")
        found[subject] = found.get(subject, b"") + record.tobytes()
    return found
