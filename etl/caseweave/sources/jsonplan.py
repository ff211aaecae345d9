"""Where the rows of sheets stand in a document, and which keys their fields claim: compiled before it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caseweave.values.grid import normal

if TYPE_CHECKING:
    from caseweave.spec.models import Study

UP = "../"
SELF = "."
Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonSheet:
    """A sheet to be read out of documents: `each` says where its rows stand, `paths` what its fields are called."""

    name: str
    each: str
    paths: tuple[str, ...]
    header_rows: int = 1


@dataclass
class Claims:
    """Keys that fields claim, as a tree; `leaf` where a field stands."""

    below: dict[str, Claims] = field(default_factory=dict)
    leaf: bool = False

    def add(self, keys: Iterable[str]) -> None:
        """Claim what stands under these keys."""
        here = self
        for key in keys:
            here = here.below.setdefault(normal(key), Claims())
        here.leaf = True


@dataclass
class Spot:
    """A place that rows stand at or below.

    Arguments: `below`, by key; `items`, of the list that stands here; `sheets`, whose rows stand here; `claims`, what
    the fields of each sheet claim of the object here, by sheet; `teller`, the sheet that tells of the keys that
    nobody claims.
    """

    below: dict[str, Spot] = field(default_factory=dict)
    items: Spot | None = None
    sheets: list[int] = field(default_factory=list)
    claims: dict[int, Claims] = field(default_factory=dict)
    claimed: Claims = field(default_factory=Claims)
    level: bool = False
    teller: int = -1


def steps_of(each: str) -> list[str]:
    """The steps to the rows: keys, and [] for each item of a list.

    >>> steps_of("patients[].visits[]"), steps_of("[]"), steps_of(".")
    (['patients', '[]', 'visits', '[]'], ['[]'], [])
    """
    steps: list[str] = []
    for part in [] if each == SELF else each.split("."):
        key, *lists = part.split("[]")
        steps += ([key] if key else []) + ["[]"] * len(lists)
    return steps


def path_of(text: str) -> tuple[int, list[Keys]]:
    """How far up a field's name leads, and the keys from there; a key may itself have dots.

    >>> path_of("../tumour.grade")
    (1, [('tumour', 'grade'), ('tumour.grade',)])
    """
    ups = 0
    while text.startswith(UP):
        ups, text = ups + 1, text[len(UP) :]
    if text == SELF:
        return ups, [()]
    keys = tuple(text.split("."))
    return ups, [keys] if len(keys) == 1 else [keys, (text,)]


def compile_sheets(sheets: Sequence[JsonSheet]) -> Spot:
    """The tree of places that lead to the rows of some sheets."""
    root = Spot(level=True)
    for number, sheet in enumerate(sheets):
        here, levels = root, [root]
        for step in steps_of(sheet.each):
            if step == "[]":
                here.items = here.items or Spot(level=True)
                here = here.items
                levels.append(here)
            else:
                here = here.below.setdefault(normal(step), Spot())
        if here is not levels[-1]:  # a single object is a level too
            levels.append(here)
        here.level = True
        here.sheets.append(number)
        for level in levels:
            level.claims.setdefault(number, Claims())
            level.teller = number if level.teller < 0 else level.teller
        for path in sheet.paths:
            ups, ways = path_of(path)
            if ups < len(levels):
                for keys in ways:
                    levels[-1 - ups].claims[number].add(keys)
                    levels[-1 - ups].claimed.add(keys)
        here.teller = here.sheets[0]
    return root


def json_sheets(study: Study) -> tuple[JsonSheet, ...]:
    """The sheets of a study that say where their rows stand in documents."""
    from caseweave.plan.layout import names_of

    return tuple(
        JsonSheet(
            one.name, one.json, tuple(dict.fromkeys(name for f in one.fields.values() for name in names_of(f))),
            one.header_rows,
        )
        for one in study.sheets
        if one.json
    )  # fmt: skip
