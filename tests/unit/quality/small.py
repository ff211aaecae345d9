"""A small study of prostate cancer, whose rows are held against whatever rules a test writes."""

from __future__ import annotations

from pathlib import Path

import openpyxl

from caseweave.identity.keyfile import ProjectKey
from caseweave.quality.rules import rules_of
from caseweave.run.convert import Conversion, convert
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.terms import open_terms

STUDY = """\
study: prostate
version: 1.0.0
title: {en: Prostate}
site: {field: patient_id, matches: '([A-Z]{2})-'}
missing: {codes: {NA: not-applicable}}
sheets: [patients, visits]
"""
PATIENTS = """\
sheet: Patients
grain: one row per patient
fields:
  patient_id: {type: id, role: subject, required: true}
  sex: {type: code, values: sex}
  organ: {type: text}
  birth: {type: date}
  diagnosis: {type: date, label: {en: Date of diagnosis}}
  death: {type: date}
  psa: {type: number, unit: ng/mL}
  weight: {type: number, unit: kg}
  primary: {type: integer}
  secondary: {type: integer}
  score: {type: integer}
  grade: {type: integer}
  biopsy: {type: text}
statements:
  patient: {pattern: patient, sex: sex, birth: birth}
"""
VISITS = """\
sheet: Visits
grain: many rows per patient
key: [number]
fields:
  patient_id: {type: id, role: subject, required: true}
  number: {type: integer, required: true}
  visit: {type: date}
  treatment: {type: date}
statements: {}
"""
SEX = """\
valueset: sex
title: {en: Sex}
source: made up
values:
  m: {code: GENDER|male, label: {en: Male}}
  f: {code: GENDER|female, label: {en: Female}}
"""
Row = dict[str, object]


def small_study(tmp_path: Path) -> Path:
    """The folder of the study."""
    home = tmp_path / "prostate"
    (home / "valuesets").mkdir(parents=True)
    for name, text in (("study", STUDY), ("patients", PATIENTS), ("visits", VISITS), ("valuesets/sex", SEX)):
        (home / f"{name}.yaml").write_text(text, encoding="utf-8")
    return home


def judged(folder: Path, rules: str, patients: list[Row], visits: list[Row] | None = None) -> Conversion:
    """A workbook of some rows, held against some rules; patients are numbered AA-1, AA-2 ... where they have no id."""
    (folder / "rules.yaml").write_text(f"study: prostate\nrules:\n{rules}\n", encoding="utf-8")
    book = openpyxl.Workbook()
    del book["Sheet"]
    for tab, rows in (("Patients", patients), ("Visits", visits or [])):
        heads = list(dict.fromkeys(["patient_id", *(name for row in rows for name in row)]))
        page = book.create_sheet(tab)
        page.append(heads)
        for n, row in enumerate(rows, 1):
            page.append([{"patient_id": f"AA-{n}", **row}.get(head) for head in heads])
    path = folder.parent / "book.xlsx"
    book.save(path)
    study = load_study(str(folder))
    return convert(study, read_sources([path]), key=ProjectKey("prostate", bytes(32)), terms=open_terms())


def told(conversion: Conversion) -> list[tuple[str, str]]:
    """What the rules said: rule and cell."""
    rules = {rule.id for rule in rules_of(conversion.study)}
    return [(one.rule, one.cell) for one in conversion.findings if one.rule in rules]
