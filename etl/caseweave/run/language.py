"""In which language people are answered: the one they ask for, else that of the template that they filled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caseweave.errors import UsageError
from caseweave.issues import Finding
from caseweave.plan.spellings import id_like
from caseweave.quality.rules import Rule
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.run.studies import stamps
from caseweave.spec.models import Field, Study
from caseweave.spec.phrases import Texts, languages
from caseweave.values.grid import Source

MOST_VALUES = 12  # of a list are named; the drop-down of the template has them all


@dataclass(frozen=True)
class Voice:
    """A language, with what a study says in it: its own lists, and `messages` of its rules by rule and language."""

    speech: Speech = ENGLISH
    messages: Mapping[str, Texts] = field(default_factory=dict)
    study: Study | None = None

    def message(self, one: Finding) -> str:
        """What a finding says."""
        said = self.speech.message(one, self.messages)
        return self.titled(said) if one.rule == "orphan-row" else said

    def expected(self, one: Finding) -> str:
        """What a finding expects, as the template has it: labels of a list, an id that looks right."""
        about = self.field(one)
        if about is not None and one.rule == "not-in-value-set" and about.valueset is not None:
            labels = [self.speech.text(entry.label, entry.key) for entry in about.valueset.values.values()]
            more = [self.speech("and_more", count=len(labels) - MOST_VALUES)] if len(labels) > MOST_VALUES else []
            return ", ".join(labels[:MOST_VALUES] + more)
        if about is not None and one.rule == "not-an-id" and (like := id_like(about.matches or "")):
            return self.speech("id_like", like=like)
        return self.labelled(one, self.speech.said(one.expected))

    def suggestion(self, one: Finding) -> str:
        """What a finding suggests; values of a list by their labels."""
        about = self.field(one)
        if about is None or about.valueset is None or one.rule != "not-in-value-set":
            return self.speech.said(one.suggestion)
        labels = {
            spelling: self.speech.text(entry.label, entry.key)
            for entry in about.valueset.values.values()
            for spelling in (*entry.aliases, *entry.label.values(), entry.key)
        }
        found = [labels.get(text, text) for text in one.suggestion.split(" or ")]
        return f" {self.speech('or')} ".join(found) + ("." if one.suggestion else "")

    def titled(self, said: str) -> str:
        """A text with sheets by what their tabs are called."""
        names = {one.key: self.speech.text(one.title, one.name) for one in (self.study.sheets if self.study else ())}
        return re.sub(r"[\w-]+", lambda found: names.get(found[0], found[0]), said)

    def labelled(self, one: Finding, said: str) -> str:
        """A text with the fields of the finding's sheet by their labels; a name of one word may be a word."""
        if self.study is None or one.sheet not in self.study.sheet_keys:
            return said
        fields = self.study.sheet(one.sheet).fields
        return re.sub(
            r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+",
            lambda name: self.speech.text(fields[name[0]].label, name[0]) if name[0] in fields else name[0],
            said,
        )

    def field(self, one: Finding) -> Field | None:
        """The field that a finding is about, if it is about one."""
        if self.study is None or one.sheet not in self.study.sheet_keys:
            return None
        return self.study.sheet(one.sheet).fields.get(one.field)


ENGLISH_VOICE = Voice()


def require_language(language: str) -> str:
    """A language that was asked for, if reports are written in it; "" for that of the template.

    >>> require_language("es")
    'es'

    Raises UsageError for another one.
    """
    if language and language not in languages():
        raise UsageError(
            f"Reports are not written in {language!r}.", way_out=f"Choose one of {', '.join(languages())}."
        )
    return language


def speech_to(sources: Sequence[Source], chosen: str = "") -> Speech:
    """How to speak to those who filled some sources: in the language of their template if they share one, else English.

    >>> speech_to([], "es").counted(2, "row")
    '2 filas'

    Arguments: `chosen`, a language that was asked for, "" for the template's own.
    """
    found = {chosen} if chosen else {one.language for one in stamps(sources)}
    return Speech(found.pop()) if len(found) == 1 else ENGLISH


def voices_of(sources: Sequence[Source], study: Study, rules: Sequence[Rule], chosen: str = "") -> dict[str, Voice]:
    """How to speak to those who filled each source, by its alias.

    Arguments: `rules` of `study`; the others as of `speech_to`.
    """
    spoken = {one.alias: speech_to([one], chosen) for one in sources}
    messages = {rule.id: rule.messages for rule in rules}
    return {alias: Voice(speech, messages, study) for alias, speech in spoken.items()}
