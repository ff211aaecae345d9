"""What a run is about to send, held against FHIR R4 and the profiles that it claims, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from caseweave.errors import MappingError, UsageError
from caseweave.issues import Finding
from caseweave.run.convert import Conversion
from caseweave.shapes.fhir import FhirShapes
from caseweave.targets.fhir.check import Fault, check_resources

Depth = Literal["none", "templates", "all"]
DEPTHS: tuple[str, ...] = ("none", "templates", "all")


@dataclass(frozen=True, slots=True)
class Invalid:
    """A fault of a resource, with the statement and the lines of the pattern that it was made of.

    Arguments: `batch` and `fact`, by number, are what it tells; -1 where that isn't known.
    """

    statement: str
    file: str
    line: int
    batch: int
    fact: int
    fault: Fault

    @property
    def what(self) -> str:
        """What is wrong and where, without the words of the fault: they can quote a cell."""
        return f"'{self.statement}' makes what isn't valid FHIR: {self.fault.path} ({self.fault.rule})"


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
    made_by: dict[str, tuple[str, str, int, int, int]] = {}
    renderer = conversion.fhir
    for number, batch in enumerate(renderer.facts):
        for place, compiled in enumerate(renderer.compiled[number]):
            whence = (batch.statement, compiled.rendering.file, compiled.rendering.line)
            for resource_type, which, found in renderer.resources(number, place=place, sample=depth == "templates"):
                lines.setdefault(resource_type, []).extend(found)
                for fact, line in zip(which.tolist(), found, strict=True):
                    made_by[name_of(resource_type, line)] = (*whence, number, fact)
    faults = all_faults(lines, renderer.settings.shapes, whole=depth == "all")
    return [Invalid(*made_by.get(fault.resource, ("", "", 0, -1, -1)), fault) for fault in faults]


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


def invalid_findings(conversion: Conversion, depth: str) -> list[Finding]:
    """What isn't valid as findings, each with the first cell of its fact: one for each fault of a cell.

    Arguments: as of `validate`. Only `found`, which stays at home, holds the words of the fault.
    """
    found: dict[tuple[str, str, str, str], Finding] = {}
    for one in validate(conversion, depth):
        said: dict[str, Any] = {
            "rule": "invalid-fhir",
            "severity": "error",
            "message": f"The mapping's {one.what}; {one.file}:{one.line}.",
            "expected": "what FHIR R4 and the profiles that are claimed want",
            "found": one.fault.message,
        }
        finding = _of_fact(conversion, one.batch, one.fact, said) if one.batch >= 0 else Finding(**said)
        found.setdefault((one.statement, one.fault.path, one.fault.rule, finding.place), finding)
    return list(found.values())


def _of_fact(conversion: Conversion, batch: int, fact: int, said: dict[str, Any]) -> Finding:
    """A finding in the cell that a fact's value, else its first slot, was made of."""
    made = conversion.fhir.facts.batches[batch]
    facts, row = conversion.applied.sheets[made.sheet], int(made.rows[fact])
    slots = sorted(made.slots.items(), key=lambda item: item[0] != "value")
    filled = [name for _, slot in slots if slot.codes[fact] for name in slot.fields if name in facts.columns]
    return facts.finding(row, filled[0] if filled else facts.sheet.subject_field, **said)


def refuse_invalid(conversion: Conversion, depth: str) -> None:
    """Stop where a mapping makes what isn't valid: the fault is the mapping's, and nothing was written yet.

    Raises MappingError with the first fault, its cell and the number of the others.
    """
    found = validate(conversion, depth)
    if not found:
        return
    first = found[0]
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    place = invalid_place(conversion, first)
    raise MappingError(
        first.file,
        first.line,
        f"{first.what}{f', of {place}' if place else ''}{others}",
        way_out=f"Correct the pattern or the statement; `caseweave check --validate {depth}` names the cells, "
        "`caseweave lint` the faults that every form would have.",
        faults=[str(one.fault) for one in found],
    )


def invalid_place(conversion: Conversion, one: Invalid) -> str:
    """Source, sheet and cell of what isn't valid; "" where it is no fact's."""
    if one.batch < 0:
        return ""
    finding = _of_fact(conversion, one.batch, one.fact, {"rule": "", "severity": "error", "message": ""})
    return f"{finding.source}:{finding.place}"
