"""FHIR: every path exists, every required element is there, every code is in the value set that R4 requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from caseweave.plan.lint.domain import of_slots
from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.plan.lint.place import BACKBONE, CODED, KEY, SLOT, Place
from caseweave.plan.lint.slots import bound
from caseweave.shapes import Element
from caseweave.spec.expression import names, parse
from caseweave.spec.pattern import IMPLICIT_SLOTS, Rendering
from caseweave.spec.words import names_here
from caseweave.spec.yamlfile import Map


def fhir(known: Knowledge) -> Iterator[LintFinding]:
    """Check all FHIR renderings of the patterns that a study uses, with what its statements put into them."""
    for pattern in known.study.patterns.values():
        for rendering in pattern.fhir:
            yield from _rendering(Place(known, pattern, rendering, None, {}))
    for statement in known.study.statements:
        samples = of_slots(known.study, statement, known.presence)
        for place, rendering in enumerate(statement.pattern.fhir if "fhir" not in statement.without else ()):
            found = Place(known, statement.pattern, rendering, statement, samples)
            yield from bound(found, rendering.tree, str(rendering.tree.get("resourceType", "")))
            if place == 0 and statement.fhir_set:
                changed = Rendering(rendering.name, statement.fhir_set, statement.file, statement.line)
                mine = Place(known, statement.pattern, changed, statement, samples)
                yield from _object(mine, statement.fhir_set, str(rendering.tree["resourceType"]), statement.line, False)


def _rendering(place: Place) -> Iterator[LintFinding]:
    rendering, known = place.rendering, place.known
    kind = str(rendering.tree.get("resourceType", ""))
    line = rendering.lines.get("resourceType", rendering.line)
    if kind not in known.fhir.resources:
        yield place.finding(
            line, "fhir-path", f"there is no resource '{kind}'", names_here(kind, sorted(known.fhir.resources))
        )
        return
    for claim in rendering.profiles:
        if claim.profile not in known.systems.profiles:
            yield place.finding(
                claim.line,
                "unknown-profile",
                f"unknown profile '{claim.profile}'",
                names_here(claim.profile, sorted(known.systems.profiles)),
            )
        for need in claim.needs:
            yield from _slot_exists(place, need.slot, claim.line)
    if rendering.when is not None:
        for name in sorted(names(rendering.when)):
            yield from _slot_exists(place, name, rendering.lines.get("when", rendering.line))
    yield from _object(place, rendering.tree, kind, rendering.line, True)


def _object(place: Place, tree: Mapping[str, object], context: str, line: int, whole: bool) -> Iterator[LintFinding]:
    """The elements of one object; `whole` says that the required ones must be among them."""
    for key, value in tree.items():
        here = tree.at(key) if isinstance(tree, Map) else line
        if key == "resourceType":
            continue
        word, _, label = key.partition(" ")
        if word == "first" and label:
            for option in value if isinstance(value, list) else [value]:
                if isinstance(option, Mapping):
                    yield from _object(place, option, context, here, False)
        elif word == "if" and label and isinstance(value, Mapping):
            yield from _if(place, value, context, here)
        else:
            yield from _entry(place, key, value, context, here)
    if whole:
        yield from _required(place, tree, context, line)


def _if(place: Place, value: Mapping[str, object], context: str, line: int) -> Iterator[LintFinding]:
    unknown = set(value) - {"when", "then", "else"}
    if unknown or "when" not in value:
        yield place.finding(line, "fhir-path", "an 'if' has when, then and else", 'Write {when: "...", then: {...}}.')
        return
    for name in sorted(names(parse(str(value["when"]), place.rendering.file, line))):
        yield from _slot_exists(place, name, line)
    for branch in ("then", "else"):
        inner = value.get(branch)
        if isinstance(inner, Mapping):
            yield from _object(place, inner, context, line, False)


def _entry(place: Place, key: str, value: object, context: str, line: int) -> Iterator[LintFinding]:
    found = KEY.fullmatch(key)
    name = key if found is None or found[2] in (None, "x") else found[1]
    try:
        element = place.known.fhir.resolve(context, name)
    except KeyError:
        valid = [child.name for child in place.known.fhir.children(context)]
        yield place.finding(line, "fhir-path", f"{context} has no element '{name}'", names_here(name, valid))
        return
    if element.max == "0":
        yield place.finding(line, "fhir-path", f"{context}.{name} isn't allowed", "Leave it out.")
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list) and element.max == "1":
        yield place.finding(
            line, "fhir-cardinality", f"{context}.{name} holds one value, not a list", "Give one value."
        )
    sliced = found is not None and found[2] not in (None, "x")
    if sliced and name in ("extension", "modifierExtension") and found is not None:
        yield from _extension(place, found[2], items, line)
        return
    for item in items:
        yield from _value(place, item, element, f"{context}.{name}", line)


def _extension(place: Place, alias: str, items: Sequence[object], line: int) -> Iterator[LintFinding]:
    known = place.known.systems.extensions
    if alias not in known and "://" not in alias and not alias.isidentifier():
        yield place.finding(
            line,
            "unknown-extension",
            f"unknown extension '{alias}'",
            names_here(alias, sorted(known)) + " Name its url under extensions in systems.yaml.",
        )
    for item in items:
        if isinstance(item, Mapping):
            yield from _object(place, item, "Extension", line, False)
        else:
            element = place.known.fhir.resolve("Extension", "value[x]")
            yield from _value(place, item, element, f"extension[{alias}]", line)


def _value(place: Place, value: object, element: Element, path: str, line: int) -> Iterator[LintFinding]:
    if isinstance(value, Mapping):
        types = [one for one in element.types if one not in BACKBONE]
        if element.content or not types:
            yield from _object(place, value, path, line, True)
        elif not place.known.fhir.is_primitive(types[0]):
            yield from _object(place, value, types[0], line, False)
        return
    if not isinstance(value, str):
        return
    slot = SLOT.fullmatch(value)
    if slot is not None:
        yield from _slot_exists(place, slot[1], line, slot[2] or "")
    elif "|" in value and value.partition("|")[0] in place.known.systems.systems:
        yield from _code(place, value, element, path, line)
    elif element.binding and element.binding[0] == "required" and "code" in element.types:
        yield from _in_binding(place, value, element, path, line)


def _code(place: Place, value: str, element: Element, path: str, line: int) -> Iterator[LintFinding]:
    system, _, code = value.partition("|")
    if not CODED & set(element.types):
        yield place.finding(line, "fhir-type", f"{path} takes no code", f"It takes {' or '.join(element.types)}.")
    elif not place.known.system(system).url and system != "OMOP":
        yield place.finding(
            line,
            "code-without-url",
            f"{value} never reaches FHIR: system {system} has no url",
            "Take a code of another system.",
        )
    elif element.binding and element.binding[0] == "required":
        yield from _in_binding(place, code, element, path, line)


def _in_binding(place: Place, code: str, element: Element, path: str, line: int) -> Iterator[LintFinding]:
    assert element.binding is not None
    codes = place.known.fhir.required_codes(element.binding[1])
    if codes is not None and code not in codes:
        yield place.finding(
            line,
            "fhir-binding",
            f"'{code}' isn't among the codes that R4 requires in {path}",
            names_here(code, sorted(codes)),
        )


def _slot_exists(place: Place, name: str, line: int, rendering: str = "") -> Iterator[LintFinding]:
    pattern = place.pattern
    known = {**pattern.slots, **pattern.lets}
    if name == "self":
        named = [one.name for one in pattern.fhir]
        if rendering and rendering not in named:
            yield place.finding(
                line, "unknown-rendering", f"'$self.{rendering}' names no rendering", names_here(rendering, named)
            )
    elif name not in known and name not in IMPLICIT_SLOTS:
        yield place.finding(
            line,
            "unknown-slot",
            f"pattern '{pattern.name}' has no slot '{name}'",
            names_here(name, [*known, *IMPLICIT_SLOTS]),
        )


def _required(place: Place, tree: Mapping[str, object], context: str, line: int) -> Iterator[LintFinding]:
    """Elements that R4 wants are written somewhere in the object, in a `first` or `if` too."""
    given = set(_names(tree))
    for element in place.known.fhir.children(context):
        if element.min < 1 or element.name in ("id", "url"):
            continue
        stem = element.name.removesuffix("[x]")
        if not any(name == element.name or (element.choice and name.startswith(stem)) for name in given):
            yield place.finding(
                line,
                "fhir-required",
                f"{context} without '{element.name}', which R4 requires",
                f"Add '{element.name}'.",
            )


def _names(tree: Mapping[str, object]) -> Iterator[str]:
    for key, value in tree.items():
        word, _, label = key.partition(" ")
        if word in ("first", "if") and label:
            options = value if isinstance(value, list) else [value]
            for option in options:
                if isinstance(option, Mapping):
                    inner = [option] if word == "first" else [option.get("then"), option.get("else")]
                    for one in inner:
                        if isinstance(one, Mapping):
                            yield from _names(one)
        else:
            found = KEY.fullmatch(key)
            yield key if found is None or found[2] in (None, "x") else found[1]
