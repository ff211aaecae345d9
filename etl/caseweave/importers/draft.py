"""What an importer understood of a form, before it is written as a study: forms, items, checks, and what not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from caseweave.spec.models import FieldType

Choices = tuple[tuple[str, str], ...]
# words of the expression language, which a field can't be called
WORDS = frozenset({"and", "or", "not", "in", "is", "present", "missing", "true", "false"})


@dataclass
class Item:
    """One question of a form.

    Arguments: `column` is its header where that isn't the name; `required_when` and `shown_when` are conditions in the
    words of the source; `soft` ranges warn; `box` is (checkbox question, code) for one box of several.
    """

    name: str
    kind: FieldType
    place: str
    column: str = ""
    label: str = ""
    help: str = ""
    section: str = ""
    choices: Choices = ()
    low: str = ""
    high: str = ""
    soft: bool = False
    required: bool = False
    required_when: tuple[str, ...] = ()
    shown_when: str = ""
    ignore: str = ""
    subject: bool = False
    box: tuple[str, str] = ("", "")


@dataclass
class Form:
    """One sheet: its key in the study, its tab's name, its items, and columns that a source has beside them."""

    key: str
    name: str
    title: str
    items: list[Item] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)
    many: bool = False

    def item(self, name: str) -> Item | None:
        """An item by its name; None where there is none."""
        return next((one for one in self.items if one.name == name), None)


@dataclass(frozen=True)
class Asked:
    """A check that the source names: what is asked of which field, and in which rows (in the source's words)."""

    id: str
    form: str
    field: str
    kind: str
    when: str
    place: str


@dataclass
class Draft:
    """A study in the making; `notes` is what could not be taken over, as (place, what)."""

    title: str
    source: str
    forms: list[Form] = field(default_factory=list)
    checks: list[Asked] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def note(self, place: str, what: str) -> None:
        """Keep something for the report."""
        if (place, what) not in self.notes:
            self.notes.append((place, what))

    def items(self) -> Iterator[tuple[Form, Item]]:
        """Every item with its form."""
        for form in self.forms:
            for item in form.items:
                yield form, item


def field_name(text: str) -> str:
    """A header as the name of a field, which expressions can use.

    >>> field_name("Age at Dx (years)"), field_name("2nd dose"), field_name("in")
    ('age_at_dx_years', 'f_2nd_dose', 'f_in')
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) and text not in WORDS:
        return text
    name = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_") or "column"
    return f"f_{name}" if name[0].isdigit() or name in WORDS else name


def file_key(text: str) -> str:
    """A text as the name of a study, sheet or value set.

    >>> file_key("UseCase4&5"), file_key("Genomics Thailand Registry")
    ('use-case-4-and-5', 'genomics-thailand-registry')
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text).replace("&", " and ")
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "sheet"


def split_choices(text: str, mark: str) -> Choices:
    """A code list as codes with labels; `mark` stands between the two.

    >>> split_choices("0; G1 | 1; G2 |2; Gx", ";")
    (('0', 'G1'), ('1', 'G2'), ('2', 'Gx'))
    """
    found = []
    for part in filter(str.strip, text.replace("\n", "|").split("|")):
        code, _, label = (one.strip() for one in part.partition(mark))
        if code:
            found.append((code, label or code))
    return tuple(found)


def without_doubles(draft: Draft, place: str, choices: Choices) -> Choices:
    """Choices, each code once; what stands there again is noted."""
    found: dict[str, str] = {}
    for code, label in choices:
        if code.casefold() in {one.casefold() for one in found}:
            draft.note(place, f"code {code} stands twice in the list; '{label}' was left out.")
        else:
            found[code] = label
    return tuple(found.items())
