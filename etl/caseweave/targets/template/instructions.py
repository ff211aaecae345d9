"""The first sheet: how to fill the form in, what the colours mean, what is checked, what every column expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from caseweave.spec.models import Study
from caseweave.targets.template.checks import Check
from caseweave.targets.template.columns import expectation, header
from caseweave.targets.template.lists import put
from caseweave.targets.template.looks import DARK, GREY, HEAD, MARKS
from caseweave.targets.template.tabs import in_order, tab_name
from caseweave.targets.template.words import phrases, text_in, word
from caseweave.version import __version__

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

HOW = ("how_1", "how_2", "how_3", "how_4", "how_5", "how_6")
WIDTHS = (46, 46, 80, 22)
LINE = 15


def write_instructions(
    page: Worksheet, study: Study, language: str, rules: Iterable[Check], left_out: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the sheet.

    Arguments: `rules` of the study; `left_out`, by sheet, those that Excel can't express.
    """
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.worksheet.properties import PageSetupProperties

    row = 1

    def line(*texts: str, bold: bool = False, colour: str = "", back: str = "") -> None:
        nonlocal row
        # a line of one text runs over the columns behind it, a table wraps
        for column, text in enumerate(texts, 1):
            cell = page.cell(row, column)
            put(cell, text)
            cell.font = Font(bold=bold, color=colour or "000000", size=11)
            cell.alignment = Alignment(wrap_text=len(texts) > 1, vertical="top")
            if back:
                cell.fill = PatternFill("solid", fgColor=back)
        if len(texts) > 1:  # LibreOffice doesn't find the height of wrapped text on opening
            lines = max(-(-len(text) // (width - 4)) for text, width in zip(texts, WIDTHS, strict=False))
            page.row_dimensions[row].height = LINE * max(lines, 1)
        row += 1

    def head(key: str) -> None:
        nonlocal row
        row += 1
        line(word(key, language), bold=True, colour=DARK)
        page.cell(row - 1, 1).font = Font(bold=True, color=DARK, size=12)

    line(text_in(study.title, language, study.name))
    page.cell(1, 1).font = Font(bold=True, size=16, color=DARK)
    line(word("version", language, study=study.name, version=study.version, caseweave=__version__), colour=GREY)
    head("how")
    for key in HOW:
        line("•  " + word(key, language))
    head("colours")
    for severity, key in (("required", "colour_required"), ("error", "colour_error"), ("warning", "colour_warning")):
        line(word(key, language))
        page.cell(row - 1, 1).fill = PatternFill("solid", fgColor=MARKS[severity][0])
    if study.missing.codes:
        head("missing")
        for code, reason in study.missing.codes.items():
            line(code, text_in(phrases("reasons").get(reason, {}), language, reason))
    head("sheets")
    for sheet in study.sheets:
        keys = [header(sheet.fields[key], language).rstrip("* ") for key in sheet.row_key]
        grain = word("many_rows", language, keys=" + ".join(keys)) if keys else word("one_row", language)
        line(tab_name(sheet, language), grain)
    _rules(line, head, study, language, list(rules), left_out)
    head("fields")
    line(*(word(key, language) for key in ("sheet", "column", "expects")), bold=True, back=HEAD)
    for sheet in study.sheets:
        for field in in_order(sheet):
            said = " ".join(one for one in (text_in(field.help, language), expectation(field, language)) if one)
            line(
                tab_name(sheet, language), header(field, language), word("not_read", language) if field.ignore else said
            )
    for letter, size in zip("ABCD", WIDTHS, strict=True):
        page.column_dimensions[letter].width = size
    page.sheet_view.showGridLines = False
    page.protection.sheet = True
    page.protection.formatColumns = page.protection.formatRows = False
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _rules(
    line: object,
    head: object,
    study: Study,
    language: str,
    rules: Sequence[Check],
    left_out: Mapping[str, Mapping[str, str]],
) -> None:
    if not rules:
        return
    assert callable(line) and callable(head)
    head("rules")
    names = {sheet.key: tab_name(sheet, language) for sheet in study.sheets}
    for rule in sorted(rules, key=lambda one: study.sheet_keys.index(one.sheet)):
        field = study.sheet(rule.sheet).fields.get(rule.mark)
        where = header(field, language).rstrip("* ") if field else rule.mark
        when = "rule_later" if rule.id in left_out.get(rule.sheet, {}) else "rule_here"
        line(names[rule.sheet], where, text_in(rule.messages, language, rule.id), word(when, language))
