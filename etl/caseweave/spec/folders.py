"""Where studies, patterns and value sets lie: a user's own folders first, then what Caseweave ships."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import UsageError
from caseweave.spec.words import At, names_here

STUDY_FILE = "study.yaml"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SHARED_NAME = re.compile(rf"(?:{PLAIN_NAME.pattern}/)?{PLAIN_NAME.pattern}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file, and what errors and digests call it, wherever it lies."""

    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of studies, in the order in which they are asked."""

    roots: tuple[Path, ...]
    vocabularies: Path

    def studies(self) -> dict[str, Path]:
        """Every study's folder by its name; of two with one name the first counts."""
        found: dict[str, Path] = {}
        for root in self.roots:
            for path in sorted(root.glob(f"*/{STUDY_FILE}")):
                found.setdefault(path.parent.name, path.parent)
        return found

    def study(self, name_or_path: str | Path) -> Path:
        """The folder of a study; raises UsageError that names those that exist."""
        known = self.studies()
        if str(name_or_path) in known:
            return known[str(name_or_path)]
        path = Path(name_or_path)
        folder = path.parent if path.name == STUDY_FILE else path
        if (folder / STUDY_FILE).is_file():
            return folder
        raise UsageError(
            f"There is no study '{name_or_path}'.",
            study=str(name_or_path),
            way_out=f"{names_here(str(name_or_path), known)} Or give a folder that holds a {STUDY_FILE}.",
        )

    def pattern_places(self, folder: Path | None) -> Iterator[Path]:
        """The folders that hold patterns: the study's own first."""
        if folder is not None:
            yield folder / "patterns"
        yield from (root / "patterns" for root in self.roots)

    def pattern(self, name: str, folder: Path | None, at: At) -> Found:
        """A pattern's file; raises MappingError that names those that exist."""
        if PLAIN_NAME.fullmatch(name):
            for place in self.pattern_places(folder):
                path = place / f"{name}.yaml"
                if path.is_file():
                    own = folder is not None and place.parent == folder
                    return Found(
                        path,
                        f"{folder.name}/patterns/{name}.yaml" if own and folder else f"patterns/{name}.yaml",
                    )
        raise at.unknown("pattern", name, sorted(self.patterns(folder)))

    def patterns(self, folder: Path | None = None) -> dict[str, Path]:
        """Every pattern's file by its name."""
        found: dict[str, Path] = {}
        for place in self.pattern_places(folder):
            for path in sorted(place.glob("*.yaml")):
                found.setdefault(path.stem, path)
        return found

    def valueset_places(self, study: str, folder: Path | None) -> list[tuple[Path, str]]:
        """The folders that hold value sets, each with what its files are called."""
        own = [(folder / "valuesets", f"{folder.name}/valuesets")] if folder is not None else []
        shipped = [(self.vocabularies / study, f"vocabularies/{study}")] if study else []
        return [*own, *shipped, (self.vocabularies, "vocabularies")]

    def valueset(self, name: str, study: str, folder: Path | None, at: At) -> Found:
        """A value set's file; raises MappingError that names those that exist."""
        places = self.valueset_places(study, folder)
        if SHARED_NAME.fullmatch(name):
            for place, label in places:
                for suffix in (".yaml", ".csv"):
                    if (place / f"{name}{suffix}").is_file() and not (
                        label == "vocabularies" and name in NOT_VALUESETS
                    ):
                        return Found(place / f"{name}{suffix}", f"{label}/{name}{suffix}")
        raise at.unknown(
            "value set",
            name,
            self.valuesets(study, folder),
            f" A study's own value sets lie in {places[0][1]}/.",
        )

    def valuesets(self, study: str = "", folder: Path | None = None) -> dict[str, Path]:
        """Every value set's file by its name, as one study sees them; those that studies share have their folder's."""
        found: dict[str, Path] = {}
        for place, label in self.valueset_places(study, folder):
            for path in sorted(one for one in place.rglob("*") if one.suffix in (".yaml", ".csv")):
                name = path.relative_to(place).with_suffix("").as_posix()
                if SHARED_NAME.fullmatch(name) and not (
                    label == "vocabularies" and name.split("/")[0] in NOT_VALUESETS
                ):
                    found.setdefault(name, path)
        return found


# what else lies in vocabularies/
NOT_VALUESETS = frozenset({"systems", "presence", "omop_conventions", "omop_concepts", "codes", "shapes", "languages"})


def folders(studies: Sequence[Path | str] = ()) -> Folders:
    """The folders to look in.

    >>> "patterns" in [place.name for place in folders().pattern_places(None)]
    True

    Arguments: `studies`, a user's own folders, which are asked first. Raises UsageError where one isn't a
    folder.
    """
    for one in studies:
        if not Path(one).is_dir():
            raise UsageError(f"'{one}' is no folder.", way_out="Give a folder that holds a folder for each study.")
    return Folders((*map(Path, studies), data_path("mappings")), data_path("vocabularies"))
