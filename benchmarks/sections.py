"""Sections of the page of figures that come from runs of their own: kept when the rest is written anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

START, END = "<!-- {} -->", "<!-- end of {} -->"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A table of Markdown, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)]


def put_section(page: Path, title: str, lines: Iterable[str]) -> None:
    """Write a section into a page, instead of the one of that title or at the end."""
    block = "\n".join([START.format(title), f"## {title}", "", *lines, END.format(title)]) + "\n"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = _pattern(re.escape(title)).search(text)
    new = text[: found.start()] + block + text[found.end() :] if found else text.rstrip("\n") + "\n\n" + block
    page.write_text(new, encoding="utf-8")


def kept(page: Path) -> str:
    """The sections that stand in a page, to be put below what is written anew.

    >>> kept(Path("no such page"))
    ''
    """
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return "".join("\n" + found.group() for found in _pattern("[^>]*?").finditer(text))


def _pattern(title: str) -> re.Pattern[str]:
    return re.compile(f"<!-- (?P<title>{title}) -->\n.*?<!-- end of (?P=title) -->\n", re.DOTALL)
