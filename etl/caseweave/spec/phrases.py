"""What the program itself says to people: a file for each language, vocabularies/languages/*.yaml, and a site's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import UsageError
from caseweave.spec.yamlfile import Map, read_yaml

Texts = Mapping[str, str]
OWN = "CASEWEAVE_LANGUAGES"


def languages() -> list[str]:
    """The languages there are files for; English first.

    >>> languages()[:2]
    ['en', 'es']
    """
    return list(_files(os.environ.get(OWN, "")))


def phrases(section: str) -> Mapping[str, Texts]:
    """One section of all files: texts by key, each by language.

    >>> phrases("template")["unit"]["es"]
    'En {unit}.'

    Raises UsageError where CASEWEAVE_LANGUAGES is no folder, MappingError for a file that can't be read.
    """
    return _sections(os.environ.get(OWN, "")).get(section, {})


def text_in(given: Texts, language: str, otherwise: str = "") -> str:
    """A text in a language, else in English, else in any.

    >>> text_in({"en": "Side"}, "es")
    'Side'
    """
    return given.get(language) or given.get("en") or next(iter(given.values()), "") or otherwise


@cache
def _files(own: str) -> Mapping[str, list[Path]]:
    """The files of each language; those of a folder of one's own come last, and so have the last word."""
    if own and not Path(own).is_dir():
        raise UsageError(f"{OWN} names no folder.", way_out="Give the folder that holds files such as de.yaml.")
    found: dict[str, list[Path]] = {"en": []}
    for folder in (data_path("vocabularies") / "languages", *([Path(own)] if own else [])):
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, []).append(path)
    return found


@cache
def _sections(own: str) -> Mapping[str, Mapping[str, Texts]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for language, paths in _files(own).items():
        for path in paths:
            tree, _ = read_yaml(path, f"languages/{path.name}")
            for section, texts in tree.items():
                if isinstance(texts, Map):
                    for key, text in texts.items():
                        found.setdefault(str(section), {}).setdefault(str(key), {})[language] = str(text)
    return found
