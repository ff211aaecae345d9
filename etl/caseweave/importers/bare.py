"""Drafts from a bare workbook: a sheet per tab, fields by their headers, types by what stands below them.

A value set is made only of values that several rows share; a column that looks like names or free text is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from caseweave.importers.draft import Draft, Form, Item, field_name, file_key
from caseweave.importers.table import text_of
from caseweave.values.dates import parse_date
from caseweave.values.grid import Grid, RawCell
from caseweave.values.numbers import NumberRules, parse_number
from caseweave.values.problems import Problem

HEADER_SEARCH = 30
MOST_VALUES = 30
ID_HEADER = re.compile(
    r"(patient|subject|participant|case|record|pat|study)?[ _-]*(id|nr|no|number|code|identifier)", re.I
)
NAMING = re.compile(r"\b(name|surname|address|phone|email|e-mail|mrn|nhs|ssn|passport)\b", re.IGNORECASE)
FREE_TEXT_HEADER = re.compile(
    r"\b(comments?|remarks?|notes?|free text|observations|comentarios?|notas?)\b", re.IGNORECASE
)
FREE_TEXT_LENGTH = 40
# what forms write where a value is missing; only the study knows the reason
LIKE_MISSING = re.compile(
    r"n\.?/?a\.?|n/?[dk]|nos|unk|unknown|missing|not (done|known|available)|-9+|9{2,3}", re.IGNORECASE
)
HEADER_UNIT = re.compile(r".*[(\[]([^()\[\]]+)[)\]]")


def draft_of(grids: Sequence[Grid], title: str, source: str) -> Draft:
    """A draft from tabs that hold data below one row of headers.

    Arguments: `source` is where they came from, for the files' headers.
    """
    draft = Draft(title, source)
    for grid in grids:
        form = None if grid.hidden or grid.name.startswith("_caseweave") else _form(draft, grid, title)
        if form is not None:
            draft.forms.append(form)
    return draft


def _form(draft: Draft, grid: Grid, title: str) -> Form | None:
    name = grid.name or title
    start, heads = _header(grid)
    if not heads:
        draft.note(name, "no row of headers was found; the tab was left out.")
        return None
    form = Form(file_key(name), name, name)
    if any(one.key == form.key for one in draft.forms):
        form.key = f"{form.key}-{len(draft.forms) + 1}"
    for column, head in heads.items():
        item = _item(draft, grid, column, head, start)
        if form.item(item.name) is not None or any(one.column.casefold() == head.casefold() for one in form.items):
            draft.note(f"{name} column {column + 1}", f"the header '{head}' stands there twice; the first was taken.")
            continue
        form.items.append(item)
    subject = _subject(form, grid, heads, start)
    subject.subject, subject.kind, subject.required, subject.ignore, subject.choices = True, "id", True, "", ()
    draft.notes = [(place, what) for place, what in draft.notes if place != subject.place]
    ids = [text for text in _texts(grid, _column_of(heads, subject), start) if text]
    form.many = len(set(ids)) < len(ids)
    drafted = [one.name for one in form.items if one.choices]
    if drafted:
        draft.note(name, f"the value sets of {', '.join(drafted)} hold what stands in the rows: complete them.")
    draft.note(
        name,
        f"'{subject.name}' was taken as the patient's id" + (", with many rows per patient." if form.many else "."),
    )
    return form


def _header(grid: Grid) -> tuple[int, dict[int, str]]:
    """The row with the most texts in different words, from the top, and its headers by column."""
    best: tuple[int, dict[int, str]] = (0, {})
    for row in range(min(grid.height, HEADER_SEARCH)):
        found = {
            n: text_of(raw) for n in range(grid.width) if isinstance(raw := grid.cell(row, n), str) and raw.strip()
        }
        if len(found) > len(best[1]) and len(set(found.values())) == len(found):
            best = (row, found)
    return best


def _texts(grid: Grid, column: int, start: int) -> list[str]:
    return [text_of(grid.cell(row, column)) for row in range(start + 1, grid.height)]


def _column_of(heads: dict[int, str], item: Item) -> int:
    return next(column for column, head in heads.items() if head == (item.column or item.name))


def _item(draft: Draft, grid: Grid, column: int, head: str, start: int) -> Item:
    place = f"{grid.name} column {column + 1}"
    name = field_name(head)
    item = Item(name, "text", place, column=head if head != name else "", label=head)
    used = sorted({grid.columns[column].codes[row] for row in range(start + 1, grid.height)} - {0})
    typed = [grid.columns[column].distinct[code] for code in used]
    cells: list[RawCell] = [one for one in typed if text_of(one)]
    if not cells:
        draft.note(place, f"'{head}' is empty; it was taken as text.")
    elif all(not isinstance(parse_date(one), Problem) for one in cells) and not all(map(_is_number, cells)):
        item.kind = "date"
    elif all(map(_is_number, cells)):
        item.kind = "integer" if all(_is_whole(one) for one in cells) else "number"
        unit = HEADER_UNIT.fullmatch(head)
        if unit:
            draft.note(place, f"'{head}' seems to name a unit: if it is one of UCUM, write unit: \"{unit[1]}\".")
    else:
        _words(draft, item, place, head, Counter(filter(None, _texts(grid, column, start))))
    return item


def _words(draft: Draft, item: Item, place: str, head: str, counts: Counter[str]) -> None:
    """A column of texts: a list of values that rows share, else text, unless it may tell of the patient."""
    words = head.replace("_", " ")
    if NAMING.search(words) or FREE_TEXT_HEADER.search(words) or max(map(len, counts)) > FREE_TEXT_LENGTH:
        item.ignore = "it may name or describe the patient"
        draft.note(place, f"'{head}' is not read: {item.ignore}.")
    elif len(counts) <= MOST_VALUES and min(counts.values()) > 1:
        item.kind, item.choices = "code", _choices(counts)
        for text in filter(LIKE_MISSING.fullmatch, sorted(counts)):
            draft.note(
                place, f"'{text}' in '{head}' was taken as a value; if it means missing, say so under `missing`."
            )
    else:
        draft.note(
            place, f"'{head}' was taken as text, some of its values stand there once: make a value set, or ignore it."
        )


def _is_number(raw: RawCell) -> bool:
    """Whether a cell holds a number without a unit; 0123 is a code, whose zero counts."""
    found = parse_number(raw)
    return not (isinstance(found, Problem) or found.unit or (isinstance(raw, str) and re.match(r"\s*0\d", raw)))


def _is_whole(raw: RawCell) -> bool:
    return not isinstance(parse_number(raw, NumberRules(integer=True)), Problem)


def _choices(counts: Counter[str]) -> tuple[tuple[str, str], ...]:
    """Values as a code list, in the order of the alphabet; spellings that differ in case are one."""
    found: dict[str, str] = {}
    for text in sorted(counts):
        found.setdefault(text.casefold(), text)
    return tuple((text, text) for text in found.values())


def _subject(form: Form, grid: Grid, heads: dict[int, str], start: int) -> Item:
    """The column with the patient's id: by its header, else the first in which no value stands twice."""
    for item in form.items:
        if ID_HEADER.fullmatch(item.column or item.name):
            return item
    for item in form.items:
        texts = list(filter(None, _texts(grid, _column_of(heads, item), start)))
        if texts and len(set(texts)) == len(texts):
            return item
    return form.items[0]
