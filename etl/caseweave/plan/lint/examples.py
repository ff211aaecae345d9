"""Examples: tests that stand in the mapping itself. Whoever can run a study hands in the way to do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from caseweave.plan.lint.finding import LintFinding
from caseweave.spec.models import Example, Study
from caseweave.spec.yamlfile import Real
from caseweave.values.types import Boolean, Code, Integer, Missing, PartialDate, Quantity, Text, Value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of an example.

    Arguments: `facts`, the value of each statement that made a fact, by its name (`lesion#2` for a repeat), None for a
    fact without a value; `fhir`, resources by type; `omop`, rows by table; `findings`, the rules of all findings.
    """

    facts: Mapping[str, Value | None] = field(default_factory=dict)
    fhir: Mapping[str, int] = field(default_factory=dict)
    omop: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()


RunExample = Callable[[Study, Example], Outcome]


def examples(study: Study, run: RunExample) -> Iterator[LintFinding]:
    """Run the examples of a study and tell what came out otherwise than expected."""
    for sheet in study.sheets:
        for example in sheet.examples:
            for problem in compare(example, run(study, example)):
                yield LintFinding(
                    example.file,
                    example.line,
                    "example-fails",
                    "error",
                    f"the example fails: {problem}",
                    "Correct the mapping, or what the example expects.",
                )


def compare(example: Example, outcome: Outcome) -> Iterator[str]:
    """What an example expects and didn't come out.

    >>> list(compare(Example("x.yaml", 1, {}, fhir={"Condition": 1}), Outcome()))
    ['0 Condition in FHIR, expected 1']
    """
    for name, expected in example.facts.items():
        found = outcome.facts.get(name)
        if expected == "absent":
            if name in outcome.facts:
                yield f"fact '{name}' is {shown(found)}, expected absent"
        elif name not in outcome.facts:
            yield f"no fact '{name}', expected {expected}"
        elif not means(found, expected):
            yield f"fact '{name}' is {shown(found)}, expected {expected}"
    for target, wanted, got in (("FHIR", example.fhir, outcome.fhir), ("OMOP", example.omop, outcome.omop)):
        for kind, number in wanted.items():
            if got.get(kind, 0) != number:
                yield f"{got.get(kind, 0)} {kind} in {target}, expected {number}"
    if example.findings is not None and sorted(example.findings) != sorted(outcome.findings):
        told = ", ".join(sorted(outcome.findings)) or "none"
        yield f"findings are {told}, expected {', '.join(sorted(example.findings)) or 'none'}"


def means(value: Value | None, expected: Any) -> bool:
    """Whether a fact's value is what an example calls it: SYSTEM|code, a local value, a number, a text, a date.

    >>> means(Quantity("4.30", "mm"), 4.3), means(PartialDate("2021-03"), "2021-03")
    (True, True)
    """
    match value:
        case None:
            return expected in (True, "present")
        case Code():
            return str(expected) == value.local or any(str(coding) == str(expected) for coding in value.codings)
        case Quantity():
            number = expected.text if isinstance(expected, Real) else str(expected)
            unit = f"{value.comparator or ''}{value.number} {value.unit}"
            return number in (value.number, unit, f"{value.comparator or ''}{value.number}") or _same(number, value)
        case Integer():
            return str(value.number) == str(expected)
        case Boolean():
            return value.truth is expected
        case PartialDate():
            return value.iso == str(expected)
        case Text():
            return value.text == str(expected)
        case Missing():
            return str(expected) in (value.reason, value.local, "missing")


def _same(number: str, value: Quantity) -> bool:
    try:
        return value.comparator is None and float(number) == float(value.number)
    except ValueError:
        return False


def shown(value: Value | None) -> str:
    """A value as a message says it."""
    match value:
        case Code():
            return str(value.codings[0]) if value.codings else value.local
        case Quantity():
            return f"{value.comparator or ''}{value.number} {value.unit}"
        case Integer():
            return str(value.number)
        case Boolean():
            return "true" if value.truth else "false"
        case PartialDate():
            return value.iso
        case Text():
            return value.text
        case Missing():
            return f"missing ({value.reason})"
    return "there"
