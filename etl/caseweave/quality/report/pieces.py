"""Small pieces of the page: escaped text, tables, coloured cells, bars, histograms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from caseweave.quality.report.shares import Share
from caseweave.quality.speech import number

WIDE, HIGH, FOOT = 300, 84, 14


def text(value: object) -> str:
    """Anything as text of a page.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return escape(str(value), quote=True)


def soft(said: str) -> str:
    """A remark in small grey letters; its text is ready HTML."""
    return f'<p class="soft small">{said}</p>' if said else ""


def tag(severity: str, said: str) -> str:
    """A word on a coloured ground."""
    return f'<span class="tag {severity}-tag">{text(said)}</span>'


def swatch(css: str, said: str) -> str:
    """One entry of a key to colours."""
    return f'<span class="key {css}"></span>{text(said)}'


def heat(share: Share, required: bool = True) -> str:
    """A cell of a heat map, its number written in it; what need not be filled has a colour that doesn't warn."""
    percent = share.percent
    if percent is None:
        return '<td class="h none">·</td>'
    # between 80 and 100 % lies what people want to see, so the colour changes most there
    hue = round(22 + 130 * (max(percent - 40, 0) / 60) ** 2) if required else 212
    light, dark = (82, 27) if required else (96 - percent // 5, 18 + percent // 5)
    title = f"{number(share.part)} / {number(share.whole)}"
    return f'<td class="h" style="--h:{hue};--l:{light}%;--d:{dark}%" title="{title}">{percent}%</td>'


def table(heads: Sequence[tuple[str, str]], rows: Iterable[str], kind: str = "") -> str:
    """A table: heads with the class of their column, rows as ready cells."""
    top = "".join(f'<th scope="col" class="{css}">{text(said)}</th>' for said, css in heads)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody>"
    return f'<div class="scroll" tabindex="0"><table class="{kind}">{inner}</table></div>'


def bar(parts: Sequence[tuple[int, str]], height: int = 14) -> str:
    """A stacked bar over the whole width; each part a count and the class of its colour."""
    total = sum(count for count, _ in parts) or 1
    made, x = [], 0.0
    for count, css in parts:
        wide = 1000 * count / total
        if count:
            made.append(f'<rect class="{css}" x="{x:.2f}" width="{max(wide, 1.5):.2f}" height="{height}"/>')
        x += wide
    return (
        f'<svg viewBox="0 0 1000 {height}" preserveAspectRatio="none" style="height:{height}px" aria-hidden="true">'
        f"{''.join(made)}</svg>"
    )


def bars(rows: Sequence[tuple[str, int]], whole: int) -> str:
    """Horizontal bars, each with its label, count and share; labels are ready HTML."""
    most = max((count for _, count in rows), default=1) or 1
    made = [
        f'<span class="label">{label}</span>{bar([(count, "b-bar"), (most - count, "b-none")], 10)}'
        f'<span class="n">{number(count)}</span><span class="n soft">{round(100 * count / max(whole, 1))}%</span>'
        for label, count in rows
    ]
    return f'<div class="bars">{"".join(made)}</div>'


def histogram(steps: Sequence[tuple[str, int]]) -> str:
    """Columns of a histogram, each with what it begins with below and its count above."""
    most = max((count for _, count in steps), default=1) or 1
    wide = WIDE / max(len(steps), 1)
    made = []
    for n, (label, count) in enumerate(steps):
        tall = (HIGH - 12) * count / most
        x, y = n * wide, HIGH - tall
        made.append(f'<rect class="b-bar" x="{x + 1:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}"/>')
        middle = x + wide / 2
        made.append(f'<text class="count" x="{middle:.1f}" y="{y - 2:.1f}">{number(count)}</text>')
        made.append(f'<text x="{middle:.1f}" y="{HIGH + 11}">{text(label)}</text>')
    return f'<svg class="steps" viewBox="0 0 {WIDE} {HIGH + FOOT}">{"".join(made)}</svg>'


def strip(states: Sequence[str], said: str, size: int = 13) -> str:
    """A row of small squares, one for each field, its class the state; one path for each state keeps the page small.

    Arguments: `said` is the same in words, for who can't see or tell the colours.
    """
    made = []
    for state in dict.fromkeys(states):
        steps = "".join(
            f"M{n * size},0h{size - 2}v{size - 2}h-{size - 2}z" for n, one in enumerate(states) if one == state
        )
        made.append(f'<path class="s-{state}" d="{steps}"/>')
    width = max(len(states), 1) * size
    size_of = f'viewBox="0 0 {width} {size}" style="width:{width}px;height:{size}px"'
    return (
        f'<svg class="strip" role="img" aria-label="{text(said)}" {size_of}>'
        f"<title>{text(said)}</title>{''.join(made)}</svg>"
    )


def strip_heads(labels: Sequence[str], size: int = 13, height: int = 118) -> str:
    """The names over the squares of `strip`, turned."""
    made = [
        f'<text transform="translate({n * size + size - 3},{height - 3}) rotate(-62)">{text(_cut(label, 24))}</text>'
        for n, label in enumerate(labels)
    ]
    width = max(len(labels), 1) * size + 75
    size_of = f'viewBox="0 0 {width} {height}" style="width:{width}px;height:{height}px"'
    return f'<svg class="turned" {size_of}>{"".join(made)}</svg>'


def _cut(said: str, length: int) -> str:
    return said if len(said) <= length else said[: length - 1].rstrip() + "…"
