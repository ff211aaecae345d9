"""The code systems, extensions and profiles that studies name by alias, and the displays of codes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from caseweave.assets import data_path
from caseweave.errors import MappingError
from caseweave.spec.models import Study
from caseweave.spec.yamlfile import Map, read_yaml

SYSTEMS_FILE = "systems.yaml"
CODES_FOLDER = "codes"
OWN_CODES = "codes.csv"
CODE_COLUMNS = ("system", "code", "display", "source")
SECTIONS = ("systems", "extensions", "profiles")
SYSTEM_KEYS = ("url", "omop")
T = TypeVar("T")
# SNOMED names end with what kind of thing they name, "(finding)"; one source prints it, another doesn't
TAG = re.compile(r"\s*\([a-z /+]+\)$")


@dataclass(frozen=True, slots=True)
class System:
    """A code system: its `url` in FHIR ("" never reaches FHIR), its vocabulary in OMOP ("" never reaches OMOP)."""

    alias: str
    url: str = ""
    omop: str = ""


@dataclass(frozen=True, slots=True)
class Systems:
    """What vocabularies/systems.yaml says: code systems by alias, and the urls of extensions and profiles."""

    systems: Mapping[str, System]
    extensions: Mapping[str, str]
    profiles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Display:
    """What a code means, and where that was verified."""

    text: str
    source: str


def systems(more: Iterable[Path] = ()) -> Systems:
    """Read the list of systems.

    >>> systems().systems["SCT"].url
    'http://snomed.info/sct'

    Arguments: `more`, files of the same form that add to it, a study's own. Raises MappingError where one is wrong, or
    says of an alias what another one says differently.
    """
    found: dict[str, System] = {}
    urls: dict[str, dict[str, str]] = {"extensions": {}, "profiles": {}}
    for path in (data_path("vocabularies") / SYSTEMS_FILE, *more):
        name = f"{path.parent.name}/{path.name}"
        tree, _ = read_yaml(path, name)
        for section in tree:
            if section not in SECTIONS:
                raise MappingError(
                    name,
                    tree.at(section),
                    f"unknown key '{section}'",
                    way_out=f"Valid here: {', '.join(SECTIONS)}.",
                )
            entries = tree[section] if tree[section] is not None else Map()
            if not isinstance(entries, Map):
                raise MappingError(
                    name, tree.at(section), f"'{section}' isn't a mapping", way_out="Write alias: value."
                )
            for alias in entries:
                line = entries.at(alias)
                if section == "systems":
                    _add(found, alias, _system(alias, entries[alias], name, line), name, line)
                else:
                    _add(urls[section], alias, _url(entries[alias], name, line), name, line)
    return Systems(found, urls["extensions"], urls["profiles"])


def _system(alias: str, entry: object, file: str, line: int) -> System:
    if not isinstance(entry, Map) or any(key not in SYSTEM_KEYS for key in entry):
        raise MappingError(
            file,
            line,
            f"system '{alias}' isn't described",
            way_out="Write {url: .., omop: ..} or one of them.",
        )
    return System(alias, *(str(entry.get(key) or "") for key in SYSTEM_KEYS))


def _url(entry: object, file: str, line: int) -> str:
    if not isinstance(entry, str) or ":" not in entry:
        raise MappingError(file, line, f"{entry!r} isn't a url", way_out="Write the canonical url.")
    return str(entry)


def _add(found: dict[str, T], alias: str, entry: T, file: str, line: int) -> None:
    if found.setdefault(alias, entry) != entry:
        raise MappingError(
            file, line, f"'{alias}' means something else already", way_out="Take another alias.", alias=alias
        )


def displays(more: Iterable[Path] = ()) -> dict[tuple[str, str], Display]:
    """Read what each code means, from all files in vocabularies/codes.

    >>> isinstance(displays(), dict)
    True

    Arguments: `more`, files of the same form, or folders of them. Raises MappingError where a row is wrong, or
    two rows say different things of one code.
    """
    found: dict[tuple[str, str], Display] = {}
    places: dict[tuple[str, str], str] = {}
    for place in (data_path("vocabularies") / CODES_FOLDER, *more):
        for path in sorted(place.glob("*.csv")) if place.is_dir() else (place,):
            _read_codes(path, found, places)
    return found


def systems_of(study: Study) -> Systems:
    """The list of systems as a study sees it, with the `systems.yaml` of its folder; raises as `systems` does."""
    return systems(_own(study, SYSTEMS_FILE))


def displays_of(study: Study) -> dict[tuple[str, str], Display]:
    """What each code means to a study, with the `codes.csv` of its folder; raises as `displays` does."""
    return displays(_own(study, OWN_CODES))


def _own(study: Study, name: str) -> list[Path]:
    path = Path(study.folder) / name
    return [path] if study.folder and path.is_file() else []


def _read_codes(path: Path, found: dict[tuple[str, str], Display], places: dict[tuple[str, str], str]) -> None:
    name = f"{path.parent.name}/{path.name}"
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != CODE_COLUMNS:
            raise MappingError(name, 1, "not a list of codes", way_out=f"The columns are {', '.join(CODE_COLUMNS)}.")
        for row in reader:
            line = reader.line_num
            if None in row or any(value is None or not value.strip() for value in row.values()):
                raise MappingError(name, line, "a row isn't complete", way_out="Fill system, code, display and source.")
            key = (row["system"].strip(), row["code"].strip())
            text = row["display"].strip()
            kept = found.get(key)
            if kept is None:
                found[key], places[key] = Display(text, row["source"].strip()), f"{name}:{line}"
            elif _same(kept.text) != _same(text):
                raise MappingError(
                    name,
                    line,
                    f"{'|'.join(key)} is '{text}' here and '{kept.text}' in {places[key]}",
                    way_out="Look the code up and keep the right one.",
                    system=key[0],
                    code=key[1],
                )


def _same(text: str) -> str:
    return " ".join(TAG.sub("", text).casefold().split())
