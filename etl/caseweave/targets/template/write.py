"""Writing the workbook: the tabs, the hidden sheets, the instructions, in one file that appears by rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caseweave.errors import UsageError
from caseweave.spec.models import Study
from caseweave.spec.phrases import OWN, languages
from caseweave.targets.template.checks import Check, Marks, sheet_name
from caseweave.targets.template.example import Rows, example_of
from caseweave.targets.template.instructions import write_instructions
from caseweave.targets.template.lists import LISTS, Lists, stamp
from caseweave.targets.template.tabs import Tab, add_page, place_of, tab_name
from caseweave.targets.template.words import text_in, word


@dataclass(frozen=True, slots=True)
class Template:
    """What was written: how many marks each sheet has, and the rules that Excel can't express, with the reason."""

    path: Path
    marks: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def write_template(
    study: Study, path: Path, language: str = "en", example: bool | Rows = False, rules: Iterable[Check] = ()
) -> Template:
    """Write the Excel template of a study.

    >>> from caseweave.spec.loader import load_study
    >>> write_template(load_study("breast"), Path("breast.xlsx"), "es", example=True)  # doctest: +SKIP

    Arguments: `language` of labels, where the study has it; `example` fills in the study's example patients, or rows by
    sheet; `rules` of coherence become conditional formats. Raises UsageError for an example that isn't there, or a
    language that neither we nor the study have.
    """
    from openpyxl import Workbook

    spoken = sorted({*languages(), *study.title})
    if language not in spoken:
        raise UsageError(
            f"The form has no texts in {language!r}.",
            way_out=f"Choose one of {', '.join(spoken)}, or add a file of that language and name its folder in {OWN}.",
        )
    rules = list(rules)
    rows: Rows = example_of(study) if example is True else example or {}
    book = Workbook()
    guide = book.worksheets[0]
    guide.title = word("instructions", language)
    pages = {sheet.key: add_page(book, sheet, language) for sheet in study.sheets}
    lists = Lists(book.create_sheet(LISTS), language)
    missing = lists.codes(study.missing.codes)
    for sheet in study.sheets:
        for one in sheet.fields.values():
            if one.valueset is not None:
                lists.add(one.valueset)
    places = {sheet.key: place_of(sheet, language, sheet_name(tab_name(sheet, language))) for sheet in study.sheets}
    columns: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    left_out: dict[str, Mapping[str, str]] = {}
    for sheet in study.sheets:
        marks, left_out[sheet.key] = Marks(study, sheet, places, lists.known, missing).all(rules)
        counts[sheet.key] = len(marks)
        mine = [one for one in rules if one.sheet == sheet.key and one.id not in left_out[sheet.key]]
        told = {name: [text_in(one.messages, language) for one in mine if one.mark == name] for name in sheet.fields}
        tab = Tab(study, places[sheet.key], language, lists.shown, missing, told)
        headers = tab.write(pages[sheet.key], marks, rows.get(sheet.key, ()))
        columns.update({(sheet.key, name): text for name, text in headers.items()})
    write_instructions(guide, study, language, rules, left_out)
    lists.sheet.sheet_state = "hidden"
    lists.sheet.protection.sheet = True
    stamp(book, study, language, columns, [guide.title])
    book.properties.title = text_in(study.title, language, study.name)
    book.properties.creator = "Caseweave"
    book.properties.description = f"{study.name} {study.version}"
    book.active = 1 if rows else 0
    _save(book, path)
    return Template(path, counts, {rule: why for told in left_out.values() for rule, why in told.items()})


def _save(book: object, path: Path) -> None:
    """The file appears whole or not at all."""
    from openpyxl import Workbook

    assert isinstance(book, Workbook)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".xlsx")
    os.close(handle)
    try:
        book.save(name)
        # mkstemp makes a file for its owner only; a form is meant to be handed on
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
