"""The breast study: its three example patients through both targets, its codes, and what the models ask for."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from caseweave.identity.keyfile import ProjectKey
from caseweave.plan.lint import lint
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.run.examples import example_runner
from caseweave.sources import read_sources
from caseweave.spec.expression import codes as codes_in
from caseweave.spec.loader import load_study
from caseweave.spec.models import CodeLit, Expr, Mapped
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.targets.template import write_template
from caseweave.terms import displays, open_terms
from caseweave.values.types import Code

HERE = Path(__file__).parent
BREAST = load_study("breast")
# what mCODE has a profile for, and the form fills to its rules
PROFILES = {
    "mcode-cancer-patient": 3,
    "mcode-primary-cancer-condition": 4,
    "mcode-secondary-cancer-condition": 3,
    "mcode-tnm-primary-tumor-category": 6,
    "mcode-tnm-regional-nodes-category": 6,
    "mcode-tnm-distant-metastases-category": 5,
    "mcode-tnm-stage-group": 2,  # IIB and IV; no SNOMED CT code of the other three was verified
    "mcode-histologic-grade": 3,
    "mcode-tumor-marker-test": 27,
    "mcode-tumor-size": 6,
    "mcode-ecog-performance-status": 10,
    "mcode-cancer-disease-status": 4,
    "mcode-cancer-related-surgical-procedure": 5,
    "mcode-radiotherapy-course-summary": 3,
    "mcode-cancer-related-medication-administration": 6,
    "mcode-human-specimen": 4,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    path = tmp_path_factory.mktemp("breast") / "breast.xlsx"
    write_template(BREAST, path, example=True)
    return convert(BREAST, read_sources([path]), key=ProjectKey("breast", bytes(32)), terms=open_terms())


@pytest.fixture(scope="module")
def resources(made: Conversion) -> list[dict[str, Any]]:
    parts = (made.fhir.resources(number) for number, _ in enumerate(made.applied.facts))
    return [json.loads(line) for part in parts for _, _, lines in part for line in lines]


def test_every_cell_of_the_example_is_loaded(made: Conversion) -> None:
    assert [one.rule for one in made.findings] == ["partial-date"]
    assert made.balance["loaded"] + made.balance["missing"] == made.balance["cells"]


def test_profiles_are_claimed_where_they_fit(resources: list[dict[str, Any]]) -> None:
    claimed = Counter(url.rsplit("/", 1)[1] for one in resources for url in one.get("meta", {}).get("profile", ()))
    assert {name: claimed[name] for name in PROFILES} == PROFILES


def test_the_validator_finds_no_error(
    resources: list[dict[str, Any]], fhir_validator: Callable[[Iterable[dict[str, Any]]], list[Any]]
) -> None:
    issues = fhir_validator(resources)
    assert [one for one in issues if one.severity in ("error", "fatal")] == []


def test_references_lead_to_resources(resources: list[dict[str, Any]]) -> None:
    known = {f"{one['resourceType']}/{one['id']}" for one in resources}
    assert {one for resource in resources for one in references(resource)} <= known


def references(node: Any) -> Iterable[str]:
    """All references in a resource."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_omop_rows(made: Conversion) -> None:
    with SqliteDatabase(None, made.omop.settings.shapes) as database:
        write_to(database, made)
        counts = database.count()
    expected = {"person": 3, "death": 1, "visit_occurrence": 9, "drug_exposure": 5, "observation_period": 3}
    assert {table: counts[table] for table in expected} == expected
    # two tumours of one patient are two conditions; in situ disease is one too
    assert counts["condition_occurrence"] == 17


def test_what_was_ever_used_is_no_event_of_the_day_it_was_asked(
    made: Conversion, resources: list[dict[str, Any]]
) -> None:
    """Hormone replacement, contraception and breastfeeding lie in the past: answers, no procedures and conditions."""
    asked = ("breastfed", "hormonal_contraception", "hormone_replacement")
    found = [one["code"]["coding"][0] for one in resources if one["resourceType"] == "Observation"]
    assert {one["code"] for one in found if one["code"] in asked} == set(asked)
    with SqliteDatabase(None, made.omop.settings.shapes) as database:
        write_to(database, made)
        told = database.select(
            "SELECT observation_source_value, value_as_concept_id FROM observation"
            " WHERE observation_source_value IN ('breastfed', 'hormonal_contraception', 'hormone_replacement')"
        )
        assert ("hormone_replacement", 4188539) in told and ("hormone_replacement", 4188540) in told
        assert database.select("SELECT 1 FROM procedure_occurrence WHERE procedure_concept_id = 4141760") == []


