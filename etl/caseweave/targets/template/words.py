"""What the template itself says, per language (vocabularies/languages); a form's own texts stand in its mapping."""

from __future__ import annotations

from caseweave.spec.phrases import phrases, text_in

__all__ = ["phrases", "text_in", "word"]


def word(key: str, language: str, **values: object) -> str:
    """One of the template's own texts.

    >>> word("unit", "es", unit="mm")
    'En mm.'
    """
    return text_in(phrases("template")[key], language).format(**values)
