"""The profiles of mCODE STU4: what they demand beyond R4, with the US Core rules that they inherit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from caseweave.assets import data_path

PROFILES_FILE = "shapes/mcode_stu4.json"


@dataclass(frozen=True, slots=True)
class ProfileElement:
    """What a profile says of one element.

    Arguments: `id` as in the snapshot, `path` without slice names, `slice` the last slice's name or ""; `min`, `max`;
    `types` allowed, `targets` and `profiles`, urls that references and values must conform to; `fixed`, the exact
    value, `pattern`, the least that a value must hold (JSON, None where there is none); `binding`, strength (required
    or extensible) and value set; `max_value_set`, the value set that no code may leave, "" where there is none;
    `slicing`, how slices are told apart, (type, path) each.
    """

    id: str
    path: str
    slice: str
    min: int
    max: str
    types: tuple[str, ...]
    targets: tuple[str, ...]
    profiles: tuple[str, ...]
    fixed: Any
    pattern: Any
    binding: tuple[str, str] | None
    max_value_set: str
    slicing: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule of a profile, as FHIRPath."""

    key: str
    severity: str
    element: str
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: `id`, canonical `url`, the `resource_type` (or Extension, Identifier) that it is about."""

    id: str
    url: str
    resource_type: str
    base: str
    abstract: bool
    elements: tuple[ProfileElement, ...]
    rules: tuple[Rule, ...]

    def element(self, element_id: str) -> ProfileElement | None:
        """What it says of an element, by the id of the snapshot; None where it adds nothing to R4."""
        return next((one for one in self.elements if one.id == element_id), None)

    @property
    def extensions(self) -> Mapping[str, ProfileElement]:
        """The extensions that it names, by url."""
        return {
            url: one
            for one in self.elements
            if one.path.rpartition(".")[2] in ("extension", "modifierExtension") and one.slice
            for url in one.profiles
        }


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A value set of mCODE.

    Arguments: `codes`, (system url, code) that it lists; `rules`, (system url, property, operator, value) of those that
    it only describes, such as all below a SNOMED concept; `excluded` likewise.
    """

    url: str
    codes: frozenset[tuple[str, str]]
    rules: tuple[tuple[str, str, str, str], ...]
    excluded: frozenset[tuple[str, str]] = frozenset()
    excluded_rules: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether `codes` are all there are."""
        return not self.rules

    def holds(self, system: str, code: str) -> bool | None:
        """Whether a code is in it; None where only a terminology server could tell."""
        if (system, code) in self.excluded:
            return False
        if (system, code) in self.codes:
            return None if _touch(self.excluded_rules, system) else True
        return None if _touch(self.rules, system) else False


def _touch(rules: tuple[tuple[str, str, str, str], ...], system: str) -> bool:
    """Whether a rule could speak of a system: its own, or a value set that isn't here."""
    return any(rule[0] == system or "/ValueSet/" in rule[0] for rule in rules)


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((data_path("vocabularies") / PROFILES_FILE).read_bytes())
    return found


@lru_cache(maxsize=1)
def profiles() -> Mapping[str, Profile]:
    """All profiles of mCODE STU4 (http://hl7.org/fhir/us/mcode/STU4), extensions too, by id.

    >>> profiles()["mcode-tumor-marker-test"].element("Observation.value[x]").types
    ('Quantity', 'CodeableConcept', 'string', 'Ratio')
    """
    return {name: _profile(name, entry) for name, entry in _data()["profiles"].items()}


@lru_cache(maxsize=256)
def value_set(url: str) -> ValueSet | None:
    """A value set that a profile of mCODE binds to; None where it isn't one of mCODE's own.

    Arguments: `url`, with or without `|version`.
    """
    url = url.partition("|")[0]
    entry = _data()["value_sets"].get(url)
    if entry is None:
        return None
    return ValueSet(
        url,
        _pairs(entry["codes"]),
        _rules(entry.get("rules", ())),
        _pairs(entry.get("excluded", {})),
        _rules(entry.get("excluded_rules", ())),
    )


def _rules(entries: Iterable[Sequence[str]]) -> tuple[tuple[str, str, str, str], ...]:
    return tuple((system, name, operator, value) for system, name, operator, value in entries)


def _pairs(codes: Mapping[str, list[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((system, code) for system, some in codes.items() for code in some)


def _profile(name: str, entry: Mapping[str, Any]) -> Profile:
    return Profile(
        name,
        entry["url"],
        entry["type"],
        entry["base"],
        entry["abstract"],
        tuple(_element(one) for one in entry["elements"]),
        tuple(Rule(*rule) for rule in entry["rules"]),
    )


def _element(entry: Mapping[str, Any]) -> ProfileElement:
    steps = entry["id"].split(".")
    binding = entry.get("binding")
    return ProfileElement(
        id=entry["id"],
        path=".".join(step.partition(":")[0] for step in steps),
        slice=steps[-1].partition(":")[2],
        min=entry["min"],
        max=entry["max"],
        types=tuple(entry.get("types", ())),
        targets=tuple(entry.get("targets", ())),
        profiles=tuple(entry.get("profiles", ())),
        fixed=entry.get("fixed"),
        pattern=entry.get("pattern"),
        binding=(binding[0], binding[1]) if binding else None,
        max_value_set=entry.get("max_value_set", ""),
        slicing=tuple((kind, path) for kind, path in entry.get("slicing", ())),
    )
