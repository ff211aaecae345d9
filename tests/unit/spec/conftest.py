"""A small study to write, break and load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caseweave.spec.loader import load_study
from caseweave.spec.models import Study

STUDY = """\
study: lung
version: 1.0.0
title: {en: Lung cancer, es: Cáncer de pulmón}
dates: {order: YMD, accept: [excel, "YYYY-MM-DD", "YYYY-MM", "YYYY"]}
missing: {codes: {NA: not-applicable, "-9": unknown}, emit: true}
timepoints: [Diagnosis, Follow-up]
sheets: [diagnosis]
"""

DIAGNOSIS = """\
sheet: Diagnosis
header: {rows: 1}
fields:
  patient_id:     {type: id, role: subject, required: true, matches: '[A-Z]{2}-\\d{5}'}
  sex:            {type: code, values: sex, required: true}
  diagnosis_date: {type: date, required: "sex is present", precision: month}
  egfr:           {type: code, values: yes-no,
                   means: {pattern: marker, code: LNC|21665-5, at: diagnosis_date, of: cancer}}
  cea:            {type: number, unit: ng/mL, accept: {ug/L: 1}, range: {warn: [0, 5.5], error: [0, 90000]},
                   means: {pattern: marker, code: LNC|2039-6, at: diagnosis_date, of: cancer}}
  lesion_$i_size: {repeat: {i: 1..3, gaps: error}, type: number, unit: mm, accept: {cm: 10}}
  comments:       {ignore: "free text, may identify the patient"}
statements:
  patient: {pattern: patient, sex: {field: sex, map: {f: GENDER|female, m: GENDER|male}}}
  cancer: {pattern: cancer, code: SCT|254637007, onset: diagnosis_date}
  lesion: {pattern: lesion, for: i, of: cancer, size: lesion_$i_size, at: diagnosis_date}
examples:
  - row: {patient_id: AA-00001, sex: f, diagnosis_date: 2021-03, egfr: "yes"}
    expect: {facts: {egfr: SCT|373066001}, fhir: {Condition: 1}, findings: [partial-date]}
"""

VALUE_SETS = {
    "sex": "valueset: sex\nvalues: {f: {label: Female, aliases: [woman]}, m: {label: Male}}\n",
    "yes-no": "valueset: yes-no\nvalues:\n  yes: {code: SCT|373066001, label: {en: 'Yes', es: Sí}}\n"
    "  no: SCT|373067005\n  unk: {missing: unknown}\n",
}

PATTERNS = {
    "patient": "about: The person.\nslots: {sex: {kind: code}, birth: {kind: date}}\n"
    "fhir: {resourceType: Patient, gender: $sex}\n"
    "omop: {table: person, gender_concept_id: $sex, year_of_birth: {expr: year(birth)}}\n",
    "cancer": "about: A cancer.\nslots: {code: required, onset: {kind: date}}\n"
    "fhir: {resourceType: Condition, subject: $subject, code: $code, 'onset[x]': $onset}\n"
    "omop: {table: condition_occurrence, concept: $code, date: $onset}\n",
    "marker": "about: A marker.\n"
    "slots: {code: required, value: required, at: {kind: date}, of: {fact: [cancer]}}\n"
    "let: {verification: {from: value, map: {no: VER|refuted}, default: VER|confirmed}}\n"
    "fhir:\n  resourceType: Observation\n"
    "  profile: {mcode-tumor-marker-test: {needs: [at:day, 'value:code|quantity']}}\n"
    "  code: $code\n  value[x]: $value\n  status: final\n  subject: $subject\n"
    "  category: OBSCAT|laboratory\n  effective[x]: $at\n"
    "omop: {table: measurement, concept: $code, date: $at, value: $value}\n",
    "lesion": "about: A lesion.\nslots: {size: required, at: optional, of: {fact: [cancer], required: true}}\n"
    "fhir: {resourceType: Observation, status: final, code: LNC|21889-1, 'value[x]': $size}\n"
    "omop: none\nbecause: only a test\n",
}


@pytest.fixture
def lung(tmp_path: Path) -> Path:
    """The folder of a study called lung, with its own patterns and value sets."""
    folder = tmp_path / "lung"
    for name in ("patterns", "valuesets"):
        (folder / name).mkdir(parents=True)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "diagnosis.yaml").write_text(DIAGNOSIS, encoding="utf-8")
    for name, text in PATTERNS.items():
        (folder / "patterns" / f"{name}.yaml").write_text(f"pattern: {name}\n{text}", encoding="utf-8")
    for name, text in VALUE_SETS.items():
        (folder / "valuesets" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def edit(lung: Path) -> Callable[[str, str, str], Study]:
    """Replace a text in one of the study's files, which must hold it, and load the study."""

    def change(file: str, old: str, new: str) -> Study:
        path = lung / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return load_study(lung)

    return change
