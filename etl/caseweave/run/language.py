"""In which language people are answered: the one they ask for, else that of the template that they filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caseweave.issues import Finding
from caseweave.quality.rules import rules_of
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.run.studies import stamps
from caseweave.spec.models import Study
from caseweave.spec.phrases import Texts
from caseweave.values.grid import Source


@dataclass(frozen=True)
class Voice:
    """A language, with what the rules of a study say in it: `messages` by rule and language."""

    speech: Speech = ENGLISH
    messages: Mapping[str, Texts] = field(default_factory=dict)

    def message(self, one: Finding) -> str:
        """What a finding says."""
        return self.speech.message(one, self.messages)


ENGLISH_VOICE = Voice()


def voice_of(sources: Sequence[Source], study: Study, chosen: str = "") -> Voice:
    """How to speak to those who filled some sources: in the language of their template if they share one, else English.

    >>> from caseweave.spec.loader import load_study
    >>> voice_of([], load_study("breast"), "es").speech.counted(2, "row")
    '2 filas'

    Arguments: `chosen`, a language that was asked for, "" for the template's own.
    """
    found = {chosen} if chosen else {one.language for one in stamps(sources)}
    language = found.pop() if len(found) == 1 else "en"
    if language == "en":
        return ENGLISH_VOICE
    return Voice(Speech(language), {rule.id: rule.messages for rule in rules_of(study)})
