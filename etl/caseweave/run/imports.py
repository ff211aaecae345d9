"""Import: from the files that describe a form to a drafted study, with a report of what was left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caseweave.errors import UsageError
from caseweave.importers import bare, eucanimage, odm, redcap
from caseweave.importers.draft import Draft, file_key
from caseweave.importers.report import report
from caseweave.importers.write import Written, write
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.studyfile import STUDY_NAME

REPORT = "import-report.md"
ODM_SUFFIXES = (".xml", ".odm")


@dataclass(frozen=True)
class Imported:
    """A drafted study: where it lies, what was made, and how many things were noted in the report."""

    name: str
    folder: Path
    report: Path
    made: Written
    notes: int


def import_study(
    paths: Sequence[Path],
    folder: Path,
    *,
    name: str = "",
    mend: bool = False,
    replace: bool = False,
    password: str | None = None,
) -> Imported:
    """Draft a study from files that describe a form, into FOLDER/NAME, with FOLDER/import-report.md.

    >>> import_study([Path("dictionary.csv")], Path("studies"))  # doctest: +SKIP

    Arguments: `name` of the study, else made of the form's own; `mend` gives checks the conditions that their
    dictionary has for them; `replace` a study of that name. Raises SourceError for a file that can't be read,
    UsageError where nothing describes a form or the study is there already.
    """
    draft = _draft(paths, name, password)
    if not any(form.items for form in draft.forms):
        raise UsageError(
            "None of the files describes a form.",
            way_out="Give a REDCap data dictionary, an ODM file, a EuCanImage dictionary, or a workbook with headers.",
        )
    study = name or file_key(draft.title)
    if not re.fullmatch(STUDY_NAME, study):
        raise UsageError(f"A study can't be called '{study}'.", way_out=f"Call it --name {file_key(study)}.")
    place = folder / study
    if (place / "study.yaml").exists() and not replace:
        raise UsageError(
            f"There is a study in {place} already.",
            way_out="Give another --name or -o, or --replace to lose what it holds.",
        )
    made = write(draft, study, mend=mend)
    _write_files(place, made)
    (folder / REPORT).write_text(report(draft, study, made), encoding="utf-8")
    load_study(place)
    return Imported(study, place, folder / REPORT, made, len(draft.notes))


def _draft(paths: Sequence[Path], name: str, password: str | None) -> Draft:
    described = " and ".join(path.name for path in paths)
    title = name.replace("-", " ").capitalize() if name else paths[0].stem.replace("_", " ")
    xml = [path for path in paths if path.suffix.casefold() in ODM_SUFFIXES]
    if xml:
        if len(paths) > 1:
            raise UsageError("An ODM file describes a study by itself.", way_out="Import one file at a time.")
        return odm.draft_of(xml[0], described)
    grids = [grid for source in read_sources(paths, password=password) for grid in source.grids]
    dictionary = next((grid for grid in grids if redcap.reads(grid)), None)
    if dictionary is not None:
        return redcap.draft_of(dictionary, title, described)
    kinds = [eucanimage.reads(grid) for grid in grids]
    if "dictionary" in kinds:
        return eucanimage.draft_of(grids, title, described)
    if "rules" in kinds:
        raise UsageError("There are rules, and no dictionary of the variables.", way_out="Give the dictionary too.")
    return bare.draft_of(grids, title, described)


def _write_files(place: Path, made: Written) -> None:
    """Write a study's files; those of an earlier import go, other files stay."""
    if (place / "study.yaml").exists():
        for old in [*place.glob("*.yaml"), *place.glob("valuesets/*.yaml")]:
            old.unlink()
    for name, text in made.files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
