"""Reading an Athena download: a folder or a zip of tab-separated files, as a stream, line by line."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from caseweave.errors import SourceDamaged, SourceUnsupported

AGAIN = "Download the vocabularies again from Athena and give the folder or the zip as it came."
HEAD = 65536
# RuntimeError is zipfile's word for a password, NotImplementedError for a packing it doesn't know
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)
# what is needed of each file; the others of a download aren't read
FILES: dict[str, tuple[str, ...]] = {
    "CONCEPT.csv": (
        "concept_id",
        "concept_name",
        "domain_id",
        "vocabulary_id",
        "concept_class_id",
        "standard_concept",
        "concept_code",
        "invalid_reason",
        "valid_start_date",
        "valid_end_date",
    ),
    "CONCEPT_RELATIONSHIP.csv": ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"),
    "VOCABULARY.csv": ("vocabulary_id", "vocabulary_version"),
}


class Athena:
    """An Athena download, opened; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self._members = {one.name.upper(): one.name for one in path.iterdir() if one.is_file()}
        elif path.is_file():
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as problem:
                raise SourceDamaged(path.name, f"not a zip that can be opened ({problem})", way_out=AGAIN) from None
            # a zip may hold everything in one folder
            self._members = {one.rpartition("/")[2].upper(): one for one in self._zip.namelist() if one[-1] != "/"}
        else:
            raise SourceUnsupported(str(path), "there is no such folder or file", way_out="Check the path.")
        for name in FILES:
            if name.upper() not in self._members:
                self.close()
                raise SourceUnsupported(path.name, f"it holds no {name}", way_out=AGAIN)

    def __enter__(self) -> Athena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()

    def digest(self) -> str:
        """Tell this download from another without reading it all: sizes, times, the first bytes of each file."""
        found = hashlib.sha256()
        for name in FILES:
            member = self._members[name.upper()]
            if self._zip is None:
                stat = (self.path / member).stat()
                size, time = stat.st_size, stat.st_mtime_ns
            else:
                info = self._zip.getinfo(member)
                size, time = info.file_size, info.CRC
            found.update(f"{name} {size} {time}\n".encode())
            with self._open(name) as stream:
                found.update(stream.read(HEAD))
        return found.hexdigest()[:32]

    def rows(self, name: str) -> Iterator[Sequence[str]]:
        """The columns in FILES of one file, row by row.

        Raises SourceUnsupported where a column is missing or the file isn't tab-separated, SourceDamaged where a line
        is broken or the zip is.
        """
        shown = f"{self.path.name}/{name}"
        wanted = FILES[name]
        with self._open(name) as stream:
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
            try:
                header = [one.strip().lower() for one in lines.readline().rstrip("\r\n").split("\t")]
            except UnicodeDecodeError:
                raise SourceDamaged(shown, "its beginning isn't UTF-8", way_out=AGAIN) from None
            missing = [column for column in wanted if column not in header]
            if len(header) == 1:
                raise SourceUnsupported(shown, "its first line isn't tab-separated", way_out=AGAIN)
            if missing:
                raise SourceUnsupported(shown, f"it has no column {', '.join(missing)}", way_out=AGAIN, missing=missing)
            places, width = [header.index(column) for column in wanted], len(header)
            number = 1
            try:
                for number, line in enumerate(lines, start=2):
                    cells = line.rstrip("\r\n").split("\t")
                    if len(cells) != width:
                        if cells == [""]:
                            continue
                        raise SourceDamaged(
                            shown, f"line {number} has {len(cells)} columns, not {width}", way_out=AGAIN
                        )
                    yield [cells[place] for place in places]
            except UnicodeDecodeError:
                raise SourceDamaged(shown, f"line {number + 1} isn't UTF-8", way_out=AGAIN) from None

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        member = self._members[name.upper()]
        shown = f"{self.path.name}/{name}"
        try:
            if self._zip is None:
                with (self.path / member).open("rb") as stream:
                    yield stream
            else:
                with self._zip.open(member) as packed:
                    yield packed  # type: ignore[misc]
        except BROKEN as problem:
            raise SourceDamaged(shown, f"it can't be read ({problem})", way_out=AGAIN) from None
