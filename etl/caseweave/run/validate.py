"""What a run is about to send, held against FHIR R4 and the profiles that it claims, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import orjson

from caseweave.errors import MappingError, UsageError
from caseweave.run.convert import Conversion
from caseweave.shapes.fhir import FhirShapes
from caseweave.targets.fhir.check import Fault, check_resources

Depth = Literal["none", "templates", "all"]
DEPTHS: tuple[str, ...] = ("none", "templates", "all")


@dataclass(frozen=True, slots=True)
class Invalid:
    """A fault of a resource, with the statement and the lines of the pattern that it was made of."""

    statement: str
    file: str
    line: int
    fault: Fault


def validate(conversion: Conversion, depth: str = "templates") -> list[Invalid]:
    """Find what isn't valid in the FHIR resources of a conversion.

    Arguments: `depth`, "templates" for one resource of each variant of each statement, "all" for every resource and
    where every reference leads, "none". Raises UsageError for another word.
    """
    if depth not in DEPTHS:
        raise UsageError(f"There is no validation '{depth}'.", way_out=f"Say one of {', '.join(DEPTHS)}.")
    if depth == "none":
        return []
    lines: dict[str, list[bytes]] = {}
    made_by: dict[str, tuple[str, str, int]] = {}
    renderer = conversion.fhir
    for number, batch in enumerate(renderer.facts):
        for place, compiled in enumerate(renderer.compiled[number]):
            whence = (batch.statement, compiled.rendering.file, compiled.rendering.line)
            for resource_type, _, found in renderer.resources(number, place=place, sample=depth == "templates"):
                lines.setdefault(resource_type, []).extend(found)
                made_by.update((name_of(resource_type, line), whence) for line in found)
    faults = all_faults(lines, renderer.settings.shapes, whole=depth == "all")
    return [Invalid(*made_by.get(fault.resource, ("", "", 0)), fault) for fault in faults]


def all_faults(lines: dict[str, list[bytes]], shapes: FhirShapes, *, whole: bool) -> list[Fault]:
    """What fhir.resources (R4B, which equals R4 for what is used here) and our own check find."""
    found = [fault for resource_type, some in lines.items() for fault in by_model(resource_type, some)]
    return sorted([*found, *check_resources(lines, shapes, whole=whole)])


def by_model(resource_type: str, lines: list[bytes]) -> Iterator[Fault]:
    """What fhir.resources finds."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    model = get_fhir_model_class(resource_type)
    for line in lines:
        try:
            model.model_validate_json(line)
        except ValidationError as error:
            name = name_of(resource_type, line)
            for one in error.errors(include_url=False, include_input=False):
                path = ".".join([resource_type, *map(str, one["loc"])])
                yield Fault(name, path, "fhir.resources", one["msg"])


def name_of(resource_type: str, line: bytes) -> str:
    """Type and id of a resource."""
    return f"{resource_type}/{orjson.loads(line).get('id')}"


def refuse_invalid(conversion: Conversion, depth: str) -> None:
    """Stop where a mapping makes what isn't valid: the fault is the mapping's, and nothing was written yet.

    Raises MappingError with the first fault and the number of the others.
    """
    found = validate(conversion, depth)
    if not found:
        return
    first = found[0]
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    raise MappingError(
        first.file,
        first.line,
        f"'{first.statement}' makes what isn't valid FHIR: {first.fault.path}: {first.fault.message}{others}",
        way_out="Correct the pattern or the statement; `caseweave lint` shows all such faults.",
        faults=[str(one.fault) for one in found],
    )
