"""What a slot of a fact can hold. All frozen and hashable: a batch of facts keeps each distinct value once."""

from __future__ import annotations

import calendar
import datetime
from dataclasses import dataclass
from typing import Literal

Kind = Literal["code", "quantity", "integer", "text", "boolean", "day", "month", "year", "missing"]
Comparator = Literal["<", "<=", ">=", ">"]


@dataclass(frozen=True, slots=True)
class Coding:
    """One code of one system; `system` is the alias of vocabularies/systems.yaml.

    >>> str(Coding("SCT", "10828004"))
    'SCT|10828004'
    """

    system: str
    code: str

    def __str__(self) -> str:
        return f"{self.system}|{self.code}"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: the first coding is the main one; `local` is the value set's own key, `label` what it means."""

    codings: tuple[Coding, ...]
    local: str = ""
    label: str = ""

    @property
    def kind(self) -> Kind:
        return "code"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a UCUM unit; `number` stays text, so that 4.30 stays 4.30."""

    number: str
    unit: str
    comparator: Comparator | None = None

    @property
    def kind(self) -> Kind:
        return "quantity"


@dataclass(frozen=True, slots=True)
class Integer:
    """A count or score."""

    number: int

    @property
    def kind(self) -> Kind:
        return "integer"


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    text: str

    @property
    def kind(self) -> Kind:
        return "text"


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    truth: bool

    @property
    def kind(self) -> Kind:
        return "boolean"


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date known to the day, the month or the year, as FHIR R4 writes it (section 2.24.0.1, dateTime).

    >>> PartialDate("2021-02").last_day()
    datetime.date(2021, 2, 28)
    """

    iso: str

    @property
    def kind(self) -> Kind:
        return {10: "day", 7: "month", 4: "year"}[len(self.iso)]  # type: ignore[return-value]

    @property
    def year(self) -> int:
        return int(self.iso[:4])

    def first_day(self) -> datetime.date:
        """The first day of the period, as OMOP takes a partial date."""
        return datetime.date.fromisoformat((self.iso + "-01-01")[:10])

    def last_day(self) -> datetime.date:
        """The last day of the period, as OMOP takes a partial date of death."""
        if len(self.iso) == 10:
            return datetime.date.fromisoformat(self.iso)
        month = int(self.iso[5:7]) if len(self.iso) == 7 else 12
        return datetime.date(self.year, month, calendar.monthrange(self.year, month)[1])


@dataclass(frozen=True, slots=True)
class Missing:
    """A value declared missing; `reason` is a code of FHIR's data-absent-reason, `local` what the form calls it."""

    reason: str
    local: str = ""

    @property
    def kind(self) -> Kind:
        return "missing"


Value = Code | Quantity | Integer | Text | Boolean | PartialDate | Missing


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell that holds no usable value: an Excel error such as #N/A, or a formula without a cached value."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Digits:
    """A number as a JSON document writes it, every digit kept; its point can be nothing but a decimal mark."""

    text: str

    def __str__(self) -> str:
        return self.text
