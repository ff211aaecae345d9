"""A Result is looked at, handed on and printed; what it shows by itself names nobody."""

from __future__ import annotations

import copy
import pickle

import pytest
from tests.unit.run.registry import STUDY, filled, workbook

import caseweave
from caseweave.errors import UnknownName, UsageError


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> caseweave.Result:
    folder = tmp_path_factory.mktemp("one")
    form = workbook(folder / "form.xlsx", filled())
    return caseweave.load_study(STUDY).convert(form, key_file=folder / "a.key")


def test_what_it_shows(result: caseweave.Result) -> None:
    balance = result.balance
    told = (
        f"<Result of registry 1.0.0: 30 patients, {result.facts} facts, {balance['loaded']} of {balance['cells']} cells"
    )
    assert repr(result).startswith(told)
    assert repr(caseweave.load_study(STUDY)) == "<Study registry 1.0.0: patients, visits>"
    assert "30 person" in repr(result.omop) and "30 Patient" in repr(result.fhir)


def test_what_it_shows_names_nobody(result: caseweave.Result) -> None:
    shown = "".join(map(repr, (result, result.omop, result.fhir)))
    assert [one for pair in result.subjects.items() for one in pair if one in shown] == []


def test_a_name_that_is_not_there(result: caseweave.Result) -> None:
    with pytest.raises(UnknownName, match=r"has no table 'MEASUREMENT'.*measurement"):
        result.omop["MEASUREMENT"]
    with pytest.raises(KeyError, match=r"no resource type 'Observations'.*Observation"):
        result.fhir["Observations"]
    assert result.omop.get("nothing") is None
    assert "Medication" not in result.fhir and result.fhir["Medication"] == []
    assert "note" not in result.omop and result.omop["note"].columns[0] == "note_id"
    assert [name for name in result.fhir if name not in result.fhir] == []


def test_the_key_is_not_handed_on(result: caseweave.Result) -> None:
    for hand_on in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UsageError, match="the project's key is part of it"):
            hand_on(result)


def test_what_it_gives_is_handed_on(result: caseweave.Result) -> None:
    omop, fhir, findings = pickle.loads(pickle.dumps((result.omop, result.fhir, result.findings)))
    assert omop["person"].equals(result.omop["person"])
    assert fhir["Patient"] == result.fhir["Patient"]
    assert findings.equals(result.findings)


def test_an_error_comes_whole_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnknownName("There is no such table.", way_out="Look.", name="x")))
    assert (str(error), error.data, error.retry) == ("There is no such table. Look.", {"name": "x"}, False)
