"""Profiles are claimed only where they hold: what mCODE demands beyond R4 is filled, or asked for under `needs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.plan.lint.place import KEY, SLOT
from caseweave.shapes import Profile, ProfileElement, profiles
from caseweave.spec.pattern import IMPLICIT_SLOTS, KINDS, Claim, Pattern, Rendering

# what a kind of value is written as where an element has several types, the best first
WRITTEN: dict[str, tuple[str, ...]] = {
    "code": ("CodeableConcept", "Coding", "code"),
    "quantity": ("Quantity", "Age", "decimal"),
    "integer": ("integer", "unsignedInt", "positiveInt", "Quantity"),
    "text": ("string",),
    "boolean": ("boolean",),
    "day": ("dateTime", "date"),
    "month": ("dateTime", "date"),
    "year": ("dateTime", "date"),
    "link": ("Reference",),
}


def claims(known: Knowledge) -> Iterator[LintFinding]:
    """Check every claim of the patterns that a study uses against the mCODE profile that it names."""
    by_url = {profile.url: profile for profile in profiles().values()}
    for pattern in known.study.patterns.values():
        for rendering in pattern.fhir:
            for claim in rendering.profiles:
                # profiles of US Core and of a study's own are the validator's to judge
                profile = by_url.get(known.systems.profiles.get(claim.profile, ""))
                if profile is not None:
                    yield from _claim(_Claimed(known, pattern, rendering, claim, profile))


@dataclass(frozen=True)
class _Claimed:
    known: Knowledge
    pattern: Pattern
    rendering: Rendering
    claim: Claim
    profile: Profile

    def finding(self, rule: str, message: str, way_out: str) -> LintFinding:
        line = self.claim.line or self.rendering.line
        return LintFinding(self.rendering.file, line, rule, "error", f"profile {self.claim.profile} {message}", way_out)

    def needed(self, slot: str) -> frozenset[str] | None:
        """The kinds of a slot with which the profile is claimed; None where the claim doesn't ask for it."""
        lets = self.pattern.lets
        for need in self.claim.needs:
            if need.slot == slot:
                return need.kinds
            # a derived slot that only codes make asks for a code
            if need.slot in lets and lets[need.slot].source == slot and all("|" in key for key in lets[need.slot].map):
                return frozenset({"code"})
        return None

    def always(self, slot: str) -> bool:
        """Whether a slot is there whenever the profile is claimed."""
        kinds = self.needed(slot)
        if slot in IMPLICIT_SLOTS or (kinds is not None and not kinds & {"absent", "missing"}):
            return True
        let = self.pattern.lets.get(slot)
        if let is not None:
            return let.default is not None or (let.source != "" and {"absent", "present"} <= set(let.map))
        declared = self.pattern.slots.get(slot)
        return declared is not None and declared.required


def _claim(claimed: _Claimed) -> Iterator[LintFinding]:
    profile, tree = claimed.profile, claimed.rendering.tree
    kind = str(tree.get("resourceType"))
    if kind != profile.resource_type:
        yield claimed.finding("profile-type", f"is about {profile.resource_type}, not {kind}", "Claim another profile.")
        return
    written = dict(_elements(tree))
    for element in profile.elements:
        name = element.path.partition(".")[2]
        if "." in name or not name or element.slice or name in ("extension", "meta", "id"):
            continue
        found = next((value for key, value in written.items() if _same(key, name)), None)
        if found is None:
            if element.min >= 1:
                yield claimed.finding(
                    "profile-element", f"demands '{name}', which the rendering hasn't got", f"Add '{name}'."
                )
            continue
        yield from _filled(claimed, element, name, found)


def _same(key: str, name: str) -> bool:
    return key == name or (
        name.endswith("[x]") and key.startswith(name[:-3]) and key[len(name) - 3 : len(name) - 2].isupper()
    )


def _elements(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The elements of a tree; those in `first` and `if` among them, without a value to look at."""
    for key, value in tree.items():
        word, _, label = key.partition(" ")
        if word in ("first", "if") and label:
            for option in value if isinstance(value, list) else [value]:
                branches = [option] if word == "first" else [option.get("then"), option.get("else")]
                inner = [dict(_elements(one)) for one in branches if isinstance(one, Mapping)]
                yield from ((name, ()) for one in inner for name in one)
            continue
        found = KEY.fullmatch(key)
        yield (key if found is None or found[2] in (None, "x") else found[1]), value


def _filled(claimed: _Claimed, element: ProfileElement, name: str, value: Any) -> Iterator[LintFinding]:
    values = [] if value == () else value if isinstance(value, list) else [value]
    slots = [found[1] for one in values if isinstance(one, str) and (found := SLOT.fullmatch(one))]
    if element.min >= 1 and slots and len(slots) == len(values) and not any(map(claimed.always, slots)):
        yield claimed.finding(
            "profile-need", f"demands '{name}', and slot '{slots[0]}' can be absent", f"Add {slots[0]} to its needs."
        )
    if element.max == "0":
        yield claimed.finding("profile-element", f"doesn't allow '{name}'", "Leave it out, or the profile.")
    if name.endswith("[x]") and element.types:
        for slot in slots:
            yield from _typed(claimed, element, name, slot)
    yield from _fixed(claimed, element, name, values)


def _typed(claimed: _Claimed, element: ProfileElement, name: str, slot: str) -> Iterator[LintFinding]:
    """With every kind that the claim allows the element has one of the profile's types."""
    declared = claimed.pattern.slots.get(slot)
    kinds = claimed.needed(slot) or (declared.kinds if declared and declared.kinds else frozenset(KINDS) - {"link"})
    try:
        allowed = claimed.known.fhir.resolve(claimed.profile.resource_type, name).types
    except KeyError:
        return
    for kind in sorted(kinds & set(WRITTEN)):
        chosen = next((one for one in WRITTEN[kind] if one in allowed), None)
        if chosen is not None and chosen not in element.types:
            yield claimed.finding(
                "profile-need",
                f"takes {' or '.join(element.types)} in '{name}', and slot '{slot}' can hold a {kind}",
                f'Say in needs which kinds are right, as in "{slot}:code".',
            )
            return


def _fixed(claimed: _Claimed, element: ProfileElement, name: str, values: list[Any]) -> Iterator[LintFinding]:
    """A code that the profile fixes is the one that the rendering writes."""
    wanted = element.fixed if element.fixed is not None else element.pattern
    coding = wanted.get("coding", [None])[0] if isinstance(wanted, dict) else None
    if not isinstance(coding, dict) or element.max == "*":
        return
    for one in values:
        if isinstance(one, str) and "|" in one and not one.startswith("$"):
            system, _, code = one.partition("|")
            if (claimed.known.system(system).url, code) != (coding.get("system"), coding.get("code")):
                yield claimed.finding(
                    "profile-code",
                    f"fixes '{name}' to {coding.get('code')}, and the rendering writes {one}",
                    "Write the profile's code, or claim another profile.",
                )
