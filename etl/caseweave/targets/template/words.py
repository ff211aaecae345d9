"""What the template itself says, per language (vocabularies/template.yaml); a form's own texts stand in its mapping."""

from __future__ import annotations

from collections.abc import Mapping

from caseweave.spec.phrases import Texts, phrases, text_in

__all__ = ["languages", "text_in", "texts", "word"]

FILE = "template.yaml"


def texts(section: str) -> Mapping[str, Texts]:
    """One section of the file: words, reasons or units, each with its texts by language."""
    return phrases(FILE, section)


def languages() -> list[str]:
    """The languages that the template itself speaks; English first.

    >>> languages()[:2]
    ['en', 'es']
    """
    return sorted({language for one in texts("words").values() for language in one}, key=lambda one: (one != "en", one))


def word(key: str, language: str, **values: object) -> str:
    """One of the template's own texts.

    >>> word("unit", "es", unit="mm")
    'En mm.'
    """
    return text_in(texts("words")[key], language).format(**values)
