"""In which language people are answered: the one they ask for, else that of the template that they filled."""

from __future__ import annotations

from collections.abc import Sequence

from caseweave.errors import UsageError
from caseweave.quality.rules import Rule
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.quality.voice import Voice
from caseweave.run.studies import stamps
from caseweave.spec.models import Study
from caseweave.spec.phrases import languages
from caseweave.values.grid import Source


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
