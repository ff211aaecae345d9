"""What quality says to people, in their language: report, sheet of queries, comments (vocabularies/report.yaml)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from caseweave.issues import Finding
from caseweave.spec.phrases import Texts, phrases, text_in

FILE = "report.yaml"
THIN = "\u202f"


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
        return text_in(phrases(FILE, "words")[key], self.language).format(**values)

    def counted(self, count: int, noun: str) -> str:
        """A count with its noun."""
        one, many = text_in(phrases(FILE, "nouns")[noun], self.language).split("|")
        return f"{number(count)} {one if count == 1 else many}"

    def status(self, status: str) -> str:
        """The word for the state of a query."""
        return text_in(phrases(FILE, "statuses").get(status, {}), self.language, status)

    def severity(self, severity: str) -> str:
        """The word for how bad a finding is."""
        return text_in(phrases(FILE, "severities").get(severity, {}), self.language, severity)

    def text(self, given: Texts, otherwise: str = "") -> str:
        """A text that a study gives in several languages."""
        return text_in(given, self.language, otherwise)

    def expected(self, said: str) -> str:
        """What is expected or suggested, as far as it is said in words.

        >>> Speech("es").expected("100 to 230 cm")
        '100 a 230 cm'
        """
        if self.language == "en":
            return said
        for english, texts in phrases(FILE, "expectations").items():
            said = said.replace(english, texts.get(self.language, english))
        return re.sub(r"(?<=\d) to (?=-?\d)", f" {self('to')} ", said)

    def message(self, one: Finding, messages: Mapping[str, Texts]) -> str:
        """What a finding says.

        Arguments: `messages` of the study's own rules, by the rule's id.
        """
        if self.language == "en":
            return one.message
        if one.rule in messages:
            return messages[one.rule].get(self.language, "").replace("{place}", one.place) or one.message
        texts = phrases(FILE, "rules").get(one.rule, {})
        figures = re.fullmatch(texts.get("figures", ".*"), one.message, re.DOTALL)
        if figures is None or self.language not in texts:
            return one.message
        return texts[self.language].format(*map(self.expected, figures.groups()))


ENGLISH = Speech()


def languages() -> list[str]:
    """The languages that reports are written in; English first.

    >>> languages()
    ['en', 'es']
    """
    found = {language for one in phrases(FILE, "words").values() for language in one}
    return sorted(found, key=lambda one: (one != "en", one))


def confirming_words() -> frozenset[str]:
    """How an answer begins that confirms a value, in any language.

    >>> "confirmed" in confirming_words() and "confirmado" in confirming_words()
    True
    """
    return frozenset(word for text in phrases(FILE, "words")["confirmed"].values() for word in text.split("|"))
