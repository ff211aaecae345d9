"""Values as FHIR JSON: one table from (kind of value, FHIR type) to bytes, filled once per distinct value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from caseweave.targets.fhir.primitives import CONTROL, is_primitive_value
from caseweave.terms.systems import System
from caseweave.values.types import Code, Coding, Integer, Missing, Quantity, Text, Value

# how `coding` is asked for all codings of a value: it repeats, and each system says the same in its own code
MANY_CODINGS = "Codings"
UCUM_URL = "http://unitsofmeasure.org"
# how a unit is said to a reader; where it isn't named the UCUM code says it well enough
UNIT_NAMES = {"a": "years", "mo": "months", "wk": "weeks", "d": "days", "1": "1", "{score}": "score"}


@dataclass(frozen=True)
class Coder:
    """Knows the url of each system and the display of each code."""

    systems: Mapping[str, System]
    displays: Mapping[tuple[str, str], str]

    def coding(self, coding: Coding) -> dict[str, str] | None:
        """One coding as FHIR writes it; None where its system has no url and so never reaches FHIR."""
        system = self.systems.get(coding.system)
        if system is None or not system.url:
            return None
        written = {"system": system.url, "code": coding.code}
        display = self.displays.get((coding.system, coding.code))
        return {**written, "display": display} if display else written

    def codings(self, code: Code) -> list[dict[str, str]]:
        return [written for coding in code.codings if (written := self.coding(coding))]


def _concept(value: Code, coder: Coder) -> object:
    codings = coder.codings(value)
    text = value.label or value.local
    if not codings:
        return {"text": text} if text else None
    return {"coding": codings, "text": text} if text else {"coding": codings}


def _coding(value: Code, coder: Coder) -> object:
    codings = coder.codings(value)
    return codings[0] if codings else None


def _codings(value: Code, coder: Coder) -> orjson.Fragment:
    """All codings of a repeating element, as what stands between its brackets."""
    found = coder.codings(value) or [{"display": value.label or value.local}]
    return orjson.Fragment(b",".join(orjson.dumps(one) for one in found))


def _code(value: Code, coder: Coder) -> object:
    return value.codings[0].code if value.codings else None


def _label(value: Code, coder: Coder) -> object:
    return value.label or value.local or _code(value, coder)


def decimal(number: str) -> orjson.Fragment:
    """A number with its digits as they were written: 4.30 stays 4.30 (FHIR R4, 2.24.0.1, decimal)."""
    return orjson.Fragment(number)


def _quantity(value: Quantity, coder: Coder) -> object:
    written: dict[str, object] = {"value": decimal(value.number)}
    if value.comparator:
        written["comparator"] = value.comparator
    return {**written, "unit": UNIT_NAMES.get(value.unit, value.unit), "system": UCUM_URL, "code": value.unit}


def _count(value: Integer, coder: Coder) -> object:
    return _quantity(Quantity(str(value.number), "1"), coder)


def _age(value: Quantity, coder: Coder) -> object:
    # R4, age-1: nobody is 0 years old
    return _quantity(value, coder) if Decimal(value.number) > 0 else None


def _whole(value: Quantity | Integer, least: int | None = None) -> int | None:
    """A whole number; None for half a session, or for one that is only known to be less than another."""
    if isinstance(value, Quantity) and (value.comparator or Decimal(value.number) % 1):
        return None
    number = int(Decimal(value.number))
    return None if least is not None and number < least else number


def _plain(value: Text) -> str:
    """A text without letters that FHIR and XML can't hold; the sign for an unknown one stands in their place."""
    return CONTROL.sub("\ufffd", value.text)


def _spelled(fhir_type: str) -> Callable[[Text, Coder], str | None]:
    return lambda value, coder: value.text if is_primitive_value(fhir_type, value.text) else None


# (kind, FHIR type) -> how it is written; what isn't here can't be written so, and the linter says it
WRITERS: dict[tuple[str, str], Callable[[object, Coder], object]] = {}


def _register(kinds: str, types: str, write: Callable[..., object]) -> None:
    WRITERS.update({(kind, fhir_type): write for kind in kinds.split() for fhir_type in types.split()})


