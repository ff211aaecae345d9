"""Coded values as people write them, beside the list or out of it."""

from __future__ import annotations

from tests.robustness.operators.book import place
from tests.robustness.operators.table import Operator, Said, accepted, blank, group, rejected, same

SIDE = "diagnosis.laterality"  # left
SITE = "diagnosis.site"  # upper_outer, C50.4
GRADE = "diagnosis.grade"  # 2
CT = "diagnosis.clinical_t"  # T1c
IHC = "diagnosis.her2_ihc"  # 0
BREASTFED = "demographics.breastfed"  # yes
SEX = "demographics.sex_at_birth"  # female
MENOPAUSE = "demographics.menopausal_status"  # postmenopausal
DENSITY = "diagnosis.breast_density"  # b
BIRADS = "diagnosis.birads_right@7"  # 4b
ER = "diagnosis.er_status"  # positive

OPERATORS: tuple[Operator, ...] = group(
    "codes",
    same("key-for-label", SIDE, "left"),
    same("capitals", SIDE, "LEFT"),
    same("label-in-spanish", SIDE, "Izquierda"),
    same("alias", SIDE, "izq"),
    same("initial", SIDE, "L"),
    same("trailing-blank", SIDE, "Left "),
    same("line-break-behind", SIDE, "Left\n"),
    same("no-break-space-inside", SITE, "Upper\u00a0outer quadrant (C50.4)"),
    same("two-spaces-inside", SITE, "Upper  outer  quadrant (C50.4)"),
    same("zero-width-space-inside", SIDE, "Le\u200bft"),
    same("soft-hyphen-inside", MENOPAUSE, "post\u00admenopausal"),
    accepted(
        "accent-as-a-mark-of-its-own",
        SEX,
        "Varo\u0301n",
        "male",
        "male",
        says=(Said("male-and-menopause", "warning", place(MENOPAUSE)),),
    ),
    same("icd-code", SITE, "C50.4"),
    same("icd-code-without-point", SITE, "c504"),
    accepted("icd-code-of-another-site", SITE, "C50.9", "breast", "breast"),
    rejected("icd-code-of-another-organ", SITE, "C51.4", "not-in-value-set", "C50.4"),
    rejected("typing-error", SIDE, "Lefft", "not-in-value-set", "Left"),
    rejected(
        "typing-error-in-a-label", SITE, "Uper outer quadrent", "not-in-value-set", "Upper outer quadrant (C50.4)"
    ),
    rejected("other-language", SIDE, "gauche", "not-in-value-set"),
    rejected("homoglyph", SIDE, "L\u0435ft", "not-in-value-set", "Left", why="a Cyrillic letter that looks like an e"),
    rejected("trailing-point", SIDE, "Left.", "not-in-value-set", "Left"),
    rejected("question-mark-behind", SIDE, "Left?", "not-in-value-set", "Left"),
    rejected("quotes", SIDE, '"Left"', "not-in-value-set", "Left"),
    rejected("two-codes-with-slash", SIDE, "left/right", "not-in-value-set"),
    rejected("two-codes-with-semicolon", SIDE, "Left; Right", "not-in-value-set"),
    rejected("two-codes-on-two-lines", SIDE, "Left\nRight", "not-in-value-set"),
    rejected("code-with-remark", SIDE, "Left (see report)", "not-in-value-set", "Left"),
    rejected("code-of-another-field", SIDE, "Invasive (/3)", "not-in-value-set"),
    rejected("number-of-a-list", SIDE, 1, "not-in-value-set", why="which side is 1 nobody has said"),
    rejected("placeholder", SIDE, "-- choose --", "not-in-value-set"),
    rejected("cross", BREASTFED, "x", "not-in-value-set"),
    rejected("tick", BREASTFED, "✓", "not-in-value-set"),
    same("one-for-yes", BREASTFED, 1),
    same("truth-value-for-yes", BREASTFED, True),
    accepted("truth-value-for-no", BREASTFED, False, "no", "no"),
    same("yes-in-spanish-without-accent", BREASTFED, "si"),
    rejected("yes-in-german", BREASTFED, "ja", "not-in-value-set"),
    same("number-for-a-code-of-digits", GRADE, 2),
    same("decimal-number-for-a-code-of-digits", GRADE, 2.0),
    same("text-with-point-for-a-code-of-digits", GRADE, "G2"),
    same("roman-numeral", GRADE, "II"),
    rejected("between-two-codes", GRADE, 2.5, "not-in-value-set"),
    rejected("two-grades", GRADE, "2-3", "not-in-value-set"),
    same("tnm-in-capitals", CT, "T1C"),
    same("tnm-with-prefix", CT, "cT1c"),
    same("tnm-without-t", CT, "1c"),
    rejected("tnm-with-blank", CT, "T1 c", "not-in-value-set", "T1c"),
    rejected("tnm-of-pathology", CT, "pT1c", "not-in-value-set", "T1c"),
    rejected("tnm-with-suffix", CT, "T1c(m)", "not-in-value-set", "T1c"),
    rejected("tnm-of-no-edition", CT, "T5", "not-in-value-set"),
    same("score-with-plus", IHC, "0+"),
    accepted(
        "score-as-pluses",
        IHC,
        "++",
        "2",
        "2",
        says=(
            Said("her2-status-and-tests", "error", place("diagnosis.her2_status")),
            Said("required", "error", place("diagnosis.her2_ish")),
        ),
    ),
    same("birads-in-capitals", BIRADS, "4B"),
    rejected("birads-with-blank", BIRADS, "4 B", "not-in-value-set", "4b"),
    same("sign-for-a-code", ER, "+"),
    blank("question-mark-for-unknown", SIDE, "?", "missing:unknown"),
    blank("missing-code", SIDE, "NA", "missing:not-applicable"),
    blank("missing-code-in-small-letters", SIDE, "na", "missing:not-applicable"),
    rejected("undeclared-missing-code", SIDE, "N/A", "not-in-value-set"),
    rejected("undeclared-missing-number", SIDE, 99, "not-in-value-set"),
    rejected(
        "formula-as-text", SIDE, "=cmd|' /C calc'!A0", "not-in-value-set", why="text that another program could run"
    ),
    rejected("formula-with-plus", SIDE, "+SUM(A1:A9)", "not-in-value-set"),
    rejected("formula-with-at", SIDE, "@HYPERLINK(A1)", "not-in-value-set"),
    rejected("html", SIDE, "<b>Left</b>", "not-in-value-set", "Left"),
    rejected("emoji", SIDE, "👈", "not-in-value-set"),
    rejected("thousands-of-letters", SIDE, "left " * 6000, "not-in-value-set"),
    rejected("name-of-a-patient", SIDE, "Garcia Lopez, Maria", "not-in-value-set"),
    rejected("control-character", SIDE, "Le\x07ft", "not-in-value-set", "Left"),
)
