"""How a study's findings are told to people: in their language, with its own lists, sheets, fields and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from caseweave.issues import Finding
from caseweave.plan.spellings import id_like
from caseweave.quality.speech import ENGLISH, Speech
from caseweave.spec.models import Field, Study
from caseweave.spec.phrases import Texts

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
