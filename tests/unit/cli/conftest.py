"""A small study in the user's own folder, a filled form whose name and cells name people, and a way to run commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli.app import run

Rows = dict[str, list[list[Any]]]

FILES = {
    "study.yaml": """\
study: mini
version: 1.0.0
title: {en: A small form, es: Un formulario pequeño}
sheets: [main, visits]
missing: {codes: {NA: unknown}}
dates: {accept: [excel, "YYYY-MM-DD", "YYYY-MM", "YYYY"]}
""",
    "main.yaml": """\
sheet: Main
grain: one row per patient
fields:
  pid: {type: id, role: subject, required: true}
  sex: {type: code, values: sex}
  birth: {type: date}
  dx: {type: date, required: true}
  er: {type: code, values: posneg, means: {pattern: tumor-marker, code: LNC|16112-5, at: dx, of: cancer}}
  weight: {type: number, unit: kg, accept: {g: 0.001}, means: {pattern: vital-sign, code: LNC|29463-7, at: dx}}
  note: {ignore: free text}
statements:
  patient: {pattern: patient, sex: sex, birth: birth}
  cancer: {pattern: primary-cancer, code: SCT|254837009, onset: dx}
""",
    "visits.yaml": """\
sheet: Visits
grain: many rows per patient
key: [n]
fields:
  pid: {type: id, role: subject}
  n: {type: integer}
  at: {type: date}
  ki67: {type: number, unit: "%", means: {pattern: tumor-marker, code: LNC|85330-9, at: at, of: main.cancer}}
""",
    "valuesets/sex.yaml": """\
valueset: sex
values:
  f: {code: GENDER|female, label: {en: female}}
  m: {code: GENDER|male, label: {en: male}}
""",
    "valuesets/posneg.yaml": """\
valueset: posneg
values:
  pos: {code: SCT|10828004, label: {en: Positive}}
  neg: {code: SCT|260385009, label: {en: Negative}}
""",
}
HEADS = {"Main": ["pid", "sex", "birth", "dx", "er", "weight", "note"], "Visits": ["pid", "n", "at", "ki67"]}
CLEAN: Rows = {
    "Main": [
        ["Garcia-01", "f", "1960-01-02", "2020-02-03", "pos", 61.5, "called Maria on her mobile"],
        ["Lopez-02", "m", "1955-06-07", "2020-05-04", "neg", "61000 g", None],
    ],
    "Visits": [["Garcia-01", 1, "2020-03-03", 20], ["Garcia-01", 2, "2020-04-03", "<5"]],
}
DIRTY: Rows = {
    "Main": [*CLEAN["Main"], ["Moreno-03", "Elena Moreno", "1960-13-45", "2020-02-31", "NA", "see Dr Vidal", None]],
    "Visits": [*CLEAN["Visits"], ["Orfila-09", 1, "2020-04-03", 7]],
}
# what a person typed and must never be seen outside private/: ids, names, wrong values
SECRETS = ("Garcia", "Lopez", "Moreno", "Orfila", "Maria", "Elena", "Vidal", "1960-13-45", "2020-02-31")


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Bench:
    """A folder to work in: the study lies in `studies`, forms are written beside it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    @property
    def workspace(self) -> Path:
        return self.folder / "out"

    def form(self, rows: Rows, name: str = "Garcia_Lopez.xlsx", stamp: Iterable[tuple[str, str]] = ()) -> Path:
        """Write a filled form; with a stamp it is a template of Caseweave."""
        import openpyxl

        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, head in HEADS.items():
            sheet = book.create_sheet(title)
            for row in (head, *rows.get(title, [])):
                sheet.append(row)
        if stamp:
            sheet = book.create_sheet("_caseweave")
            sheet.sheet_state = "veryHidden"
            for entry in stamp:
                sheet.append(list(entry))
        path = self.folder / name
        book.save(path)
        return path

    def __call__(self, *words: object) -> Said:
        """Run a command line."""
        self.capsys.readouterr()
        code = run([str(word) for word in words])
        streams = self.capsys.readouterr()
        return Said(code, streams.out, streams.err)

    def run(self, form: Path, *words: object) -> Said:
        """`caseweave run` with the small study into the workspace."""
        return self("run", form, "--studies", self.studies, "--study", "mini", "-o", self.workspace, *words)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The small study, an own project key, and the working folder inside `tmp_path`."""
    for name, text in FILES.items():
        path = tmp_path / "studies" / "mini" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "keys" / "mini.key"))
    monkeypatch.delenv("CASEWEAVE_WORKBOOK_PASSWORD", raising=False)
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path, capsys)


@pytest.fixture
def clean() -> Rows:
    """Rows without a fault."""
    return {name: [list(row) for row in rows] for name, rows in CLEAN.items()}


@pytest.fixture
def dirty() -> Rows:
    """Rows with faults that quote people."""
    return {name: [list(row) for row in rows] for name, rows in DIRTY.items()}


@pytest.fixture
def secrets() -> tuple[str, ...]:
    """What may stand in private/ only."""
    return SECRETS


@pytest.fixture
def public_bytes() -> Callable[[Path], dict[str, bytes]]:
    """The bytes of every file of a workspace outside private/, by name."""

    def read(workspace: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(workspace)): path.read_bytes()
            for path in workspace.rglob("*")
            if path.is_file() and "private" not in path.relative_to(workspace).parts
        }

    return read
