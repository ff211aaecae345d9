"""Rules of R4 about several elements of one object, as small tests under their names in the standard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule: `key` as in the standard, what it says, and a test that is true where it holds."""

    key: str
    human: str
    holds: Callable[[Node], bool]


def has(node: Node, stem: str) -> bool:
    """Whether a choice element is there, of whatever type.

    >>> has({"valueString": "x"}, "value")
    True
    """
    return any(key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper() for key in node)


def _codes(concept: Any) -> set[tuple[str, str]]:
    if not isinstance(concept, Mapping):
        return set()
    return {(str(one.get("system")), str(one.get("code"))) for one in concept.get("coding", ())}


def _code(concept: Any) -> set[str]:
    return {code for _, code in _codes(concept)}


def _ordered(node: Node) -> bool:
    # of two dates of unequal precision only what both tell can be compared: if that is equal, nobody knows, and a rule
    # that can't be decided is broken
    start, end = str(node.get("start", "")), str(node.get("end", ""))
    length = min(len(start), len(end))
    if not length or len(start) == len(end):
        return not length or start <= end
    return start[:length] < end[:length]


def _low_first(node: Node) -> bool:
    low, high = (node.get(one, {}).get("value") for one in ("low", "high"))
    return low is None or high is None or bool(low <= high)


def _no_value_beside_reason(node: Node) -> bool:
    return not ("dataAbsentReason" in node and has(node, "value"))


def _components_apart(node: Node) -> bool:
    own = _codes(node.get("code"))
    return not has(node, "value") or not any(own & _codes(one.get("code")) for one in node.get("component", ()))


def _age(node: Node) -> bool:
    if "value" not in node:
        return True
    return bool(node.get("system", UCUM) == UCUM and "code" in node and node["value"] > 0)


def _duration(node: Node) -> bool:
    return "code" not in node or bool(node.get("system") == UCUM)


def _any_of(*names: str) -> Callable[[Node], bool]:
    return lambda node: any(name in node or has(node, name) for name in names)


def _condition_ended(node: Node) -> bool:
    return not has(node, "abatement") or bool(_code(node.get("clinicalStatus")) & {"resolved", "remission", "inactive"})


def _condition_error(node: Node) -> bool:
    return "entered-in-error" not in _code(node.get("verificationStatus")) or "clinicalStatus" not in node


_QUANTITY = Invariant("qty-3", "a code of a unit needs its system", lambda node: "code" not in node or "system" in node)
_ONE = Invariant("obs-6", "dataAbsentReason only where there is no value", _no_value_beside_reason)
INVARIANTS: Mapping[str, tuple[Invariant, ...]] = {
    "Extension": (
        Invariant("ext-1", "either extensions or a value", lambda node: ("extension" in node) != has(node, "value")),
    ),
    "Period": (Invariant("per-1", "it ends before it starts, or nobody can tell", _ordered),),
    "Quantity": (_QUANTITY,),
    "SimpleQuantity": (_QUANTITY, Invariant("sqty-1", "no comparator", lambda node: "comparator" not in node)),
    "Age": (_QUANTITY, Invariant("age-1", "a positive number with a unit of UCUM", _age)),
    "Duration": (_QUANTITY, Invariant("drt-1", "a unit of UCUM", _duration)),
    "Observation": (
        _ONE,
        Invariant("obs-7", "a component with the code of the observation, which has a value itself", _components_apart),
    ),
    "Observation.component": (_ONE,),
    "Observation.referenceRange": (Invariant("obs-3", "a low, a high or a text", _any_of("low", "high", "text")),),
    "Condition": (
        Invariant("con-4", "what has ended is inactive, resolved or in remission", _condition_ended),
        Invariant("con-5", "no clinicalStatus where it was entered in error", _condition_error),
    ),
    "Condition.stage": (Invariant("con-1", "a summary or an assessment", _any_of("summary", "assessment")),),
    "Condition.evidence": (Invariant("con-2", "a code or details", _any_of("code", "detail")),),
    "MedicationAdministration.dosage": (Invariant("mad-1", "a dose or a rate", _any_of("dose", "rate")),),
    "Patient.contact": (
        Invariant("pat-1", "a way to reach the contact", _any_of("name", "telecom", "address", "organization")),
    ),
    "ContactPoint": (
        Invariant("cpt-2", "a value needs its system", lambda node: "value" not in node or "system" in node),
    ),
    "FamilyMemberHistory": (
        Invariant("fhs-1", "age or birth, not both", lambda node: not (has(node, "age") and has(node, "born"))),
        Invariant("fhs-2", "estimatedAge only with age", lambda node: "estimatedAge" not in node or has(node, "age")),
    ),
    "Consent": (Invariant("ppc-1", "a policy or a rule", _any_of("policy", "policyRule")),),
    "Attachment": (
        Invariant("att-1", "data needs its contentType", lambda node: "data" not in node or "contentType" in node),
    ),
    "Timing.repeat": (
        Invariant("tim-1", "a duration needs its unit", lambda node: "duration" not in node or "durationUnit" in node),
        Invariant("tim-2", "a period needs its unit", lambda node: "period" not in node or "periodUnit" in node),
    ),
    "Range": (
        Invariant(
            "rng-2",
            "the low is above the high",
            _low_first,
        ),
    ),
}


def broken_rules(context: str, node: Node) -> Iterator[Invariant]:
    """The rules that an object breaks.

    >>> [one.key for one in broken_rules("Period", {"start": "2020-05", "end": "2020-04-30"})]
    ['per-1']

    Arguments: `context` is the object's type, or the path of a backbone element.
    """
    for one in INVARIANTS.get(context, ()):
        if not one.holds(node):
            yield one
