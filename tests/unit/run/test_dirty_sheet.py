"""Six rows of what people type: every problem is told once, at its cell, and none of it reaches a target."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest

from caseweave.identity.keyfile import HEADER as HEADER_OF_KEYS
from caseweave.identity.keyfile import ProjectKey
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study

STUDY = Path(__file__).parents[2] / "fixtures" / "dirty"
HEADER = ["patient_id", "sex", "menarche", "diagnosis_date", "platelets", "hemoglobin", "disease", "clinical_t"]
ROWS = [
    ["D1", "f", "1973", "2020-02-31", 250, 12.1, "254837009", "cT1"],
    ["D2", "woman", "1960-13-45", "2020-05-06", "1,234", 13.2, "254837009", "cT2"],
    ["D3", "f", "1975", "03/04/2020", 251, "abc", "000BAD", "cT9"],
    ["D4", "f", "1976", "2020-05-07", 252, 14.3, "254837009", "cT1"],
    ["D4", "m", "1977", "2020-05-08", 253, 15.4, "254837009", "cT2"],
    ["D9", "f", "1978", None, 254, 16.5, "254837009", "cT1"],
]
# the row of D9 is an orphan; that it also lacks its required date is told of the register's D5 instead
ROWS.insert(3, ["D5", "f", "1979", None, 255, 17.6, "254837009", "cT2"])
EXPECTED = {
    ("D2", "not-a-date"), ("B3", "not-in-value-set"), ("C3", "not-a-date"), ("E3", "ambiguous-number"),
    ("D4", "ambiguous-date"), ("F4", "not-a-number"), ("G4", "not-in-value-set"), ("H4", "not-in-value-set"),
    ("D5", "required"), ("A7", "duplicate-row"), ("A8", "orphan-row"),
}  # fmt: skip
NEVER = ["2020-02-31", "woman", "1960-13-45", "1,234", "03/04/2020", "abc", "000BAD", "cT9"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    register = book.active
    assert register is not None
    register.title = "Register"
    register.append(["patient_id", "birth_year"])
    for number in range(1, 6):
        register.append([f"D{number}", 1960])
    form = book.create_sheet("Form")
    form.append(HEADER)
    for row in ROWS:
        form.append(row)
    book.save(tmp_path / "dirty.xlsx")
    # the same key each time: ids are letters, among which a random one now and then writes `abc`
    key = tmp_path / "dirty.key"
    key.touch(mode=0o600)
    key.write_text(f"{HEADER_OF_KEYS}\nkey {bytes(32).hex()}\ncheck {ProjectKey('', bytes(32)).check_value}\n")
    options = Options(key_file=key)
    outcome = run(load_study(STUDY), [tmp_path / "dirty.xlsx"], Workspace(tmp_path / "workspace"), options)
    assert outcome.exit_code == 1
    assert outcome.manifest["findings"]["error"] == len(EXPECTED)
    balance = outcome.manifest["balance"]
    assert balance["cells"] == sum(balance[one] for one in ("loaded", "ignored", "missing", "rejected")) == 64
    return tmp_path / "workspace"


def test_eleven_findings_at_the_right_cells(workspace: Path) -> None:
    with (workspace / "findings.csv").open(encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["severity"] == "error"]
    assert sorted((row["cell"], row["rule"]) for row in found) == sorted(EXPECTED)
    assert {row["sheet"] for row in found} == {"form"}


def test_none_of_it_is_in_the_output(workspace: Path) -> None:
    public = [path for path in workspace.rglob("*") if path.is_file() and "private" not in path.parts]
    assert {path.suffix for path in public} >= {".ndjson", ".sqlite", ".csv", ".json"}
    for path in public:
        content = path.read_bytes()
        assert [text for text in NEVER if text.encode() in content] == [], path
    facts = b"".join(path.read_bytes() for path in (workspace / "fhir").glob("*.ndjson"))
    for cell in (b'"value":252', b'"value":253', b'"value":254'):  # neither of the doubled rows, nor the orphan
        assert cell not in facts
    assert b'"value":250' in facts and b'"value":255' in facts
