"""The sheet `Queries`: one row for each thing to ask, with a link to its cell and a place for the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from caseweave.plan.queries import QUERY_COLUMNS
from caseweave.quality.annotate.marks import CLOSED, COLOURS, Query, cell_text
from caseweave.quality.annotate.parts import MAIN
from caseweave.quality.annotate.styles import Styles
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.values.grid import cell_address, column_letters

WIDTHS = {"id": 19, "sheet": 16, "cell": 8, "patient": 14, "rule": 20, "found": 20, "expected": 28, "message": 48,
          "status": 13, "Answer": 40}  # fmt: skip
LINE, MOST_LINES = 15, 12


def query_sheet(queries: Sequence[Query], tabs: Mapping[str, bool], styles: Styles, speech: Speech = ENGLISH) -> bytes:
    """The sheet's XML.

    Arguments: `tabs` are the workbook's; a query about another tab, or about no cell, has no link; `speech`, the
    language of heads, states and help.
    """
    head = styles.plain(font="bold", colour="FFE5E7EB")
    text = styles.plain()
    answer = styles.plain(colour="FFFFFBE6", quoted=False)
    link = {one: styles.plain(font="link", colour=colour) for one, colour in COLOURS.items()}
    done = styles.plain(font="link")
    heads = speech.heads(QUERY_COLUMNS)
    title, about = quoteattr(speech("answer_title")), quoteattr(speech("answer_help"))
    rows = [_row(0, [(name, head) for name in heads])]
    links = []
    for number, one in enumerate(queries, start=1):
        place = done if one.status == CLOSED else link[one.severity]
        said = (one.id, one.sheet, one.cell, one.patient, one.rule, one.found, one.expected, one.message,
                speech.status(one.status))  # fmt: skip
        used = [place if name == "cell" and one.cell else text for name in QUERY_COLUMNS[:-1]]
        rows.append(_row(number, [*zip(said, used, strict=True), (one.answer, answer)]))
        if one.cell and one.sheet in tabs:
            tab = one.sheet.replace("'", "''")
            where = quoteattr(f"'{tab}'!{one.cell}")
            links.append(f'<hyperlink ref="{cell_address(number, 2)}" location={where} display={quoteattr(one.cell)}/>')
    last, end = column_letters(len(QUERY_COLUMNS) - 1), max(len(queries) + 1, 2)
    widths = "".join(
        f'<col min="{n}" max="{n}" width="{WIDTHS[name]}" customWidth="1"/>' for n, name in enumerate(QUERY_COLUMNS, 1)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="{MAIN}">'
        '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr><sheetViews>'
        '<sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><cols>{widths}</cols><sheetData>{''.join(rows)}</sheetData>"
        f'<autoFilter ref="A1:{last}{end}"/>'
        '<dataValidations count="1"><dataValidation allowBlank="1" showInputMessage="1" '
        f'promptTitle={title} prompt={about} sqref="{last}2:{last}{end}"/></dataValidations>'
        f"{'<hyperlinks>' + ''.join(links) + '</hyperlinks>' if links else ''}"
        '<pageSetup orientation="landscape" fitToHeight="0"/></worksheet>'
    ).encode()


def _row(number: int, cells: Sequence[tuple[str, int]]) -> str:
    made = "".join(_cell(cell_address(number, n), text, style) for n, (text, style) in enumerate(cells))
    # programs don't all find the height of wrapped text on opening
    lines = max(-(-len(text) // int(width - 2)) for (text, _), width in zip(cells, WIDTHS.values(), strict=True))
    return f'<row r="{number + 1}" ht="{LINE * min(max(lines, 1), MOST_LINES)}" customHeight="1">{made}</row>'


def _cell(address: str, text: str, style: int) -> str:
    if not text:
        return f'<c r="{address}" s="{style}"/>'
    shown = escape(cell_text(text))
    return f'<c r="{address}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'
