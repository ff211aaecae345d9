"""Whatever a script hands over by mistake is told in words, by the argument's name, before anything is done."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.run.registry import STUDY, filled, workbook

import caseweave
from caseweave.errors import UsageError

ODD: dict[str, Any] = {
    "nothing": None,
    "a number": 5,
    "bytes": b"site-a.xlsx",
    "an empty text": "",
    "a zero byte": "a\0b",
    "a name too long": "x" * 5000,
    "a list in a list": [["site-a.xlsx"]],
    "an object": object(),
    "a mapping": {"Patients": "site-a.xlsx"},
    "an open file": io.BytesIO(b"PK"),
    "a DataFrame": pandas.DataFrame({"patient_id": ["P001"]}),
    "no files": [],
}


def odd(*fitting: str) -> pytest.MarkDecorator:
    """Everything odd, but for what fits."""
    return pytest.mark.parametrize(
        "given", [pytest.param(one, id=name) for name, one in ODD.items() if name not in fitting]
    )


@pytest.fixture(scope="module")
def study() -> caseweave.Study:
    return caseweave.load_study(STUDY)


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workbook(tmp_path_factory.mktemp("forms") / "form.xlsx", filled())


@odd()
def test_as_sources(study: caseweave.Study, given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workbook(tmp_path / "here.xlsx", filled())  # an empty text isn't the current folder
    with pytest.raises(UsageError):
        study.convert(given, key_file=tmp_path / "a.key")
    assert not (tmp_path / "a.key").exists()


def test_tables_in_memory_are_told_why(study: caseweave.Study) -> None:
    with pytest.raises(UsageError, match="`sources` must be a path or several, and is of type DataFrame") as told:
        study.convert(ODD["a DataFrame"])
    assert "each finding names its file and cell" in told.value.way_out
    assert told.value.data == {"argument": "sources", "type": "DataFrame"}


@odd("nothing")
@pytest.mark.parametrize("argument", ["key_file", "vocabulary", "today"])
def test_as_another_argument(study: caseweave.Study, form: Path, argument: str, given: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"`{argument}`"):
        study.convert(form, **{"key_file": tmp_path / "a.key", argument: given})


@odd("nothing", "an empty text", "a zero byte", "a name too long")
@pytest.mark.parametrize("argument", ["site", "password"])
def test_as_text(study: caseweave.Study, form: Path, argument: str, given: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"`{argument}` must be text"):
        study.convert(form, key_file=tmp_path / "a.key", **{argument: given})


@odd("no files")
def test_as_studies(given: Any) -> None:
    for ask in (lambda: caseweave.list_studies(studies=given), lambda: caseweave.load_study("breast", studies=given)):
        with pytest.raises(UsageError):
            ask()


@odd()
def test_as_a_study(given: Any) -> None:
    with pytest.raises(UsageError):
        caseweave.load_study(given)


def test_one_folder_of_studies_needs_no_list() -> None:
    assert "registry" in caseweave.list_studies(studies=STUDY.parent)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("fhir", ""),
        ("fhir", 5),
        ("omop", ""),
        ("omop_schema", 5),
        ("vocabulary_schema", ""),
        ("stream", ""),
        ("stream", None),
        ("as_of", "2020-01-01"),
        ("as_of", datetime.date(2020, 1, 1)),
        ("as_of", pandas.NaT),
        ("retract", "some"),
        ("retract", None),
        ("retract", True),
        ("increment", "no"),
        ("complete", 1),
        ("force", "no"),
        ("dry_run", None),
    ],
)
def test_to_deliver(result: caseweave.Result, argument: str, given: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"`{argument}`"):
        result.deliver(tmp_path / "there", **{argument: given})
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("given", [None, 5, b"x", "", "a\0b", "x" * 5000])
def test_as_workspace(result: caseweave.Result, given: Any) -> None:
    with pytest.raises(UsageError, match="`workspace`"):
        result.deliver(given)


def test_a_file_is_no_workspace(result: caseweave.Result, form: Path) -> None:
    for dry_run in (True, False):
        with pytest.raises(UsageError, match="is a file"):
            result.deliver(form, dry_run=dry_run)


def test_a_moment_counts_as_its_day(study: caseweave.Study, form: Path, tmp_path: Path) -> None:
    day, moment = datetime.date(1980, 1, 1), datetime.datetime(1980, 1, 1, 23, 59)
    found = [study.convert(form, key_file=tmp_path / "a.key", today=one).findings for one in (day, moment)]
    assert len(found[0]) > 0
    assert found[0].equals(found[1])


@pytest.fixture(scope="module")
def result(study: caseweave.Study, form: Path, tmp_path_factory: pytest.TempPathFactory) -> caseweave.Result:
    return study.convert(form, key_file=tmp_path_factory.mktemp("keys") / "a.key")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.binary(max_size=4), st.lists(st.text(max_size=3))
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=ANYTHING)
def test_any_name_at_all(result: caseweave.Result, name: Any) -> None:
    for ask in (result.omop.__getitem__, result.fhir.__getitem__, result.fhir.models, result.fhir.xml):
        with pytest.raises((caseweave.CaseweaveError, KeyError)) as told:
            ask(name)
        assert isinstance(told.value, caseweave.CaseweaveError)
    assert name not in result.omop
    assert result.fhir.get(name, "nothing") == "nothing"
