"""350 odd workbooks out of public bug trackers: none crashes, none hangs, and values are what other readers say.

`workbooks/refused.csv` lists every file that isn't read, `workbooks/differences.csv` every difference from the other
reader of its format, each with the cause; both must be complete and hold nothing that is no longer true.
"""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.robustness.oracles import ORACLES, differences

from caseweave.errors import SourceError
from caseweave.sources.child import Reader
from caseweave.sources.files import EXTENSIONS, kind_of
from caseweave.sources.wire import Reading

DATA = Path(__file__).parent / "workbooks"
MOST_SECONDS = 20.0
MOST_MEMORY = 1 << 30


@dataclass
class Outcome:
    """What came of a set of files."""

    refused: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    different: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    read: int = 0
    judged: int = 0
    compared: int = 0
    slowest: tuple[float, str] = (0.0, "")
    memory: int = 0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(self.refused.values()).items()))
        return (
            f"{self.read} read, {len(self.refused)} refused ({kinds}); {self.judged} judged by another reader: "
            f"{self.compared:,} cells compared, {len(self.different)} differences; "
            f"slowest {self.slowest[0]:.2f} s ({self.slowest[1]}), biggest child {self.memory >> 20} MB"
        )


def examine(files: Iterable[Path]) -> Outcome:
    """Read every file, and let the other reader of its format judge it."""
    outcome = Outcome()
    with Reader() as reader:
        for path in files:
            begun = time.monotonic()
            reading, error = attempt(reader, path)
            outcome.slowest = max(outcome.slowest, (time.monotonic() - begun, path.name))
            if reading is None:
                assert error is not None and error.data["file"] == path.name and error.way_out
                outcome.refused[path.name] = type(error).__name__
                continue
            outcome.read += 1
            outcome.memory = max(outcome.memory, reading.memory)
            if path.suffix not in ORACLES:
                continue
            try:
                sheets = ORACLES[path.suffix](path)
            except Exception as failure:  # the judge may fail in any way
                outcome.unjudged[path.name] = type(failure).__name__
                continue
            outcome.judged += 1
            compared, found = differences(reading.grids, sheets)
            outcome.compared += compared
            for sheet, cell, ours, theirs in found:
                outcome.different[path.name, sheet, cell] = (ours, theirs)
    return outcome


def attempt(reader: Reader, path: Path) -> tuple[Reading | None, SourceError | None]:
    """The reading, or the typed error; anything else fails the test."""
    try:
        return reader.read(path, kind_of(path)), None
    except SourceError as error:
        return None, error


def listed(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def check(files: list[Path]) -> None:
    names = {path.name for path in files}
    outcome = examine(files)
    print(f"\n{len(files)} files: {outcome}")
    refused = {row["file"]: row["error"] for row in listed("refused.csv") if row["file"] in names}
    different = {(row["file"], row["sheet"], row["cell"]) for row in listed("differences.csv") if row["file"] in names}
    assert outcome.refused == refused
    assert set(outcome.different) == different
    assert outcome.slowest[0] < MOST_SECONDS
    assert outcome.memory < MOST_MEMORY


def workbooks(shared: Path) -> list[Path]:
    return sorted(path for path in (shared / "data" / "workbooks").iterdir() if path.name != "index.csv")


def test_forty_of_the_odd_workbooks(shared: Path) -> None:
    sample = (DATA / "sample.txt").read_text(encoding="utf-8").split()
    check([path for path in workbooks(shared) if path.name in sample])


@pytest.mark.torture
def test_all_odd_workbooks(shared: Path) -> None:
    files = workbooks(shared)
    assert len(files) == 350
    check(files)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A copy as a bad disk, a broken transfer or an attacker would leave it."""
    copy = bytearray(content)
    way = chance.random()
    if way < 0.5:
        for _ in range(chance.choice((1, 3, 20))):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
    elif way < 0.7:
        del copy[chance.randrange(len(copy)) :]
    else:
        at = chance.randrange(len(copy))
        copy[at : at + chance.randrange(200)] = chance.randbytes(chance.randrange(200))
    return bytes(copy)


@pytest.mark.torture
def test_damaged_copies_give_typed_errors(shared: Path, tmp_path: Path) -> None:
    chance = random.Random(20)
    slowest = 0.0
    with Reader() as reader:
        for path in workbooks(shared) * 3:
            copy = tmp_path / f"copy{path.suffix}"
            copy.write_bytes(damaged(path.read_bytes(), chance))
            begun = time.monotonic()
            attempt(reader, copy)
            slowest = max(slowest, time.monotonic() - begun)
    assert slowest < MOST_SECONDS + 5  # a parser that hangs is stopped after 20 s


PASSWORDS = {
    "2409ac728b29.xlsx": "password",
    "2d9b3e05dda1.xlsb": "password",
    "63405f1b1052.xlsb": "tika",
    "8829efe47d26.xlsx": "password",
    "8d7e1ec808bf.xls": "tika",
    "981d98213c79.xlsx": "password",
    "db10e50a2560.xlsb": "password",
    "f157879fe29d.xlsx": "1234",
}


@pytest.mark.torture
@pytest.mark.parametrize("name", PASSWORDS)
def test_encrypted_workbooks_open_with_their_passwords(shared: Path, name: str) -> None:
    path = shared / "data" / "workbooks" / name
    with Reader() as reader:
        assert reader.read(path, kind_of(path), PASSWORDS[name]).grids[0].height


def test_every_exception_has_a_cause() -> None:
    assert all(row["cause"] for name in ("refused.csv", "differences.csv") for row in listed(name))
    assert set(ORACLES) <= EXTENSIONS
