"""Fonts, colours and borders of the template."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpyxl.styles.differential import DifferentialStyle

DARK, HEAD, HEAD_2, NEEDED, GREY, LINE = "1F4E79", "DDEBF7", "EAF3E6", "B45F06", "808080", "BFBFBF"
# the looks of conditional formats: background and text
MARKS = {"error": ("F8CBAD", "9C0006"), "warning": ("FFE0B2", "7F4F00"), "required": ("FFF2CC", "7F6000")}


def mark_style(severity: str) -> DifferentialStyle:
    """How a marked cell looks."""
    from openpyxl.styles import Font, PatternFill
    from openpyxl.styles.differential import DifferentialStyle

    back, ink = MARKS[severity]
    return DifferentialStyle(font=Font(color=ink), fill=PatternFill(bgColor=back, fill_type="solid"))
