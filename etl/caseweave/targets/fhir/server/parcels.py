"""What one patient lacks at the server: parcels of changes, put in order, packed into bundles, cut apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

UnitName = tuple[str, str]
Lines = Callable[[str], bytes]
REFERENCES = re.compile(rb'"reference":"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})"')
# what others refer to goes last; whatever isn't named goes first
LATE = ("Procedure", "Specimen", "ImagingStudy", "BodyStructure", "Condition", "Encounter", "ResearchStudy", "Patient")
DELETE_LATE = {name: rank for rank, name in enumerate(LATE, 1)}


@dataclass(frozen=True, slots=True)
class Change:
    """One resource to be put or deleted.

    Arguments: `ref`, type and id; `units`, the sheets (with stream) of the patient that tell it; `known`, whether
    the server holds it already, as far as the ledger says.
    """

    ref: str
    delete: bool
    units: tuple[UnitName, ...]
    known: bool = False

    @property
    def type(self) -> str:
        """The resource's type."""
        return self.ref.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one patient lacks at the server: the changes of all units whose ledger row differs."""

    subject: str
    units: tuple[UnitName, ...]
    changes: tuple[Change, ...]

    def only(self, units: Iterable[UnitName]) -> Parcel:
        """The part of a parcel that some units tell."""
        wanted = frozenset(units)
        kept = tuple(one for one in self.changes if wanted.intersection(one.units))
        return Parcel(self.subject, tuple(one for one in self.units if one in wanted), kept)


def pack(parcels: Iterable[Parcel], size: Callable[[], int]) -> Iterator[list[Parcel]]:
    """Put parcels together until a bundle is full; a parcel that is too large for one comes alone.

    Arguments: `size` is asked each time: a server may be found to take less.
    """
    together: list[Parcel] = []
    filled = 0
    for parcel in parcels:
        if together and filled + len(parcel.changes) > size():
            yield together
            together, filled = [], 0
        together.append(parcel)
        filled += len(parcel.changes)
    if together:
        yield together


def links(changes: Sequence[Change], line: Lines) -> dict[str, list[str]]:
    """For each resource that is put, those among the changes that it refers to."""
    here = {one.ref for one in changes if not one.delete}
    return {
        one.ref: [ref for ref in map(bytes.decode, REFERENCES.findall(line(one.ref))) if ref in here and ref != one.ref]
        for one in changes
        if not one.delete
    }


def levels(changes: Sequence[Change], line: Lines) -> list[list[Change]]:
    """Changes in waves: what is put after all that it refers to, then what is deleted, what is referred to last.

    References that go round in a circle count once.
    """
    refers = links(changes, line)
    depth: dict[str, int] = {}
    for start in refers:
        stack = [start]
        while stack:
            ref = stack[-1]
            open_ = [one for one in refers[ref] if one not in depth and one not in stack]
            if open_:
                stack.append(open_[0])
            else:
                depth[ref] = 1 + max((depth.get(one, 0) for one in refers[ref]), default=0)
                stack.pop()
    after = 1 + max(depth.values(), default=0)
    waves: dict[int, list[Change]] = {}
    for one in changes:
        wave = after + DELETE_LATE.get(one.type, 0) if one.delete else depth[one.ref]
        waves.setdefault(wave, []).append(one)
    return [waves[wave] for wave in sorted(waves)]


def ordered(changes: Sequence[Change], line: Lines) -> list[Change]:
    """Changes in an order in which each could be sent alone."""
    return [one for wave in levels(changes, line) for one in wave]


def unit_groups(parcel: Parcel, line: Lines) -> list[tuple[frozenset[UnitName], frozenset[UnitName]]]:
    """A parcel's units in the order in which they can be sent apart, each group with all units that it builds on.

    Units that refer to each other, or tell the same resource, stay together.
    """
    of = {one.ref: one.units for one in parcel.changes}
    needs: dict[UnitName, set[UnitName]] = {unit: set() for unit in parcel.units}
    for one in parcel.changes:
        for unit in one.units:
            needs[unit].update(one.units)
    for ref, targets in links(parcel.changes, line).items():
        for unit in of[ref]:
            for target in targets:
                needs[unit].update(of[target])
    reach = {unit: _reach(unit, needs) for unit in parcel.units}
    groups: dict[frozenset[UnitName], frozenset[UnitName]] = {}
    for unit in sorted(parcel.units, key=lambda one: (len(reach[one]), parcel.units.index(one))):
        group = frozenset(one for one in reach[unit] if unit in reach[one])
        groups[group] = frozenset(reach[unit]) - group
    return list(groups.items())


def _reach(start: UnitName, needs: Mapping[UnitName, set[UnitName]]) -> set[UnitName]:
    found, todo = {start}, [start]
    while todo:
        for one in needs[todo.pop()] - found:
            found.add(one)
            todo.append(one)
    return found
