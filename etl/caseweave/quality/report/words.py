"""Small pieces of the page: numbers as people write them, escaped text, tables, coloured cells, bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from caseweave.quality.report.measure import Share


def text(value: object) -> str:
    """Anything as text of a page.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return escape(str(value), quote=True)


def number(count: int) -> str:
    """A count with thin spaces between the thousands.

    >>> number(12345) == "12\\u202f345"
    True
    """
    return f"{count:,}".replace(",", "\u202f")


def counted(count: int, word: str) -> str:
    """A count with its noun.

    >>> counted(1, "patient"), counted(2, "patient"), counted(2, "query")
    ('1 patient', '2 patients', '2 queries')
    """
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number(count)} {word if count == 1 else plural}"


def tag(severity: str, said: str) -> str:
    """A word on a coloured ground."""
    return f'<span class="tag {severity}-tag">{text(said)}</span>'


def heat(share: Share, required: bool = True) -> str:
    """A cell of a heat map, its number written in it; what need not be filled has a colour that doesn't warn."""
    percent = share.percent
    if percent is None:
        return '<td class="h none" title="nothing to fill">·</td>'
    hue, light = (
        (round(22 + 140 * percent / 100), round(70 + 14 * percent / 100)) if required else (212, 96 - percent // 5)
    )
    title = f"{number(share.part)} of {number(share.whole)}"
    return f'<td class="h" style="background:hsl({hue},62%,{light}%)" title="{title}">{percent}%</td>'


def table(heads: Sequence[tuple[str, str]], rows: Iterable[str], kind: str = "") -> str:
    """A table: heads with the class of their column, rows as ready cells."""
    top = "".join(f'<th class="{css}">{text(said)}</th>' for said, css in heads)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="{kind}">{inner}</table></div>'


def bar(parts: Sequence[tuple[int, str]], height: int = 14) -> str:
    """A stacked bar over the whole width; each part a count and a colour."""
    total = sum(count for count, _ in parts) or 1
    made, x = [], 0.0
    for count, colour in parts:
        wide = 1000 * count / total
        if count:
            made.append(f'<rect x="{x:.2f}" width="{max(wide, 1.5):.2f}" height="{height}" fill="{colour}"/>')
        x += wide
    return (
        f'<svg viewBox="0 0 1000 {height}" preserveAspectRatio="none" style="height:{height}px" aria-hidden="true">'
        f"{''.join(made)}</svg>"
    )
