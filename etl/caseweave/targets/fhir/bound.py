"""Where a profile binds codes: a claim holds only for values that its value sets can hold (mCODE STU4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from caseweave.plan.facts import Mask, SlotColumn
from caseweave.shapes.profiles import Profile, profiles, value_set
from caseweave.targets.fhir.fragments import Coder
from caseweave.targets.fhir.nodes import Entry, First, If, Object, Slot, Tree
from caseweave.values.types import Code, Value


@lru_cache(maxsize=256)
def bound_elements(profile_url: str) -> Mapping[str, tuple[str, ...]]:
    """The elements of a resource that a profile binds, with the value sets that no code may leave.

    >>> sorted(bound_elements("http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-tnm-stage-group"))
    ['code', 'value[x]']
    """
    profile = next((one for one in profiles().values() if one.url == profile_url), None)
    return dict(_bound(profile)) if profile is not None else {}


def _bound(profile: Profile) -> Iterator[tuple[str, tuple[str, ...]]]:
    for element in profile.elements:
        _, _, name = element.path.partition(".")
        if "." in name or element.slice:
            continue
        required = element.binding[1] if element.binding and element.binding[0] == "required" else ""
        known = tuple(url for url in (required, element.max_value_set) if url and value_set(url) is not None)
        if known:
            yield name, known


def keeps(profile_url: str, tree: Tree, slots: Mapping[str, SlotColumn], size: int, coder: Coder) -> Mask:
    """Which facts of a batch hold, in the elements that a profile binds, nothing that its value sets exclude."""
    mask = np.ones(size, dtype=bool)
    bound = bound_elements(profile_url)
    for name, slot in _slots(tree.root) if bound else ():
        column = slots.get(slot)
        if name in bound and column is not None:
            mask &= np.array([_inside(value, bound[name], coder) for value in column.values], dtype=bool)[column.codes]
    return mask


def _slots(node: Object) -> Iterator[tuple[str, str]]:
    """The slots that stand in elements of an object itself, with the elements' names."""
    for entry in node.entries:
        if isinstance(entry, First):
            for option in entry.options:
                yield from _slots(option)
        elif isinstance(entry, If):
            yield from _slots(entry.then)
            yield from _slots(entry.otherwise)
        elif isinstance(entry, Entry):
            yield from ((entry.key, child.slot) for child in entry.nodes if isinstance(child, Slot))


def _inside(value: Value | None, urls: tuple[str, ...], coder: Coder) -> bool:
    if not isinstance(value, Code):
        return True
    codings = [(one["system"], one["code"]) for one in coder.codings(value)]
    sets = [found for url in urls if (found := value_set(url)) is not None]
    return all(any(one.holds(system, code) is not False for system, code in codings) for one in sets)
