"""Tables as text: encoding and delimiter are found out, every cell stays text."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from caseweave.errors import SourceDamaged, SourceTooLarge
from caseweave.sources.encode import GridBuilder
from caseweave.sources.limits import Limits
from caseweave.values.grid import Grid

DELIMITERS = ",;\t|"
_SAMPLE = 256 * 1024
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_csv(path: Path, limits: Limits, *, tabs: bool = False) -> tuple[Grid, tuple[str, ...]]:
    """Read a csv or tsv file as one grid, and say what had to be found out.

    Arguments: the file, the limits, and whether its name says that tabs part the cells.
    Raises SourceDamaged for bytes that are no text or a quote that never closes, SourceTooLarge beyond the
    limits.
    """
    encoding = find_encoding(path)
    notes = (f"not valid UTF-8, read as {encoding}",) if encoding == "cp1252" else ()
    with path.open(encoding=encoding, newline="") as stream:
        sample = stream.read(_SAMPLE)
        delimiter = find_delimiter(sample, tabs=tabs)
        stream.seek(0)
        csv.field_size_limit(limits.field)
        builder = GridBuilder(path.stem.encode("utf-8", "replace").decode())
        lengths: list[int] = []
        builder.add_rows(_rows(csv.reader(stream, delimiter=delimiter, strict=True), path, limits, lengths))
    return replace(builder.grid(), lengths=tuple(lengths)), notes


def _rows(reader: Iterator[list[str]], path: Path, limits: Limits, lengths: list[int]) -> Iterator[list[str]]:
    cells = 0
    row = 0
    try:
        for row, record in enumerate(reader, start=1):
            cells += len(record)
            if cells > limits.cells:
                raise SourceTooLarge(
                    path.name, f"more than {limits.cells:,} cells", way_out="Split the file by patients."
                )
            if row == 1 and len(record) <= 2 and record[:1] and record[0][:4].lower() == "sep=":
                record = []  # Excel's own hint about the delimiter, no data
            lengths.append(len(record))
            yield record
    except csv.Error as error:
        if "field larger" in str(error) or "unexpected end" in str(error):
            reason = f"a quote that opens after row {row} never closes"
        else:
            reason = f"row {row + 1} can't be cut into cells ({error})"
        raise SourceDamaged(path.name, reason, way_out="Export it again with quotes doubled inside cells.") from error


def find_encoding(path: Path) -> str:
    """Tell the encoding: by its mark, else UTF-8 if every byte agrees, else Windows-1252 if that can be.

    Raises SourceDamaged when the bytes are neither.
    """
    with path.open("rb") as stream:
        head = stream.read(4096)
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                return _proven(path, encoding)
        if b"\0" in head:
            # half of the bytes of Latin text in UTF-16 are zero, on one side
            odd, even = head[1::2].count(0), head[0::2].count(0)
            encoding = "utf-16-le" if odd > even else "utf-16-be"
            if max(odd, even) * 4 > len(head) > 2 * min(odd, even) * 8 or min(odd, even) == 0:
                return _proven(path, encoding)
            raise SourceDamaged(path.name, "it holds binary bytes, not text", way_out="Save it as CSV UTF-8.")
    return "utf-8" if _decodes(path, "utf-8") else _proven(path, "cp1252")


def _proven(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise SourceDamaged(
            path.name, f"its bytes are neither UTF-8 nor valid {encoding}", way_out="Save it as CSV UTF-8."
        )
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as stream:
            while text := stream.read(1 << 20):
                if "\0" in text:
                    return False
    except UnicodeError:
        return False
    return True


def find_delimiter(sample: str, *, tabs: bool = False) -> str:
    """Find what parts the cells: the candidate that cuts the most lines into the same number of cells.

    >>> find_delimiter("a;b\\n1,5;2,5\\n2;3")
    ';'

    Arguments: the beginning of the text, and whether the name of the file says tabs.
    """
    if sample[:4].lower() == "sep=" and sample[4:5] in set(DELIMITERS):
        return sample[4]
    candidates = ("\t" + DELIMITERS.replace("\t", "")) if tabs else DELIMITERS
    scores = {delimiter: _score(sample, delimiter) for delimiter in candidates}
    best = max(candidates, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (0.0, 0) else candidates[0]


def _score(sample: str, delimiter: str) -> tuple[float, int]:
    widths: list[int] = []
    try:
        for record in csv.reader(sample.splitlines(keepends=True), delimiter=delimiter):
            if any(record):
                widths.append(len(record))
            if len(widths) >= 200:
                break
    except csv.Error:
        return (0.0, 0)
    several = Counter(width for width in widths if width > 1)
    if not several:
        return (0.0, 0)
    width, count = max(several.items(), key=lambda item: (item[1], item[0]))
    return (round(count / len(widths), 2), width)
