"""Whether resources are what R4 and the profiles they claim want: the part that nobody else checks is checked here too.

fhir.resources takes any text for a required code and never looks where a reference leads (measured); a profile
validator sees one resource at a time. Here all resources of a run are seen together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from caseweave.shapes.fhir import FhirShapes
from caseweave.shapes.profiles import Profile, profiles
from caseweave.targets.fhir.claims import Judge
from caseweave.targets.fhir.primitives import is_primitive_value
from caseweave.targets.fhir.walk import Pointer, Walker

Resource = Mapping[str, Any]
# of what isn't built as R4 builds it nobody can say whether it keeps a profile
MISSHAPEN = frozenset({"type", "cardinality", "resource-type", "empty"})


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong: `resource` as Type/id, `path` inside it, `rule`, and what it is in words.

    >>> str(Fault("Patient/a", "Patient.gender", "required-binding", "F is not in ..."))
    'Patient/a: Patient.gender: F is not in ... (required-binding)'
    """

    resource: str
    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.path}: {self.message} ({self.rule})"


def check_resources(
    lines_by_type: Mapping[str, Iterable[bytes]], shapes: FhirShapes, *, whole: bool = True
) -> list[Fault]:
    """Check resources, given as JSON lines by type, as one set that belongs together.

    >>> from caseweave.shapes.fhir import fhir_shapes
    >>> line = b'{"resourceType": "Patient", "id": "a", "gender": "F"}'
    >>> [str(one) for one in check_resources({"Patient": [line]}, fhir_shapes())]
    ['Patient/a: Patient.gender: F is not in http://hl7.org/fhir/ValueSet/administrative-gender (required-binding)']

    Elements, cardinalities, types and required bindings are R4's (http://hl7.org/fhir/R4), the claims those of mCODE
    STU4. Arguments: `whole` says that a reference to what isn't among the resources leads nowhere; without it only the
    types of references are checked.
    """
    checker = _Checker(shapes, whole)
    for resource_type, lines in lines_by_type.items():
        for line in lines:
            checker.take(resource_type, orjson.loads(line))
    return sorted(checker.faults())


@dataclass
class _Checker:
    shapes: FhirShapes
    whole: bool
    resources: dict[str, Resource] = field(default_factory=dict)
    found: list[Fault] = field(default_factory=list)
    pointers: list[tuple[str, Pointer]] = field(default_factory=list)
    malformed: set[str] = field(default_factory=set)

    def take(self, resource_type: str, node: Resource) -> None:
        """Check one resource by itself and remember it for the others."""
        name = f"{node.get('resourceType')}/{node.get('id')}"
        if node.get("resourceType") != resource_type:
            self.found.append(Fault(name, "resourceType", "resource-type", f"it stands among {resource_type}"))
        if not is_primitive_value("id", node.get("id")):
            self.found.append(Fault(name, f"{resource_type}.id", "id", "1 to 64 letters, digits, '-' and '.'"))
        elif name in self.resources:
            self.found.append(Fault(name, f"{resource_type}.id", "id-twice", "another resource has this id"))
        self.resources.setdefault(name, node)
        walker = Walker(self.shapes)
        problems = list(walker.resource(node))
        self.found.extend(Fault(name, *problem) for problem in problems)
        if {problem.rule for problem in problems} & MISSHAPEN:
            self.malformed.add(name)
        inside = {f"#{one.get('id')}" for one in node.get("contained", ()) if isinstance(one, Mapping)}
        for pointer in walker.pointers:
            if pointer.reference.startswith("#"):
                if pointer.reference not in inside:
                    self.found.append(Fault(name, pointer.path, "reference", f"{pointer.reference} isn't contained"))
            else:
                self.pointers.append((name, pointer))

    def faults(self) -> Iterator[Fault]:
        """Everything that was found, and what only all resources together show."""
        yield from self.found
        for name, pointer in self.pointers:
            yield from self.leads(name, pointer)
        known = {one.url: one for one in profiles().values()}
        sound = {name: node for name, node in self.resources.items() if name not in self.malformed}
        judge = Judge(sound.get)
        for name, node in sound.items():
            for url in node.get("meta", {}).get("profile", ()):
                profile = known.get(url)
                if profile is not None:
                    yield from self.claim(judge, name, node, profile)

    def leads(self, name: str, pointer: Pointer) -> Iterator[Fault]:
        """A reference's target is there and of a type that R4 allows in its place."""
        target, _, _ = pointer.reference.partition("/_history/")
        kind, slash, _ = target.partition("/")
        if not slash or ":" in target:  # an absolute url is somebody else's
            return
        if pointer.targets and not {kind, "Resource"} & set(pointer.targets):
            allowed = ", ".join(pointer.targets)
            yield Fault(name, pointer.path, "reference-target", f"{target}: R4 allows {allowed}")
        if pointer.type and pointer.type != kind:
            yield Fault(name, pointer.path, "reference-type", f"{target} is called a {pointer.type}")
        if self.whole and target not in self.resources:
            yield Fault(name, pointer.path, "reference", f"{target} is nowhere")

    def claim(self, judge: Judge, name: str, node: Resource, profile: Profile) -> Iterator[Fault]:
        if node.get("resourceType") != profile.resource_type or profile.abstract:
            yield Fault(name, "meta.profile", "profile", f"{profile.id} isn't a profile to claim here")
            return
        for path, rule, message in judge.breaches(node, profile):
            yield Fault(name, path, rule, f"{profile.id}: {message}")
