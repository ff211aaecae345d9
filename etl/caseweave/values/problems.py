"""What is wrong with a single raw value; whoever knows the cell makes a finding of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that can't be taken as it stands.

    `message` and `expected` never hold what was typed; `suggestion` may, and stays in private outputs.
    """

    rule: str
    message: str
    expected: str = ""
    suggestion: str = ""


# no-break, figure, punctuation, thin, hair, narrow and ideographic spaces are spaces; zero-width marks are
# nothing
_SPACES = dict.fromkeys(
    [0x00A0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x09, 0x0A, 0x0D], " "
)
_NOTHING = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF])
_PLAIN = {**_SPACES, **_NOTHING}
_DIGIT = re.compile(r"\d")


def plain(text: str) -> str:
    """A text as it is compared: one kind of space, of accents and of digits; invisible marks and outer spaces are gone.

    >>> plain("\\u00a0IIA\\u2009 x\\ufeff"), plain("\\uff11\\uff12,\\u0665")
    ('IIA x', '12,5')
    """
    if text.isascii() and "  " not in text and not text.isspace():
        stripped = text.strip()
        if not ("\t" in stripped or "\n" in stripped or "\r" in stripped):
            return stripped
    folded = unicodedata.normalize("NFC", text.translate(_PLAIN))
    return " ".join(_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), folded).split())
