"""What a statement's slots can hold fits the FHIR elements they stand in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caseweave.plan.lint.domain import FREE
from caseweave.plan.lint.finding import LintFinding
from caseweave.plan.lint.place import BACKBONE, CODED, KEY, SLOT, Place
from caseweave.shapes import Element
from caseweave.spec.models import LinkRef
from caseweave.values.types import Code, Coding, Missing, Value

# kind of value -> types of elements that can hold it (the writers of targets/fhir are the same table, with the how)
HOLDS: dict[str, frozenset[str]] = {
    "code": CODED | {"string", "markdown", "Annotation", "uri", "url", "integer", "boolean"},
    "quantity": frozenset(
        {"Quantity", "SimpleQuantity", "Age", "Duration", "decimal", "integer", "unsignedInt", "positiveInt", "string"}
    ),
    "integer": frozenset(
        {"integer", "unsignedInt", "positiveInt", "Quantity", "SimpleQuantity", "Age", "decimal", "string"}
    ),
    "text": CODED | {"string", "markdown", "uri", "url", "id", "oid", "canonical", "base64Binary", "Annotation"},
    "boolean": frozenset({"boolean", "CodeableConcept"}),
    "day": frozenset({"dateTime", "date", "instant", "string"}),
    "month": frozenset({"dateTime", "date", "string"}),
    "year": frozenset({"dateTime", "date", "string"}),
    "missing": CODED,
}


def bound(place: Place, tree: Mapping[str, object], context: str) -> Iterator[LintFinding]:
    """What a statement's slots can hold fits the elements they stand in: types, required codes, references."""
    for key, value in tree.items():
        word, _, label = key.partition(" ")
        options: list[Any] = value if isinstance(value, list) else [value]
        if word in ("first", "if") and label:
            for option in options:
                branches = [option] if word == "first" else [option.get("then"), option.get("else")]
                for one in branches:
                    if isinstance(one, Mapping):
                        yield from bound(place, one, context)
            continue
        found = KEY.fullmatch(key)
        sliced = found is not None and found[2] not in (None, "x")
        name = found[1] if sliced and found else key
        if key == "resourceType" or (sliced and name == "extension"):
            continue
        try:
            element = place.known.fhir.resolve(context, name)
        except KeyError:
            continue
        for item in options:
            if isinstance(item, Mapping):
                types = [one for one in element.types if one not in BACKBONE]
                yield from bound(place, item, types[0] if types and not element.content else f"{context}.{name}")
            elif isinstance(item, str) and (slot := SLOT.fullmatch(item)):
                yield from _fits(place, slot[1], slot[2] or "", element, f"{context}.{name}")


def _fits(place: Place, slot: str, rendering: str, element: Element, path: str) -> Iterator[LintFinding]:
    statement = place.statement
    assert statement is not None
    line = statement.lines.get(slot, statement.line)
    filler = statement.slots.get(slot)
    if isinstance(filler, LinkRef):
        yield from _target(place, filler, rendering, element, path, line)
        return
    samples = place.samples.get(slot, ())
    for value in () if samples is FREE else samples:
        if value is None or isinstance(value, Missing):
            continue
        if not element.choice and not HOLDS[value.kind] & set(element.types):
            yield LintFinding(
                statement.file,
                line,
                "fhir-type",
                "error",
                f"slot '{slot}' of '{statement.name}' can hold a {value.kind}, which {path} can't",
                f"It takes {' or '.join(element.types)}.",
            )
            return
        if element.binding and element.binding[0] == "required" and CODED & set(element.types):
            wrong = _outside(place, value, element)
            if wrong is not None:
                yield LintFinding(
                    statement.file,
                    line,
                    "fhir-binding",
                    "error",
                    f"slot '{slot}' of '{statement.name}' can be {wrong}, which R4 doesn't allow in {path}",
                    _allowed(place, element),
                )
                return


def _outside(place: Place, value: Value, element: Element) -> Coding | None:
    assert element.binding is not None
    codes = place.known.fhir.required_codes(element.binding[1])
    if codes is None or not isinstance(value, Code) or not value.codings:
        return None
    named = [one for one in value.codings if place.known.system(one.system).url]
    return named[0] if named and not any(one.code in codes for one in named) else None


def _allowed(place: Place, element: Element) -> str:
    assert element.binding is not None
    codes = sorted(place.known.fhir.required_codes(element.binding[1]) or ())
    return f"Map it to one of {', '.join(codes[:20])}."


def _target(
    place: Place, link: LinkRef, rendering: str, element: Element, path: str, line: int
) -> Iterator[LintFinding]:
    """A reference leads to a type of resource that the element allows."""
    statement = place.statement
    assert statement is not None
    if "Reference" not in element.types or not element.reference_targets:
        return
    target = next(
        one
        for one in place.known.study.statements
        if (one.sheet, one.name, one.repeat_index) == (link.sheet, link.statement, link.repeat_index)
    )
    made = [one for one in target.pattern.fhir if not rendering or one.name == rendering]
    if not made:
        return
    allowed = set(element.reference_targets)
    kinds = [str(one.tree.get("resourceType")) for one in (made if rendering else made[:1])]
    if "Resource" not in allowed and not any(kind in allowed for kind in kinds):
        yield LintFinding(
            statement.file,
            line,
            "fhir-reference",
            "error",
            f"{path} can't refer to '{link.statement}', which is {' or '.join(kinds)}",
            f"It refers to {', '.join(sorted(allowed))}.",
        )
