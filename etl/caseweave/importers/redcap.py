"""REDCap data dictionaries: the csv (or workbook) that a project's designer downloads."""

from __future__ import annotations

import re

from caseweave.importers.draft import Draft, Form, Item, field_name, file_key, split_choices, without_doubles
from caseweave.importers.table import header_row, rows_below
from caseweave.spec.models import FieldType
from caseweave.values.grid import Grid

HEADERS = frozenset({"variable / field name", "form name", "field type", "field label"})
CHECKED = (("1", "Checked"), ("0", "Unchecked"))
FIXED = {"yesno": (("1", "Yes"), ("0", "No")), "truefalse": (("1", "True"), ("0", "False"))}
CODED = frozenset({"radio", "dropdown", "yesno", "truefalse"})
VALIDATED: dict[str, FieldType] = {"integer": "integer", "int": "integer", "number": "number", "float": "number"}
# what REDCap validates and what can name a person
NAMING = frozenset({"email", "phone", "phone_australia", "zipcode", "ssn", "mrn_10d", "mrn_generic", "alpha_only"})
ALIASES = {"textarea": "notes", "select": "dropdown"}  # as ODM calls them
SILENT = {
    "descriptive": "text of the form; it holds no data",
    "file": "a file, which an export holds apart",
    "signature": "a signature",
    "notes": "free text; it may identify the patient",
}
# columns that REDCap adds to every export
BESIDE = {
    "redcap_data_access_group": "REDCap's access group of the staff, not about the patient",
    "redcap_survey_identifier": "REDCap's survey, not about the patient",
    "redcap_event_name": "REDCap's event; this draft has one row per patient",
    "redcap_repeat_instrument": "REDCap's repeating form; this draft has one row per patient",
    "redcap_repeat_instance": "REDCap's repeating form; this draft has one row per patient",
}


def reads(grid: Grid) -> bool:
    """Whether a grid is a REDCap data dictionary."""
    return header_row(grid, HEADERS) >= 0


def draft_of(grid: Grid, title: str, source: str) -> Draft:
    """A draft from a REDCap data dictionary: one sheet, as REDCap exports it, its forms as sections.

    Arguments: `title` of the study; `source` is where it came from.
    """
    draft = Draft(title, source)
    form = new_form(title)
    draft.forms.append(form)
    for place, row in rows_below(grid, header_row(grid, HEADERS)):
        question = Question(
            place=place,
            name=row["variable / field name"],
            form=row["form name"],
            field_type=row["field type"].casefold(),
            label=plain(row["field label"]),
            choices=_cell(row, "choices"),
            note=_cell(row, "field note"),
            validation=_cell(row, "text validation type").casefold(),
            low=_cell(row, "text validation min"),
            high=_cell(row, "text validation max"),
            identifier=_cell(row, "identifier?").casefold() == "y",
            shown_when=_cell(row, "branching logic"),
            required=_cell(row, "required field?").casefold() == "y",
        )
        add(draft, form, question)
    return draft


def new_form(title: str) -> Form:
    """The one sheet of a REDCap project."""
    return Form(file_key(title), title, title, beside=dict(BESIDE))


class Question:
    """A row of a dictionary, whichever file it stood in."""

    def __init__(self, *, place: str, name: str, form: str, field_type: str, label: str, choices: str, **more: object):
        self.place, self.name, self.form = place, name, form
        self.field_type, self.label, self.choices = field_type, label, choices
        self.note = str(more.get("note", ""))
        self.validation = str(more.get("validation", ""))
        self.low, self.high = str(more.get("low", "")), str(more.get("high", ""))
        self.identifier, self.required = bool(more.get("identifier")), bool(more.get("required"))
        self.shown_when = str(more.get("shown_when", ""))


