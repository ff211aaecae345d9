"""A row of the table of faults: what somebody did to a workbook, and what Caseweave must make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.robustness.operators.book import Book, place

from caseweave.errors import SourceError

Severity = Literal["error", "warning", "message"]
Change = Callable[[Book], object]


@dataclass(frozen=True)
class Said:
    """A finding that must come: its rule, how bad it is, where, and what it proposes.

    Arguments: `at` is a place as findings say it (`diagnosis!AF4`); in a row of typed cells the first of them, if
    nothing is said. `suggests` must be a part of the suggestion; None where nothing is asked of it.
    """

    rule: str
    severity: Severity = "error"
    at: str | None = None
    suggests: str | None = None


@dataclass(frozen=True)
class Operator:
    """One fault.

    Arguments: `does` says in words what was done; `typed`, the cells that somebody typed, by field and row
    (`diagnosis.ki67`, `diagnosis.ki67@5`); `change`, what else was done to the file. Then what must come of it:
    `says`, all findings beyond those of the undisturbed example; `means`, the cells in which the result differs from
    the example, as a careful person would have typed them (None: as if blank); `gone`, rows that count as not there
    (`diagnosis@4`), or whole sheets (`diagnosis`); `reads`, values that must have been read, as text; `refused`, the
    error that the file is refused with, and `reason`, a part of what it says. `moved`, whether cells stand elsewhere.
    `why`, the reasoning where it isn't plain.
    """

    name: str
    does: str
    typed: Mapping[str, Any] = field(default_factory=dict)
    change: Change | None = None
    says: tuple[Said, ...] = ()
    means: Mapping[str, Any] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    refused: type[SourceError] | None = None
    reason: str = ""
    why: str = ""
    moved: bool = False

    @property
    def outcome(self) -> str:
        """What comes of it, in one word."""
        if self.refused is not None:
            return "refused"
        severities = {one.severity for one in self.says}
        return next((one for one in ("error", "warning", "message") if one in severities), "accepted")

    def apply(self, book: Book) -> None:
        """Do it."""
        for at, value in self.typed.items():
            book.put(at, value)
        if self.change is not None:
            self.change(book)


def accepted(name: str, at: str, typed: Any, value: Any, reads: str, does: str = "", **more: Any) -> Operator:
    """A cell that is read as it was meant: `value` is how a careful person would have typed it."""
    return Operator(name, does, typed={at: typed}, means={at: value}, reads={at: reads}, **more)


def same(name: str, at: str, typed: Any, does: str = "", **more: Any) -> Operator:
    """A cell that says, in an odd way, what the example says."""
    return Operator(name, does, typed={at: typed}, **more)


def rejected(
    name: str, at: str, typed: Any, rule: str, suggests: str | None = None, does: str = "", **more: Any
) -> Operator:
    """A cell that is refused: the finding stands in that cell, and everything is as if it were blank."""
    says = (Said(rule, "error", place(at), suggests), *more.pop("says", ()))
    return Operator(name, does, typed={at: typed}, means={at: None}, says=says, **more)


def noted(
    name: str,
    at: str,
    typed: Any,
    rule: str,
    severity: Severity,
    value: Any,
    reads: str,
    suggests: str | None = None,
    does: str = "",
    **more: Any,
) -> Operator:
    """A cell that is loaded, with a warning or a message in it."""
    says = (Said(rule, severity, place(at), suggests), *more.pop("says", ()))
    return Operator(name, does, typed={at: typed}, means={at: value}, reads={at: reads}, says=says, **more)


def blank(name: str, at: str, typed: Any, reads: str = "", does: str = "", **more: Any) -> Operator:
    """A cell that counts as blank, or as declared missing: then `reads` says why, as `missing:unknown`."""
    return Operator(name, does, typed={at: typed}, means={at: None}, reads={at: reads}, **more)


def group(name: str, *operators: Operator) -> tuple[Operator, ...]:
    """The operators of a group, named after it."""
    return tuple(replace(one, name=f"{name}-{one.name}") for one in operators)
