"""carrot-transform beside ours: the part of the demographics sheet that it can do, as csv, into OMOP.

Its rules are written for the same fields and concepts as the study's: persons with sex and birth date, four
measurements, four findings as conditions (yes) or observations (no). It copies values as they are typed; ours are
checked, typed, hashed, numbered and kept in a ledger.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import national
from benchmarks.process import Spent, spend
from caseweave.spec.loader import load_study
from caseweave.spec.models import CodeLit, Study

PACKAGE = "carrot-transform==0.7.5"
MEASURED = ("height", "weight", "hemoglobin", "ecog")
FOUND = ("diabetes", "hypertension", "obesity", "asthma")
COLUMNS = ("patient_id", "sex", "birth_date", "visit_date", *MEASURED, *FOUND)
GENDERS = {"female": 8532, "male": 8507}
TABLES = ("person", "measurement", "condition_occurrence", "observation")


def compare(folder: Path, patients: int, repeat: int) -> dict[str, Any]:
    """Time both on the same csv, the best of some rounds each."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "inputs" / "demographics.csv"
    write(source, patients)
    ours = _best([spend([sys.executable, "-m", "benchmarks.one", "omop", source, folder]) for _ in range(repeat)])
    told = json.loads(ours.output)
    (folder / "rules.json").write_text(json.dumps(rules(load_study(national.STUDY), told["concepts"])))
    output = folder / "outputs"
    output.mkdir(exist_ok=True)
    command: list[str | Path] = [installed(folder / "venv"), "run", "v2", "--person", "demographics"]
    command += ["--inputs", source.parent, "--rules-file", folder / "rules.json", "--output", output]
    command += ["--omop-ddl-file", "@carrot/config/OMOPCDM_postgresql_5.4_ddl.sql"]
    theirs = _best([spend(command) for _ in range(repeat)])
    rows = {name: {"ours": told["rows"].get(name, 0), "carrot": _lines(output / f"{name}.tsv")} for name in TABLES}
    rates = {
        name: sum(one[name] for one in rows.values()) / spent.cpu
        for name, spent in (("ours", ours), ("carrot", theirs))
    }
    return {"patients": patients, "rows": rows, "rows_per_cpu_s": rates, "ratio": rates["ours"] / rates["carrot"]}


def write(path: Path, patients: int) -> None:
    """The demographics as csv; a declared missing value, of which carrot-transform knows nothing, is left blank."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = national.rows("demographics", list(COLUMNS), patients)
        csv.writer(file).writerows([cell if cell != "ND" else None for cell in line] for line in lines)


def rules(study: Study, concepts: Mapping[str, int]) -> dict[str, Any]:
    """The rules of carrot-transform, version 2, with our concepts."""

    def table(date: str, to: list[str], fields: Mapping[str, Any]) -> dict[str, Any]:
        person = {"source_field": "patient_id", "dest_field": "person_id"}
        of_file = {"person_id_mapping": person, "date_mapping": {"source_field": date, "dest_field": to}}
        return {"demographics.csv": {**of_file, "concept_mappings": fields}}

    def value(prefix: str, concept: int) -> dict[str, list[int]]:
        return {f"{prefix}_concept_id": [concept], f"{prefix}_source_concept_id": [concept]}

    of_field = {name: concepts[_code(study, name)] for name in (*MEASURED, *FOUND)}
    sexes = {sex: value("gender", concept) for sex, concept in GENDERS.items()}
    measured = {
        name: {"*": value("measurement", of_field[name]), "original_value": ["value_as_number", "value_source_value"]}
        for name in MEASURED
    }
    found = {
        prefix: {
            name: {answer: value(prefix, of_field[name]), "original_value": [f"{prefix}_source_value"]}
            for name in FOUND
        }
        for prefix, answer in (("condition", "yes"), ("observation", "no"))
    }
    days = ["condition_start_datetime", "condition_end_datetime"]
    return {
        "metadata": {"date_created": "2025-01-01T00:00:00+00:00", "dataset": "national"},
        "cdm": {
            "person": table(
                "birth_date", ["birth_datetime"], {"sex": {**sexes, "original_value": ["gender_source_value"]}}
            ),
            "measurement": table("visit_date", ["measurement_datetime"], measured),
            "condition_occurrence": table("visit_date", days, found["condition"]),
            "observation": table("visit_date", ["observation_datetime"], found["observation"]),
        },
    }


def installed(venv: Path) -> Path:
    """carrot-transform in an environment of its own."""
    command = venv / "bin" / "carrot-transform"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return command


def _code(study: Study, field: str) -> str:
    one = next(one for one in study.statements if one.sheet == "demographics" and one.meant_by == field)
    filler = one.slots["code"]
    assert isinstance(filler, CodeLit)
    return str(filler.codings[0])


def _best(rounds: list[Spent]) -> Spent:
    return min(rounds, key=lambda one: one.cpu)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 1
