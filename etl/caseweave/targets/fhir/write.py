"""Facts into DIR/fhir/<ResourceType>.ndjson: compare with the ledger, render the difference, swap the files in."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from caseweave.plan.facts import FactBatch, SlotColumn
from caseweave.plan.variants import OncePerValues
from caseweave.targets.fhir.render import Compiled, FhirRenderer
from caseweave.targets.ledger import Difference, Held, Ledger, compare, digest_bytes, pack
from caseweave.targets.records import (
    Hashes,
    Records,
    concatenate,
    grouped,
    hash_values,
    id_words,
    seal,
    text_ids,
    unit_digests,
)
from caseweave.targets.scope import Scope, Unit
from caseweave.values.types import Code, Value


@dataclass
class FhirWriter:
    """Writes what one run made.

    Arguments: `scope` of the run; `key` of the content hashes, 32 bytes; `kind_of` numbers kinds of resources as the
    ledger does: the type, and behind it the suffix of the rendering's ids (`Specimen-specimen`), so that what
    vanished is found without its statement.
    """

    renderer: FhirRenderer
    key: bytes
    scope: Scope
    kind_of: Mapping[str, int] = field(default_factory=dict)
    hashed: OncePerValues[Hashes] = field(default_factory=OncePerValues)

    def __post_init__(self) -> None:
        self.ids = [batch.ids for batch in self.renderer.facts]

    def kinds(self) -> list[str]:
        """The kinds of resources that the run's statements can make."""
        return sorted({_kind(one) for compiled in self.renderer.compiled for one in compiled})

    def records(self) -> Records:
        """One record per resource that the run makes, hashed but not rendered."""
        parts = []
        for number, batch in enumerate(self.renderer.facts):
            content = self.content(number, batch)
            for place, compiled in enumerate(self.renderer.compiled[number]):
                facts = np.flatnonzero(self.renderer.emitted[number][place]).astype(np.int32)
                ids = self.ids[number][facts]
                kind = np.full(len(facts), self.kind_of[_kind(compiled)], dtype=np.uint8)
                unit = self.scope.numbers(batch.subjects[facts], batch.sheet)
                with np.errstate(over="ignore"):
                    sealed = seal(content[facts] + self.template(compiled), ids, place, kind)
                parts.append(
                    Records(
                        unit,
                        ids,
                        np.full(len(facts), place, dtype=np.uint8),
                        kind,
                        np.zeros(len(facts), dtype=np.int32),
                        sealed,
                        np.full(len(facts), number, dtype=np.int32),
                        facts,
                    )
                )
        return concatenate(parts)

    def template(self, compiled: Compiled) -> np.uint64:
        """What is the same in all resources of a rendering: its tree, rules and profiles, and the tags."""
        settings = self.renderer.settings
        # sets are said in their order: that of a frozenset changes from one process to the next
        claims = [
            (settings.profiles.get(claim.profile), [(need.slot, sorted(need.kinds)) for need in claim.needs])
            for claim in compiled.rendering.profiles
        ]
        said = (compiled.tree, claims, settings.tags, settings.identifier_system, settings.emit_missing)
        return np.uint64(hash_values(self.key, "template", [said])[0])

    def content(self, number: int, batch: FactBatch) -> Hashes:
        """The sum of the hashes of everything that a fact's resources are made of."""
        total = np.zeros(len(batch), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for name, slot in batch.slots.items():
                total += self.slot_hashes(name, slot)[slot.codes]
            for name, link in batch.links.items():
                there = link.index >= 0
                if not there.any():
                    continue
                salt = hash_values(self.key, name, ["link"]) | np.uint64(1)
                target = link.index[there]
                main = self.renderer.main[link.batch][target].astype(np.int64).astype(np.uint64)
                total[there] += (id_words(self.ids[link.batch][target]) + main) * salt
        return total

    def slot_hashes(self, name: str, slot: SlotColumn) -> Hashes:
        def hashes() -> Hashes:
            said = [None if value is None else (value, self.said(value)) for value in slot.values]
            return hash_values(self.key, name, said)

        return self.hashed.get(slot.values, name, hashes)

    def said(self, value: Value) -> tuple[object, ...]:
        coder = self.renderer.settings.coder
        return tuple(sorted(map(str, coder.codings(value)))) if isinstance(value, Code) else ()

    def compare(self, ledger: Ledger) -> Difference:
        """What the ledger lacks or holds differently."""
        self.kind_of = ledger.kinds(self.kinds())
        held = ledger.read(self.scope.subjects)
        return compare(self.records(), self.scope, held, ledger.others(self.scope.subjects))

    def write(self, folder: Path, ledger: Ledger, change: Difference) -> Counter[str]:
        """Bring the files of a folder to what the run says; the caller commits the ledger's database."""
        if not change:
            return Counter()
        written = self.swap(folder, change)
        ledger.write(self.ledger_rows(change))
        return written

    def swap(self, folder: Path, change: Difference) -> Counter[str]:
        folder.mkdir(parents=True, exist_ok=True)
        written: Counter[str] = Counter()
        touched = self.types_of(change)
        stale = self.stale(change, {name for name in touched if (folder / f"{name}.ndjson").exists()})
        parts = {name: (folder / f"{name}.ndjson.part").open("wb") for name in touched}
        try:
            for name, file in parts.items():
                old = folder / f"{name}.ndjson"
                if old.exists():
                    file.writelines(line for line in old.open("rb") if _id_of(line) not in stale.get(name, frozenset()))
            for name, lines in self.resources(concatenate([change.new, change.changed])):
                parts[name].write(b"\n".join(lines) + b"\n")
                written[name] += len(lines)
        finally:
            for file in parts.values():
                file.close()
        for name in sorted(parts):
            os.replace(folder / f"{name}.ndjson.part", folder / f"{name}.ndjson")
        return written

    def types_of(self, change: Difference) -> set[str]:
        """The resource types that a difference touches."""
        names = {number: name.partition("-")[0] for name, number in self.kind_of.items()}
        parts = (change.new, change.changed, change.vanished)
        return {names[kind] for records in parts for kind in np.unique(records.kind).tolist()}

    def stale(self, change: Difference, types: set[str]) -> dict[str, set[bytes]]:
        """Ids whose old lines go, by type; new ones too, should a run have died between the files and the ledger."""
        found: dict[str, set[bytes]] = {name: set() for name in types}
        names = {number: name.partition("-") for name, number in self.kind_of.items()}
        old = np.array([names.get(kind, ("",))[0] in types for kind in range(256)], dtype=bool)
        for records in (change.vanished, change.changed, change.new):
            records = records.take(old[records.kind])
            for text, kind in zip(text_ids(records.ids), records.kind.tolist(), strict=True):
                resource_type, dash, suffix = names[kind]
                found[resource_type].add(f"{text}{dash}{suffix}".encode())
        return found

    def resources(self, wanted: Records) -> Iterator[tuple[str, list[bytes]]]:
        """Render the resources of some records."""
        for (batch, place), chosen in grouped(wanted, "batch", "place"):
            for name, _, lines in self.renderer.resources(batch, wanted.fact[chosen], place):
                yield name, lines

    def ledger_rows(self, change: Difference) -> Iterator[tuple[Unit, Held]]:
        after = concatenate([change.new, change.changed, change.stays])
        digests = digest_bytes(unit_digests(after, len(self.scope.units)))
        for unit, packed in pack(after, change.touched.tolist()):
            yield self.scope.units[unit], Held(digests[unit], None, None, packed)


def _kind(compiled: Compiled) -> str:
    return compiled.tree.resource_type + compiled.suffix.decode()


def _id_of(line: bytes) -> bytes:
    return line.split(b'"id":"', 1)[1].split(b'"', 1)[0]
