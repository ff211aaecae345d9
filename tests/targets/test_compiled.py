"""Every template of every study, filled with every value: what lint and `run --validate` find, and that they do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from caseweave.errors import MappingError, UsageError
from caseweave.identity.keyfile import temporary_key
from caseweave.run.convert import convert
from caseweave.run.pipeline import Options, run
from caseweave.run.synthetic import synthetic_form
from caseweave.run.templates import compile_check
from caseweave.run.validate import validate
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.spec.models import Statement, Study
from caseweave.terms import open_terms
from tests.targets.studies import Convert, source_of


def test_every_template_is_valid(study: str) -> None:
    assert compile_check(load_study(study)) == []


def test_a_synthetic_form_reaches_every_statement(study: str) -> None:
    form, source = synthetic_form(load_study(study))
    made = convert(form, [source], key=temporary_key("x"), terms=open_terms())
    assert [batch.statement for batch in made.applied.facts if not len(batch)] == []
    assert len(made.applied.facts.batches) == len(form.statements)


def test_a_synthetic_form_is_the_same_every_time(study: str) -> None:
    assert synthetic_form(load_study(study))[1].grids == synthetic_form(load_study(study))[1].grids


@pytest.mark.parametrize("depth", ["none", "templates", "all"])
def test_real_input_is_valid(converted: Convert, study: str, depth: str) -> None:
    assert validate(converted(study).conversion, depth) == []


def planted(study: Study, name: str, **changes: object) -> Study:
    """A study with one statement changed."""

    def change(one: Statement) -> Statement:
        return dataclasses.replace(one, **changes) if one.name == name else one  # type: ignore[arg-type]

    sheets = [dataclasses.replace(one, statements=tuple(map(change, one.statements))) for one in study.sheets]
    return dataclasses.replace(study, sheets=tuple(sheets))


# statement of breast, fhir.set, what is found
FAULTS = [
    ("er_status", {"status": "zzz"}, "zzz is not in"),
    ("er_status", {"status": ""}, "is no code"),
    ("er_status", {"category": "OBSCAT|vital-signs"}, "mcode-tumor-marker-test"),
    ("grade", {"code": "NCIT|C18001"}, "mcode-histologic-grade"),
    ("cancer", {"clinicalStatus": "CONDCLIN|zzz"}, "zzz is not in"),
    ("clinical_t", {"method": {"text": "eighth"}}, ""),
]


@pytest.mark.parametrize(("name", "changes", "message"), FAULTS)
def test_what_is_planted_is_found(name: str, changes: dict[str, object], message: str) -> None:
    found = compile_check(planted(load_study("breast"), name, fhir_set=changes))
    if message:
        assert any(message in one.message and f".{name}" in one.message for one in found), found
        assert all(one.file and one.line for one in found)
    else:
        assert found == []


def test_what_cannot_be_compiled_is_a_finding() -> None:
    (found,) = compile_check(planted(load_study("breast"), "er_status", fhir_set={"nonsense": "x"}))
    assert found.rule == "not-compiled"
    assert "nonsense" in found.message


def test_a_run_refuses_before_anything_is_written(shared: Path, tmp_path: Path) -> None:
    study = planted(load_study("breast"), "er_status", fhir_set={"status": "zzz"})
    source = source_of("breast", shared, tmp_path)
    workspace = Workspace(tmp_path / "out")
    options = Options(key_file=tmp_path / "key", validate="templates")
    with pytest.raises(MappingError, match=r"Observation\.status \(required-binding\), of source-1:") as caught:
        run(study, [source], workspace, options)
    assert "er_status" in str(caught.value) and "zzz" not in str(caught.value)
    assert not workspace.fhir.exists()
    assert not workspace.omop.exists()
    outcome = run(load_study("breast"), [source], workspace, dataclasses.replace(options, validate="all"))
    assert outcome.manifest["run"] == 1
    with pytest.raises(UsageError, match="some"):
        run(load_study("breast"), [source], workspace, dataclasses.replace(options, validate="some"))
