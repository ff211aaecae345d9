"""What quality says to people, in their language: report, sheet of queries, comments (vocabularies/languages)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from caseweave.issues import Finding
from caseweave.spec.phrases import Texts, phrases, text_in

THIN = "\u202f"
_HOLE = re.compile(r"\{(\d)\}")
_SENTENCE = re.compile(r"(?<=[.)]) (?=[A-Z])")


def number(count: int) -> str:
    """A count with thin spaces between the thousands.

    >>> number(12345) == "12\\u202f345"
    True
    """
    return f"{count:,}".replace(",", THIN)


@dataclass(frozen=True)
class Speech:
    """Speaks one language; what it lacks comes in English.

    >>> Speech("es").counted(2, "patient")
    '2 pacientes'
    """

    language: str = "en"

    def __call__(self, key: str, **values: object) -> str:
        """One sentence or word of the tables."""
        return text_in(phrases("report")[key], self.language).format(**values)

    def counted(self, count: int, noun: str) -> str:
        """A count with its noun."""
        one, many = text_in(phrases("nouns")[noun], self.language).split("|")
        return f"{number(count)} {one if count == 1 else many}"

    def status(self, status: str) -> str:
        """The word for the state of a query."""
        return text_in(phrases("statuses").get(status, {}), self.language, status)

    def severity(self, severity: str) -> str:
        """The word for how bad a finding is."""
        return text_in(phrases("severities").get(severity, {}), self.language, severity)

    def heads(self, names: tuple[str, ...]) -> list[str]:
        """The heads of the sheet of queries."""
        return [text_in(phrases("queries").get(name, {}), self.language, name) for name in names]

    def text(self, given: Texts, otherwise: str = "") -> str:
        """A text that a study gives in several languages."""
        return text_in(given, self.language, otherwise)

    def said(self, told: str) -> str:
        """What a finding says, expects or suggests: whole sentences by `findings`, others piece by piece by `pieces`.

        >>> Speech("es").said("There is no such day."), Speech("es").said("100 to 230 cm")
        ('Ese día no existe.', '100 a 230 cm')
        """
        return _said(self.language, told)

    def message(self, one: Finding, messages: Mapping[str, Texts]) -> str:
        """What a finding says.

        Arguments: `messages` of the study's own rules, by the rule's id.
        """
        if one.rule not in messages:
            return self.said(one.message)
        own = messages[one.rule].get(self.language, "").replace("{place}", one.place)
        first = text_in(messages[one.rule], "en").replace("{place}", one.place)
        if not (own and one.message.startswith(first)):
            return one.message
        added = one.message[len(first) :].strip()  # such as that the site confirmed it
        return f"{own} {self.said(added)}" if added else own


ENGLISH = Speech()


@lru_cache(maxsize=65536)
def _said(language: str, told: str) -> str:
    whole = _sentence(language, told)
    if whole is not None:
        return whole
    parts = _SENTENCE.split(told)
    if len(parts) > 1:
        return " ".join(_said(language, one) for one in parts)
    for english, texts in phrases("pieces").items():
        told = told.replace(english, texts.get(language, english))
    to = text_in(phrases("report")["to"], language)
    return re.sub(r"(?<=\d) to (?=-?\d)", f" {to} ", told)


def _sentence(language: str, told: str) -> str | None:
    """A sentence of the tables, with what stands in its holes."""
    for shape, text in _sentences(language):
        if found := shape.fullmatch(told):
            return text.format(*(_said(language, one) for one in found.groups()))
    return None


@cache
def _sentences(language: str) -> list[tuple[re.Pattern[str], str]]:
    found = []
    for english, texts in phrases("findings").items():
        if language in texts:
            parts = _HOLE.split(english)
            shape = "".join("(.+)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
            found.append((re.compile(shape, re.DOTALL), texts[language]))
    return found


def confirming_words() -> frozenset[str]:
    """How an answer begins that confirms a value, in any language.

    >>> "confirmed" in confirming_words() and "confirmado" in confirming_words()
    True
    """
    return frozenset(word for text in phrases("report")["confirmed"].values() for word in text.split("|"))