_register("code", "CodeableConcept", _concept)
_register("code", "Coding", _coding)
_register("code", MANY_CODINGS, _codings)
_register("code", "code", _code)
_register("code", "string markdown", _label)
_register("code", "Annotation", lambda value, coder: {"text": _label(value, coder)})
_register("quantity", "Quantity SimpleQuantity Duration", _quantity)
_register("quantity", "Age", _age)
_register("quantity", "decimal", lambda value, coder: None if value.comparator else decimal(value.number))
_register("quantity integer", "integer", lambda value, coder: _whole(value))
_register("quantity integer", "unsignedInt", lambda value, coder: _whole(value, 0))
_register("quantity integer", "positiveInt", lambda value, coder: _whole(value, 1))
_register("integer", "Quantity SimpleQuantity", _count)
_register("integer", "decimal", lambda value, coder: value.number)
_register("integer", "string", lambda value, coder: str(value.number))
_register("text", "string markdown", lambda value, coder: _plain(value))
for _type in ("code", "id", "uri", "url", "oid", "canonical", "uuid", "base64Binary"):
    _register("text", _type, _spelled(_type))
_register("text", "CodeableConcept Annotation", lambda value, coder: {"text": _plain(value)})
_register("boolean", "boolean", lambda value, coder: value.truth)
_register("day month year", "dateTime date", lambda value, coder: value.iso)
# (kind, a coarser kind) -> a dateTime that tells no more than the coarser one
BLURRED = {("day", "month"): "dateTime@month", ("day", "year"): "dateTime@year"}
BLURRED["month", "year"] = BLURRED["day", "year"]
_register("day", BLURRED["day", "month"], lambda value, coder: value.iso[:7])
_register("day month", BLURRED["day", "year"], lambda value, coder: value.iso[:4])
_register("day", "instant", lambda value, coder: f"{value.iso}T00:00:00Z")
_register("day month year", "string", lambda value, coder: value.iso)
_register("missing", "CodeableConcept", lambda value, coder: _concept(absent_reason(value), coder))

# a code of which no system has a url is its text, to FHIR
for _type in ("CodeableConcept", "Coding", MANY_CODINGS, "string", "markdown", "Annotation"):
    WRITERS["label", _type] = WRITERS["code", _type]
# pairs of which some values can't be written: those are left out
FUSSY = frozenset(
    {
        *(("quantity", one) for one in ("Age", "decimal", "integer", "unsignedInt", "positiveInt")),
        *(("integer", one) for one in ("unsignedInt", "positiveInt")),
        *(("text", one) for one in ("code", "id", "uri", "url", "oid", "canonical", "uuid", "base64Binary")),
        ("code", "Coding"),
    }
)

# which types a choice element takes for each kind, the best first
CHOICES: dict[str, tuple[str, ...]] = {
    "code": ("CodeableConcept", "Coding", "string"),
    "label": ("CodeableConcept", "string"),
    "quantity": ("Quantity", "SimpleQuantity", "Age", "Duration", "decimal"),
    "integer": ("integer", "unsignedInt", "positiveInt", "Quantity"),
    "text": ("string", "CodeableConcept", "Annotation"),
    "boolean": ("boolean",),
    "day": ("dateTime", "date"),
    "month": ("dateTime", "date"),
    "year": ("dateTime", "date"),
    "link": ("Reference",),
}


def chosen_type(kind: str, types: Sequence[str], choice: bool) -> str | None:
    """The type as which a kind is written in an element; None where the element can't hold it.

    >>> chosen_type("quantity", ("dateTime", "Age", "string"), True)
    'Age'

    Arguments: `types` that the element takes; `choice` says that its name depends on the type.
    """
    if choice:
        return next((one for one in CHOICES.get(kind, ()) if one in types), None)
    return next((one for one in types if (kind, one) in WRITERS or (kind, one) == ("link", "Reference")), None)


def absent_reason(value: Missing) -> Code:
    """A declared missing value as a code of FHIR's data-absent-reason."""
    return Code((Coding("DAR", value.reason),))


def fragment(value: Value, fhir_type: str, coder: Coder) -> bytes | None:
    """One value as JSON for an element of `fhir_type`; None where it can't be written so."""
    write = WRITERS.get((value.kind, fhir_type))
    written = write(value, coder) if write else None
    return None if written is None else orjson.dumps(written)


def fragments(values: Sequence[Value | None], fhir_type: str, coder: Coder) -> list[bytes | None]:
    """All distinct values of a slot as JSON, in their order.

    >>> fragments([None, Integer(3)], "integer", Coder({}, {}))
    [None, b'3']
    """
    return [None if value is None else fragment(value, fhir_type, coder) for value in values]
