"""A resource against a profile of mCODE STU4: required elements, fixed values, slices, value sets, link targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from caseweave.shapes.profiles import Profile, ProfileElement, profiles, value_set
from caseweave.targets.fhir.invariants import has
from caseweave.targets.fhir.walk import Problem

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
UCUM = "http://unitsofmeasure.org"
Node = Mapping[str, Any]


@dataclass
class Branch:
    """What a profile says of one element and of those below it; `slices` by name."""

    element: ProfileElement | None = None
    children: dict[str, Branch] = field(default_factory=dict)
    slices: dict[str, Branch] = field(default_factory=dict)


@lru_cache(maxsize=128)
def branches(profile_id: str) -> Branch:
    """A profile's elements as a tree."""
    root = Branch()
    for element in profiles()[profile_id].elements:
        here = root
        for step in element.id.split(".")[1:]:
            name, _, label = step.partition(":")
            here = here.children.setdefault(name, Branch())
            if label:
                here = here.slices.setdefault(label, Branch())
        here.element = element
    return root


@dataclass
class Judge:
    """Judges claims; `find` gives another resource by Type/id, None where it isn't among those at hand."""

    find: Callable[[str], Node | None]
    known: dict[tuple[str, str], bool] = field(default_factory=dict)

    def breaches(self, node: Node, profile: Profile) -> Iterator[Problem]:
        """What of a profile a resource doesn't keep, whether it claims it or not."""
        yield from self.members(node, branches(profile.id), profile.resource_type)
        for key in {rule.key for rule in profile.rules if rule.severity == "error"} & RULES.keys():
            if not RULES[key](node):
                human = next(rule.human for rule in profile.rules if rule.key == key)
                yield Problem(profile.resource_type, key, human)

    def members(self, node: Node, branch: Branch, path: str) -> Iterator[Problem]:
        for name, child in branch.children.items():
            here = f"{path}.{name}"
            found = values_of(node, name)
            yield from self.counted(child.element, found, here)
            for key, value in found:
                yield from self.value(key, value, child, here)
            slicing = child.element.slicing if child.element else ()
            for label, one in child.slices.items():
                inside = [(key, value) for key, value in found if self.inside(key, value, one, slicing)]
                yield from self.counted(one.element, inside, f"{here}:{label}")
                for key, value in inside:
                    yield from self.value(key, value, one, f"{here}:{label}")

    def counted(self, element: ProfileElement | None, found: Sequence[object], path: str) -> Iterator[Problem]:
        if element is None:
            return
        if len(found) < element.min:
            yield Problem(path, "profile-required", f"{element.min} wanted, {len(found)} there")
        if element.max != "*" and len(found) > int(element.max):
            yield Problem(path, "profile-cardinality", f"at most {element.max}, {len(found)} there")

    def value(self, key: str, value: Any, branch: Branch, path: str) -> Iterator[Problem]:
        element = branch.element
        if element is not None:
            if path.endswith("[x]") and element.types and not _of_type(key, path, element.types):
                yield Problem(path, "profile-type", f"{key} isn't one of {', '.join(element.types)}")
                return
            if element.fixed is not None and value != element.fixed:
                yield Problem(path, "profile-fixed", f"{element.fixed} wanted")
            if element.pattern is not None and not holds_pattern(value, element.pattern):
                yield Problem(path, "profile-pattern", f"{element.pattern} wanted")
            yield from self.coded(element, value, path)
            if element.targets and isinstance(value, Mapping) and "reference" in value:
                yield from self.target(element.targets, str(value["reference"]), path)
        if isinstance(value, Mapping):
            if element is not None and "Extension" in element.types and element.profiles:
                for profile in _named(element.profiles):
                    yield from self.members(value, branches(profile.id), path)
            yield from self.members(value, branch, path)

    def coded(self, element: ProfileElement, value: Any, path: str) -> Iterator[Problem]:
        """Required value sets, and the most that a preferred or extensible one allows."""
        bound = element.binding[1] if element.binding and element.binding[0] == "required" else ""
        for url in dict.fromkeys(one for one in (bound, element.max_value_set) if one):
            codes = value_set(url)
            said = codings_of(value)
            if codes is None or (not said and not isinstance(value, Mapping)):
                continue
            if not said or all(codes.holds(system, code) is False for system, code in said):
                text = ", ".join(f"{system}|{code}" for system, code in said) or "no code"
                yield Problem(path, "profile-value-set", f"{text} isn't in {url}")

    def target(self, targets: Sequence[str], reference: str, path: str) -> Iterator[Problem]:
        """A reference leads to what conforms to one of the profiles; what isn't at hand can't be judged."""
        node = self.find(reference)
        wanted = _named(targets)
        if node is None or len(wanted) < len([one for one in targets if not one.startswith(US_CORE)]):
            return
        kinds = {one.resource_type for one in wanted} | {_us_core_type(one) for one in targets}
        if node["resourceType"] not in {kind for kind in kinds if kind}:
            yield Problem(path, "profile-target", f"{reference} isn't one of {', '.join(sorted(kinds))}")
        elif node["resourceType"] in {_us_core_type(one) for one in targets}:
            return
        elif not any(self.conforms(reference, node, one) for one in wanted):
            names = ", ".join(one.id for one in wanted)
            yield Problem(path, "profile-target", f"{reference} doesn't conform to {names}")

    def conforms(self, name: str, node: Node, profile: Profile) -> bool:
        """Whether a resource keeps a profile, its own links left out (else two could ask each other for ever)."""
        spot = (name, profile.id)
        if spot not in self.known:
            alone = Judge(lambda _: None)
            self.known[spot] = node["resourceType"] == profile.resource_type and not any(alone.breaches(node, profile))
        return self.known[spot]

    def inside(self, key: str, value: Any, branch: Branch, slicing: Sequence[tuple[str, str]]) -> bool:
        """Whether a value is in a slice, by the slicing's discriminators (R4, 5.1.0.6)."""
        element = branch.element
        assert element is not None
        if "Extension" in element.types:
            return isinstance(value, Mapping) and value.get("url") in (
                *element.profiles,
                *(one.element.fixed for one in [branch.children.get("url", Branch())] if one.element),
            )
        if any(kind == "type" for kind, _ in slicing):
            return _of_type(key, element.path, element.types)
        if element.profiles:
            return all(not any(self.members(value, branches(one.id), "")) for one in _named(element.profiles))
        if element.pattern is not None:
            return holds_pattern(value, element.pattern)
        if element.fixed is not None:
            return bool(value == element.fixed)
        if element.binding is not None and (codes := value_set(element.binding[1])) is not None:
            return any(codes.holds(*coding) is not False for coding in codings_of(value))
        return self.discriminated(value, branch)

    def discriminated(self, value: Any, branch: Branch) -> bool:
        """Whether everything fixed below a slice holds in a value; of a list one item is enough."""
        for name, child in branch.children.items():
            element = child.element
            found = values_of(value, name) if isinstance(value, Mapping) else []
            fixed = element is not None and (element.fixed is not None or element.pattern is not None)
            if fixed and not any(
                one == element.fixed if element.fixed is not None else holds_pattern(one, element.pattern)  # type: ignore[union-attr]
                for _, one in found
            ):
                return False
            if child.children and not any(self.discriminated(one, child) for _, one in found):
                return False
        return True


