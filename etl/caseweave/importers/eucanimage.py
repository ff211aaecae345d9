"""EuCanImage-style dictionaries and workbooks of quality rules: a tab per form, a row per variable or check."""

from __future__ import annotations

import re
from collections.abc import Sequence

from caseweave.importers.draft import Asked, Draft, Form, Item, field_name, file_key, split_choices, without_doubles
from caseweave.importers.table import header_row, rows_below
from caseweave.spec.models import FieldType
from caseweave.values.grid import Grid

DICTIONARY = frozenset({"variable", "code_list", "output_type"})
RULES = frozenset({"variable", "check", "check_type"})
KINDS: dict[str, FieldType] = {"integer": "integer", "number": "number", "string": "text", "date": "date"}
CHECK_KINDS = frozenset({"datatype", "permissible", "range", "minimal_req", "mandatory_req"})
CONDITION = re.compile(r"yes\s*\((.*)\)", re.IGNORECASE | re.DOTALL)
LIMITS = re.compile(r"\[\w+\]\s*>=\s*'?([\d.]+)'?\s+AND\s+\[\w+\]\s*<=\s*'?([\d.]+)'?", re.IGNORECASE)


def reads(grid: Grid) -> str:
    """Which of the two a grid is: "dictionary", "rules" or ""."""
    if header_row(grid, RULES) >= 0:
        return "rules"
    return "dictionary" if header_row(grid, DICTIONARY) >= 0 else ""


def draft_of(grids: Sequence[Grid], title: str, source: str) -> Draft:
    """A draft from the tabs of a dictionary and of a workbook of rules.

    Arguments: `grids` of both, in any order; `source` is where they came from, for the files' headers.
    """
    draft = Draft(title, source)
    for grid in grids:
        if reads(grid) == "dictionary":
            draft.forms.append(_form(draft, grid))
    for grid in grids:
        if reads(grid) == "rules":
            _checks(draft, grid)
    return draft


def _form(draft: Draft, grid: Grid) -> Form:
    key = file_key(grid.name)
    name = key.replace("-", "_")
    form = Form(key, name, key.replace("-", " ").capitalize())
    form.beside = {
        "redcap_data_access_group": "REDCap's access group of the staff, not about the patient",
        f"{name}_complete": "REDCap's form status, about the data entry and not about the patient",
    }
    for place, row in rows_below(grid, header_row(grid, DICTIONARY)):
        if not row["variable"]:
            continue
        item = _item(draft, place, row)
        if form.item(item.name):
            draft.note(place, f"variable '{row['variable']}' stands there twice; the first was taken.")
            continue
        item.subject = not form.items
        if item.subject:
            item.kind = "id"
        form.items.append(item)
    return form


def _item(draft: Draft, place: str, row: dict[str, str]) -> Item:
    name = field_name(row["variable"])
    kind = KINDS.get(row["output_type"].casefold(), "text")
    if row["output_type"].casefold() not in KINDS:
        draft.note(place, f"output type '{row['output_type']}' of '{name}' isn't known; it was taken as text.")
    choices = without_doubles(draft, place, split_choices(row["code_list"], ";"))
    conditions: list[str] = []
    for text in (row.get("req_condition", ""), row.get("minimal", ""), row.get("mandatory", "")):
        inside = CONDITION.fullmatch(text)
        found = inside[1] if inside else text if text.startswith("(") else ""
        if found and _bare(found) not in map(_bare, conditions):
            conditions.append(found)
    plain = "yes" in (row.get("minimal", "").casefold(), row.get("mandatory", "").casefold())
    if plain and conditions:
        draft.note(place, f"'{name}' is required both always and under a condition; the condition was taken.")
    return Item(
        name,
        "code" if choices else kind,
        place,
        column=row["variable"] if row["variable"] != name else "",
        label=row.get("display_label", ""),
        help=row.get("note", ""),
        section=row.get("group", ""),
        choices=choices,
        low=row.get("min", ""),
        high=row.get("max", ""),
        required=plain and not conditions,
        required_when=tuple(conditions),
        shown_when=row.get("branching", ""),
    )


def _bare(text: str) -> str:
    """A condition as it is compared with another: without spaces and brackets."""
    return re.sub(r"[\s()]", "", text).casefold()


def _checks(draft: Draft, grid: Grid) -> None:
    key = file_key(grid.name)
    form = next((one for one in draft.forms if one.key == key), None)
    if form is None:
        draft.note(grid.name, "the rules are about a form that no dictionary describes; they were left out.")
        return
    for place, row in rows_below(grid, header_row(grid, RULES)):
        item = form.item(field_name(row["variable"]))
        kind = row["check_type"].casefold()
        if item is None or kind not in CHECK_KINDS:
            what = (
                f"variable '{row['variable']}' isn't in the dictionary" if item is None else f"no such check '{kind}'"
            )
            draft.note(place, f"rule '{row['check']}' was left out: {what}.")
            continue
        _compare(draft, place, row, item, kind)
        when = row.get("req_condition", "") if kind.endswith("_req") else ""
        draft.checks.append(Asked(row["check"], key, item.name, kind, when, place))


def _compare(draft: Draft, place: str, row: dict[str, str], item: Item, kind: str) -> None:
    """Say where the rules and the dictionary don't fit together; the dictionary counts."""
    name, text = row["check"], row.get("check_string", "")
    if kind == "permissible" and split_choices(row.get("code_list", ""), ";") != item.choices:
        draft.note(place, f"rule '{name}' has another code list than the dictionary, whose list is used.")
    if kind == "range":
        limits = LIMITS.search(text)
        if limits is None:
            draft.note(place, f"rule '{name}' has no limits that can be read; those of the dictionary are used.")
        elif not (item.low or item.high):
            item.low, item.high = limits[1], limits[2]
        elif (limits[1], limits[2]) != (item.low, item.high):
            draft.note(place, f"rule '{name}' has other limits than the dictionary, whose limits are used.")
    condition = row.get("req_condition", "")
    if kind.endswith("_req") and " or " in f" {text} ".casefold() and _bare(condition) in _bare(text):
        draft.note(
            place,
            f"rule '{name}' says {text}, which without brackets fails whoever fulfils one of the first conditions; "
            f"it was taken as its condition {condition} says.",
        )
