"""The studies at hand, and which of them a set of sources belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from caseweave.errors import CaseweaveError, SourceProtected, UsageError
from caseweave.sources import read_sources
from caseweave.spec.folders import STUDY_FILE
from caseweave.spec.loader import list_studies, load_study
from caseweave.spec.models import Study
from caseweave.spec.studyfile import STUDY
from caseweave.spec.words import At
from caseweave.spec.yamlfile import read_yaml
from caseweave.values.grid import Grid, Source

STAMP_SHEET = "_caseweave"
PASSWORD_TRIES = 3


@dataclass(frozen=True, slots=True)
class StudyLine:
    """What a list of studies says about one; `fault` where its study.yaml can't be read."""

    name: str
    version: str = ""
    title: Mapping[str, str] | None = None
    fault: str = ""

    def title_in(self, language: str) -> str:
        """The title in a language, else in English, else in any; what is wrong where there is none.

        >>> StudyLine("breast", "1.0.0", {"en": "Breast cancer"}).title_in("es")
        'Breast cancer'
        """
        titles = self.title or {}
        return self.fault or titles.get(language) or titles.get("en") or next(iter(titles.values()), "")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a template's hidden sheet says: which study it was made from, which version and in which language."""

    source: str
    study: str
    version: str
    language: str = "en"


def describe_studies(studies: Sequence[Path] = ()) -> list[StudyLine]:
    """All studies by name; only their study.yaml is read.

    >>> [one.name for one in describe_studies()] != []
    True

    Arguments: `studies`, a user's own folders. Raises UsageError where one isn't a folder.
    """
    return [_describe(name, folder) for name, folder in sorted(list_studies(studies=studies).items())]


def _describe(name: str, folder: Path) -> StudyLine:
    label = f"{name}/{STUDY_FILE}"
    try:
        found, _ = STUDY.read(read_yaml(folder / STUDY_FILE, label)[0], At(label, 1))
    except CaseweaveError as error:
        return StudyLine(name, fault=f"cannot be read: {error}")
    return StudyLine(name, str(found["version"]), found["title"])


def read_unlocked(
    paths: Sequence[Path], password: str | None, ask: Callable[[], str | None], study: Study | None = None
) -> list[Source]:
    """Read sources; where one is protected, `ask` for its password, a few times.

    >>> read_unlocked([], None, lambda: None)
    []

    Arguments: `password`, tried first; `ask` gives None where there is nobody to ask; `study`, if it is
    known already. Raises SourceError.
    """
    for _ in range(PASSWORD_TRIES):
        try:
            return read_sources(paths, password=password, study=study)
        except SourceProtected:
            password = ask()
            if password is None:
                raise
    return read_sources(paths, password=password, study=study)


def stamps(sources: Sequence[Source]) -> list[Stamp]:
    """The stamps of those sources that are templates of Caseweave.

    >>> stamps([])
    []
    """
    found = []
    for source in sources:
        for grid in source.grids:
            entries = _entries(grid) if grid.name == STAMP_SHEET else {}
            if entries.get("study"):
                language = entries.get("language", "en")
                found.append(Stamp(source.alias, entries["study"], entries.get("version", ""), language))
    return found


def _entries(grid: Grid) -> dict[str, str]:
    if grid.width < 2:
        return {}
    rows = ((grid.cell(row, 0), grid.cell(row, 1)) for row in range(grid.height))
    return {str(name): str(value) for name, value in rows if name is not None and value is not None}


def study_of(sources: Sequence[Source], studies: Sequence[Path] = ()) -> Study:
    """Load the study that the templates among the sources name.

    Raises UsageError where none or several are named; MappingError for a study that can't be understood.
    """
    named = sorted({one.study for one in stamps(sources)})
    known = ", ".join(sorted(list_studies(studies=studies)))
    if not named:
        raise UsageError(
            "No file says which study it belongs to: none is a template of Caseweave.",
            way_out=f"Name it with --study; there are {known}.",
        )
    if len(named) > 1:
        raise UsageError(
            f"The files belong to several studies: {', '.join(named)}.", way_out="Give those of one study at a time."
        )
    return load_study(named[0], studies=studies)


def other_templates(study: Study, sources: Sequence[Source]) -> list[str]:
    """A sentence for each template of another study or version than the one in use."""
    return [
        f"{one.source} was filled in a template of {one.study} {one.version}, read as {study.name} {study.version}."
        for one in stamps(sources)
        if (one.study, one.version) != (study.name, study.version)
    ]