def values_of(node: Node, name: str) -> list[tuple[str, Any]]:
    """The values of an element with the keys that they stand under; `name[x]` finds every type of a choice."""
    stem = name.removesuffix("[x]")
    keys = dict.fromkeys(key.removeprefix("_") for key in node)
    wanted = (
        [key for key in keys if key.startswith(stem) and key[len(stem) :][:1].isupper()] if stem != name else [name]
    )
    found: list[tuple[str, Any]] = []
    for key in wanted:
        value = node.get(key, node.get(f"_{key}"))
        if value is not None:
            found.extend((key, one) for one in (value if isinstance(value, list) else [value]))
    return found


def holds_pattern(value: Any, pattern: Any) -> bool:
    """Whether a value holds at least what a pattern says: a like item for each of its list; displays don't count.

    >>> holds_pattern({"coding": [{"code": "a"}, {"code": "b", "system": "s"}]}, {"coding": [{"code": "b"}]})
    True
    """
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(
            holds_pattern(value.get(key), one) for key, one in pattern.items() if key != "display"
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(holds_pattern(one, want) for one in value) for want in pattern)
    return bool(value == pattern)


def codings_of(value: Any) -> list[tuple[str, str]]:
    """(system, code) of a CodeableConcept, a Coding or a Quantity."""
    if not isinstance(value, Mapping):
        return []
    listed = value.get("coding", [value] if "code" in value else [])
    return [(str(one.get("system", "")), str(one["code"])) for one in listed if "code" in one]


def _of_type(key: str, path: str, types: Sequence[str]) -> bool:
    stem = path.rpartition(".")[2].partition(":")[0].removesuffix("[x]")
    return any(key == stem + one[0].upper() + one[1:] for one in types)


def _named(urls: Sequence[str]) -> list[Profile]:
    known = {one.url: one for one in profiles().values()}
    return [known[url] for url in urls if url in known]


US_CORE_TYPES = {
    "patient": "Patient",
    "practitioner": "Practitioner",
    "organization": "Organization",
    "condition-problems-health-concerns": "Condition",
    "condition-encounter-diagnosis": "Condition",
    "careplan": "CarePlan",
    "careteam": "CareTeam",
    "servicerequest": "ServiceRequest",
    "documentreference": "DocumentReference",
    "questionnaireresponse": "QuestionnaireResponse",
}


def _us_core_type(url: str) -> str:
    return US_CORE_TYPES.get(url.removeprefix(f"{US_CORE}us-core-"), "")


def _to_the_day(node: Node) -> bool:
    return len(str(node.get("effectiveDateTime", "0000-00-00"))) >= 10


def _has_value(node: Node) -> bool:
    return "component" in node or "hasMember" in node or "dataAbsentReason" in node or has(node, "value")


def _in_ucum(node: Node) -> bool:
    return bool(node.get("valueQuantity", {}).get("system", UCUM) == UCUM)


def _name_or_reason(node: Node) -> bool:
    reason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    return all(
        ("family" in one or "given" in one) != any(ext["url"] == reason for ext in one.get("extension", ()))
        for one in node.get("name", ())
    )


def _performed(node: Node) -> bool:
    return node.get("status") not in ("completed", "in-progress") or has(node, "performed")


# the rules of mCODE and US Core that our patterns have to keep, under their names; the profile validator knows them all
RULES: Mapping[str, Callable[[Node], bool]] = {
    "us-core-1": _to_the_day,
    "us-core-2": _has_value,
    "us-core-3": _in_ucum,
    "us-core-6": _name_or_reason,
    "us-core-7": _performed,
    "must-have-focus-or-specimen-invariant": lambda node: ("focus" in node) != ("specimen" in node),
}
