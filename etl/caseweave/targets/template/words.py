"""What the template itself says, per language (vocabularies/template.yaml); a form's own texts stand in its mapping."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from caseweave.assets import data_path
from caseweave.spec.yamlfile import Map, read_yaml

FILE = "template.yaml"
Texts = Mapping[str, str]


@cache
def texts(section: str) -> Mapping[str, Texts]:
    """One section of the file: words, reasons or units, each with its texts by language."""
    tree, _ = read_yaml(data_path("vocabularies") / FILE, f"vocabularies/{FILE}")
    found = tree[section]
    assert isinstance(found, Map)
    return {str(key): {str(language): str(text) for language, text in one.items()} for key, one in found.items()}


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


def text_in(given: Texts, language: str, otherwise: str = "") -> str:
    """A text in a language, else in English, else in any.

    >>> text_in({"en": "Side"}, "es")
    'Side'
    """
    return given.get(language) or given.get("en") or next(iter(given.values()), "") or otherwise
