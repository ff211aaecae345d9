"""What the template itself says, per language (vocabularies/languages); a form's own texts stand in its mapping."""

from __future__ import annotations

from collections.abc import Mapping

from caseweave.spec.phrases import Texts, phrases, text_in

__all__ = ["text_in", "texts", "word"]


def texts(section: str) -> Mapping[str, Texts]:
    """One section of the tables: reasons or units, each with its texts by language."""
    return phrases(section)


def word(key: str, language: str, **values: object) -> str:
    """One of the template's own texts.

    >>> word("unit", "es", unit="mm")
    'En mm.'
    """
    return text_in(phrases("template")[key], language).format(**values)
