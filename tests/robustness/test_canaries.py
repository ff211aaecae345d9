"""A canary in every cell of every shipped form, one to a patient: none sings outside private/.

Each column gets, in a row of its own among valid ones, a text, an impossible date, an absurd number and a formula; what
the study ignores, columns and tabs that it doesn't know, the names of file and author hold canaries too, and so does
every patient id where ids aren't pseudonyms already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment

from caseweave.cli.app import run
from caseweave.run.synthetic import synthetic_form
from caseweave.spec.loader import load_study

# '0' and '8' are no letters of base32: no pseudonym or fact id can look like this
MARK = re.compile(rb"zq08[a-z0-9_-]*", re.IGNORECASE)
WIDE = re.compile(rb"z\0q\x000\x008\0", re.IGNORECASE)
# of `subject: given`, whose ids are pseudonyms, which go out; and of the study whose ids have a form
IDS: dict[str, Callable[[int], str]] = {
    "breast": lambda n: f"ZQ-08{n:03d}",
    "hcc-tace": lambda n: f"HCC_{n:03d}",
    "ispy1": lambda n: f"1{n:03d}",
}
PLANTS: tuple[Callable[[str, int], str], ...] = (
    lambda sheet, n: f"Zq08 {sheet} {n} Garcia",
    lambda sheet, n: f"30 Zq08{n}",  # a number with a unit
    lambda sheet, n: f"08{n:04d}-02-31",
    lambda sheet, n: f"0871{n:04d}.08",
    lambda sheet, n: f'=WEBSERVICE("http://zq08.example/{n}")',
    lambda sheet, n: f"<script>zq08{n}</script>",
)
QUICK = ("hcc-tace",)  # the others take a minute each
STUDY_NAMES = (
    "breast", "eucanimage-uc1", "eucanimage-uc3", "eucanimage-uc4-5", "eucanimage-uc6-8", "eucanimage-uc7", "hcc-tace",
    "ispy1",
)  # fmt: skip
STUDIES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.torture]) for name in STUDY_NAMES]
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "FORM", "--study", "STUDY", "-o", "checked", "--all-checks"),
    "dry run": ("run", "FORM", "--study", "STUDY", "-o", "out", "--dry-run"),
    "run": ("run", "FORM", "--study", "STUDY", "-o", "out"),
    "run again": ("run", "FORM", "--study", "STUDY", "-o", "out", "--json", "--verify", "--language", "es"),
    "status": ("status", "out", "--json"),
    "omop check": ("omop", "check", "out"),
    "no server": ("deliver", "out", "--fhir", "http://127.0.0.1:1/fhir", "--give-up", "1"),
    "no such thing": ("trace", "out", "Observation/none"),
    "an older form": ("run", "FORM", "--study", "STUDY", "-o", "out", "--as-of", "2001-01-01"),
    "another study": ("run", "FORM", "--study", "OTHER", "-o", "out"),
}


def form(study: str, folder: Path) -> tuple[Path, set[bytes]]:
    """A form with its canaries, and those of them that are no words with the mark."""
    spec = load_study(study)
    _, source = synthetic_form(spec)
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    numbers: set[bytes] = set()
    for sheet, grid in zip(spec.sheets, source.grids, strict=True):
        page = book.create_sheet(sheet.name)
        names = {one.column or one.name: one for one in reversed(list(sheet.fields.values()))}
        heads = [str(grid.cell(0, column)) for column in range(grid.width)]
        ignored = [head for head, one in names.items() if one.ignore and head not in heads]
        page.append([*heads, *ignored, "Zq08 of Garcia"])
        for _ in range(sheet.header_rows - 1):
            page.append([])
        own = next(n for n, head in enumerate(heads) if names[head].name == sheet.subject_field)
        for n, (column, plant) in enumerate((one, plant) for plant in PLANTS for one in range(grid.width)):
            row: list[Any] = [grid.cell(sheet.header_rows + n % 40, one) for one in range(grid.width)]
            row += [f"Zq08ignored{n}"] * (len(ignored) + 1)
            row[own] = IDS.get(study, lambda n: f"zq08id{n}")(n)
            if column != own or study not in ("hcc-tace", "ispy1"):
                row[column] = plant(sheet.key, n)
                if column != own or study == "breast":
                    numbers.add(row[column].encode())
            page.append(row)
            for cell in page[page.max_row]:
                cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type
    page = book.create_sheet("Zq08 Moreno")
    page.append(["Zq08 Vidal"])
    page["A1"].comment = Comment("zq08", "zq08")
    book.properties.creator = book.properties.title = "zq08"
    path = folder / "Zq08_Lopez.xlsx"
    book.save(path)
    return path, numbers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "project.key"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def heard(data: bytes, typed: set[bytes]) -> set[bytes]:
    """The canaries in some bytes."""
    found = {one.group() for one in (*MARK.finditer(data), *WIDE.finditer(data))}
    return found | {one for one in typed if len(one) > 8 and one in data}


@pytest.mark.parametrize("study", STUDIES)
def test_no_canary_sings_outside_private(study: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, typed = form(study, folder)
    words = {"FORM": str(path), "STUDY": study, "OTHER": "hcc-tace" if study != "hcc-tace" else "breast"}
    codes = {}
    for name, command in COMMANDS.items():
        codes[name] = run([words.get(word, word) for word in command])
        said = capfd.readouterr()
        told = (said.out + said.err).replace(str(path), "").replace(path.name, "").encode()
        assert (name, heard(told, typed)) == (name, set())
    assert {name for name, code in codes.items() if code == 1} >= {"check", "run", "run again"}
    assert codes["no server"] == 3 and codes["another study"] == 4
    files = [one for root in ("checked", "out") for one in (folder / root).rglob("*") if one.is_file()]
    public = [one for one in files if "private" not in one.relative_to(folder).parts]
    assert {one.suffix for one in public} >= {".ndjson", ".sqlite", ".csv", ".json", ".html", ".xml"}
    assert {str(one): found for one in public if (found := heard(one.read_bytes() + one.name.encode(), typed))} == {}
    # they were there to be heard: at home they are
    assert MARK.search((folder / "out" / "private" / "findings.csv").read_bytes())


def test_everything_at_home_is_behind_one_door(folder: Path) -> None:
    os.umask(before := os.umask(0))
    path, _ = form("hcc-tace", folder)
    os.umask(0)  # the most careless of accounts
    try:
        assert run(["run", str(path), "--study", "hcc-tace", "-o", "out"]) == 1
    finally:
        os.umask(before)
    assert (folder / "out" / "private").stat().st_mode & 0o777 == 0o700
    assert (folder / "project.key").stat().st_mode & 0o777 == 0o600