def test_a_regimen_stands_in_both_beside_its_drug(resources: list[dict[str, Any]]) -> None:
    notes = [
        one["note"][0]["text"]
        for one in resources
        if one["resourceType"] == "MedicationAdministration" and "note" in one
    ]
    assert [text.partition(" ")[0] for text in notes] == ["KEYNOTE-522"]


def test_expressions_name_attributes_of_snomed() -> None:
    """A disease is no attribute, and a disorder no morphology; what a codebook of others has is not for our form."""
    named = {
        str(coding) for one in BREAST.valuesets.values() for entry in one.values.values() for coding in entry.codings
    }
    fillers = [filler for one in BREAST.statements for filler in one.slots.values()]
    named |= {str(coding) for one in fillers if isinstance(one, CodeLit) for coding in one.codings}
    assert not [text for text in named if text.startswith("SCT|") and ":" in text]


def test_every_field_means_something() -> None:
    used: set[tuple[str, str]] = set()
    for one in BREAST.statements:
        for filler in one.slots.values():
            used |= {(one.sheet, name) for name in fields_of(filler)}
        used |= {(one.sheet, str(name)) for name in names_of(one.when)}
    for sheet in BREAST.sheets:
        keys = {sheet.subject_field, *sheet.row_key}
        units = {field.unit_field for field in sheet.fields.values()}
        without = [
            name
            for name, field in sheet.fields.items()
            if (sheet.key, name) not in used and name not in keys | units and not field.ignore
        ]
        assert without == [], sheet.key


def fields_of(filler: Any) -> Iterable[str]:
    if isinstance(filler, Expr):
        return names_of(filler.expression)
    return [filler.field] if hasattr(filler, "field") else []


def names_of(expression: Any) -> Iterable[str]:
    from caseweave.spec.expression import names

    return names(expression) if expression is not None else ()


def test_labels_in_english_and_spanish() -> None:
    texts = [(f"{sheet.key}.{name}", field.label) for sheet in BREAST.sheets for name, field in sheet.fields.items()]
    texts += [(f"{one.name}={e.key}", e.label) for one in BREAST.valuesets.values() for e in one.values.values()]
    texts += [(one.name, one.title) for one in BREAST.valuesets.values()]
    assert [where for where, label in texts if not {"en", "es"} <= set(label)] == []


def test_every_code_is_listed_with_its_source() -> None:
    used = {coding for one in BREAST.valuesets.values() for e in one.values.values() for coding in e.codings}
    for statement in BREAST.statements:
        for filler in statement.slots.values():
            used |= set(codings(filler))
    known = displays()
    unlisted = {str(one) for one in used if one.system != "LOCAL" and (one.system, one.code) not in known}
    assert unlisted == set()


def codings(filler: Any) -> Iterable[Any]:
    if isinstance(filler, CodeLit):
        return filler.codings
    if isinstance(filler, Mapped):
        return [c for v in (*filler.map.values(), filler.default) if isinstance(v, Code) for c in v.codings]
    return codes_in(filler.expression) if isinstance(filler, Expr) else ()


def test_the_linter_finds_no_error() -> None:
    found = lint(BREAST, run=example_runner(open_terms()))
    assert [f"{one.file}:{one.line}: {one.message}" for one in found if one.severity == "error"] == []


def test_the_european_cancer_model_is_covered(shared: Path) -> None:
    """Every attribute of the workbook is a field, or says why it isn't."""
    with (HERE / "eu_common_cancer_model.csv").open(encoding="utf-8", newline="") as file:
        table = {(row["entity"], row["attribute"]): row for row in csv.DictReader(file)}
    (workbook,) = (shared / "standards").glob("EU_Cancer_Common_Logical_Model_*.xlsx")
    book = openpyxl.load_workbook(workbook, read_only=True, data_only=True)
    asked: set[tuple[str, str]] = set()
    for page in book:
        page.reset_dimensions()
        rows = page.iter_rows(values_only=True)
        names = [str(row[0]).strip() for row in rows if row and row[0]]
        asked |= {(page.title, name) for name in names if name != "Attribute"}
    assert asked == set(table)
    for (entity, attribute), row in table.items():
        assert row["fields"] or row["note"], (entity, attribute)
        for name in row["fields"].split():
            key, _, field = name.partition(".")
            assert field in BREAST.sheet(key).fields, name
