"""Check digits of codes: a mistyped SNOMED CT or LOINC code shows without any vocabulary."""

from __future__ import annotations

import re

# the dihedral group D5 (Verhoeff's scheme), as SNOMED International's identifier guide gives it
_TIMES = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
SNOMED_ID = re.compile(r"[1-9]\d{5,17}")
LOINC = re.compile(r"(\d{1,7})-(\d)")
FORMS: dict[str, re.Pattern[str]] = {
    "LNC": re.compile(r"\d{1,7}-\d|L[ALPG]\d+-\d"),
    "ICDO3": re.compile(r"\d{4}/\d(-C\d\d\.\d)?|C\d\d\.\d"),
    "NCIT": re.compile(r"C\d+"),
    "RXN": re.compile(r"\d+"),
    "HGNC": re.compile(r"(HGNC:)?\d+"),
    "ATC": re.compile(r"[A-Z]\d\d[A-Z]{0,2}(\d\d)?"),
}


def verhoeff(digits: str) -> bool:
    """Whether a number ends with its check digit.

    >>> verhoeff("10828004"), verhoeff("10828005")
    (True, False)
    """
    row = list(range(10))
    check = 0
    for digit in reversed(digits):
        check = _TIMES[check][row[int(digit)]]
        row = [row[_STEP[place]] for place in range(10)]
    return check == 0


def mod10(digits: str, check: str) -> bool:
    """Whether a LOINC number has its check digit.

    >>> mod10("718", "7"), mod10("718", "8")
    (True, False)
    """
    doubled = str(int(digits[::-1][::2]) * 2)
    total = sum(map(int, doubled)) + sum(map(int, digits[::-1][1::2]))
    return str(-total % 10) == check


def fault(system: str, code: str) -> str:
    """What is wrong with a code on the face of it; "" where nothing is.

    >>> fault("SCT", "000BAD"), fault("LNC", "718-8"), fault("SCT", "416471007:64572001=372064008")
    ("'000BAD' is no SNOMED CT identifier", 'the check digit of 718-8 is wrong', '')
    """
    if system == "SCT":
        for part in re.split(r"[:=+,{}()]|<<<|===", code):
            if part and not SNOMED_ID.fullmatch(part):
                return f"'{part}' is no SNOMED CT identifier"
            if part and not verhoeff(part):
                return f"the check digit of {part} is wrong"
        return ""
    form = FORMS.get(system)
    if form is not None and not form.fullmatch(code):
        return f"'{code}' isn't written as a code of {system}"
    loinc = LOINC.fullmatch(code) if system == "LNC" else None
    return f"the check digit of {code} is wrong" if loinc and not mod10(loinc[1], loinc[2]) else ""