def add(draft: Draft, form: Form, question: Question) -> None:
    """Add a question to a form: as one item, or as one for each box of a checkbox."""
    status = f"{question.form}_complete"
    form.beside.setdefault(status, "REDCap's form status, about the data entry and not about the patient")
    if question.name == status:
        return
    made = _items(draft, question)
    for item in made:
        if form.item(item.name):
            draft.note(item.place, f"field '{item.name}' stands there twice; the first was taken.")
            continue
        item.subject = not form.items
        if item.subject:
            item.kind, item.required, item.ignore = "id", True, ""
        form.items.append(item)


def _items(draft: Draft, question: Question) -> list[Item]:
    base = Item(
        field_name(question.name),
        "text",
        question.place,
        column=question.name if field_name(question.name) != question.name else "",
        label=question.label,
        help=question.note,
        section=question.form,
        shown_when=question.shown_when,
        required=question.required and not question.shown_when,
        required_when=(question.shown_when,) if question.required and question.shown_when else (),
    )
    kind = ALIASES.get(question.field_type, question.field_type)
    if kind == "checkbox":
        return _boxes(draft, question, base)
    if kind in CODED:
        choices = FIXED.get(kind) or split_choices(question.choices, ",")
        base.choices = without_doubles(draft, question.place, choices)
        base.kind = "code" if base.choices else "text"
        if not base.choices:
            draft.note(question.place, f"'{base.name}' is a {kind} without choices; it was taken as text.")
    elif kind == "calc":
        base.kind, base.required = "number", False
        draft.note(
            question.place, f"'{base.name}' is computed by REDCap ({question.choices}); its values are read as typed."
        )
    elif kind == "slider":
        base.kind = "integer"
    elif kind in SILENT:
        base.ignore = SILENT[kind]
        draft.note(question.place, f"'{base.name}' is not read: {base.ignore}.")
    else:
        _validated(draft, question, base)
    if question.identifier and not base.ignore:
        base.ignore = "marked as an identifier in REDCap"
        draft.note(question.place, f"'{base.name}' is not read: {base.ignore}.")
    return [base]


def _validated(draft: Draft, question: Question, item: Item) -> None:
    """What a text field holds, by its validation."""
    validation = question.validation
    if validation in NAMING:
        item.ignore = "may name the patient"
        draft.note(question.place, f"'{item.name}' is not read: it {item.ignore} ({validation}).")
    elif re.match(r"date_(dmy|mdy|ymd)$", validation) or validation == "date":
        item.kind = "date"
    elif validation in VALIDATED or validation.startswith("number"):
        item.kind = VALIDATED.get(validation, "number")
        item.low, item.high, item.soft = question.low, question.high, True
    elif validation:
        draft.note(question.place, f"'{item.name}' is validated as {validation}; it was taken as text.")


def _boxes(draft: Draft, question: Question, base: Item) -> list[Item]:
    if question.required:
        draft.note(question.place, f"'{base.name}' must have a box checked; that is not asked here.")
    found = []
    for code, label in without_doubles(draft, question.place, split_choices(question.choices, ",")):
        column = f"{question.name}___{re.sub(r'[^a-z0-9_]', '_', code.casefold())}"
        found.append(
            Item(
                field_name(column),
                "code",
                question.place,
                label=f"{question.label}: {label}",
                section=question.form,
                choices=CHECKED,
                shown_when=question.shown_when,
                box=(question.name, code),
                ignore="marked as an identifier in REDCap" if question.identifier else "",
            )
        )
    return found


def plain(text: str) -> str:
    """A label without the markup that REDCap allows in it.

    >>> plain("<b>Age</b> at&nbsp;diagnosis")
    'Age at diagnosis'
    """
    import html

    return " ".join(html.unescape(re.sub(r"<[A-Za-z/][^>]*>", " ", text)).split())


def _cell(row: dict[str, str], start: str) -> str:
    """A cell by the beginning of its header; REDCap's headers grow explanations."""
    return next((cell for head, cell in row.items() if head.startswith(start)), "")
