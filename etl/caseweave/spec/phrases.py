"""What the program itself says to people, per language: tables in vocabularies/*.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from caseweave.assets import data_path
from caseweave.spec.yamlfile import Map, read_yaml

Texts = Mapping[str, str]


@cache
def phrases(file: str, section: str) -> Mapping[str, Texts]:
    """One section of a file: texts by key, each by language.

    >>> phrases("template.yaml", "words")["unit"]["es"]
    'En {unit}.'
    """
    tree, _ = read_yaml(data_path("vocabularies") / file, f"vocabularies/{file}")
    found = tree[section]
    assert isinstance(found, Map)
    return {str(key): {str(language): str(text) for language, text in one.items()} for key, one in found.items()}


def text_in(given: Texts, language: str, otherwise: str = "") -> str:
    """A text in a language, else in English, else in any.

    >>> text_in({"en": "Side"}, "es")
    'Side'
    """
    return given.get(language) or given.get("en") or next(iter(given.values()), "") or otherwise
