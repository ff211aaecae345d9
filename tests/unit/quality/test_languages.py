"""What people are told, in their language and in the words of the form, not in those of the mapping."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path

import pytest

from caseweave.issues import Finding
from caseweave.plan.cells import FieldReader, Noted
from caseweave.quality.speech import Speech
from caseweave.quality.voice import Voice
from caseweave.run.language import require_language
from caseweave.spec.loader import load_study
from caseweave.spec.models import Study
from caseweave.spec.phrases import languages, phrases
from caseweave.values.dates import DateRules, parse_date
from caseweave.values.grid import RawCell
from caseweave.values.numbers import NumberRules, parse_number
from caseweave.values.problems import Problem
from caseweave.values.types import CellError

TODAY = datetime.date(2026, 11, 1)
# what nurses type into cells of dates and of numbers
DATES: list[RawCell] = [
    "17/04/61", "03/04/1961", "31.04.1961", "17 abril 1961", "aprox 1961", "2061-04-17", 22388, 1961.5, True,
    "1492-10-12", datetime.date(1900, 1, 2), CellError("#N/A"), datetime.datetime(2024, 2, 3, 0, 0), "2024", "nada",
    100000,
]  # fmt: skip
NUMBERS: list[RawCell] = [
    "1.068,5", "1.234", "seventy", "70-72", "ca. 70", "1,2,3", "12 345 6", "<5", "2.5", "1e99", True,
    CellError("#REF!"), datetime.date(2024, 12, 5), "1;5", "1.234.567", "1,234.5",
]  # fmt: skip
ENGLISH = re.compile(r"\b(the|is|it|was|has|a date|number|year|month|or|with|cell|values?|loaded|not)\b")


@pytest.fixture(scope="module")
def breast() -> Study:
    return load_study("breast")


def _problems() -> list[Problem]:
    dates = [DateRules(today=TODAY), DateRules(accept=("YYYY-MM-DD",), precision="day", today=TODAY)]
    numbers = [NumberRules(), NumberRules(integer=True), NumberRules(decimal=(".",)), NumberRules(censored="reject")]
    found = [parse_date(one, rules) for one in DATES for rules in dates]
    found += [parse_number(one, rules) for one in NUMBERS for rules in numbers]  # type: ignore[misc]
    return [one for one in found if isinstance(one, Problem)]


def test_spanish_says_what_english_says_of_dates_and_numbers() -> None:
    spanish, problems = Speech("es"), _problems()
    said = {one.message: spanish.said(one.message) for one in problems}
    assert len(said) >= 18 and len(set(said.values())) == len(said)  # as many sentences as there are in English
    for one in problems:
        for told in (one.message, one.expected, one.suggestion):
            assert not ENGLISH.search(spanish.said(told)), spanish.said(told)


@pytest.mark.parametrize(
    ("sheet", "name", "typed", "spanish"),
    [
        ("demographics", "smoking_status", "yes", "No es uno de los valores de la lista."),
        ("demographics", "height", "1,64", "Fuera del intervalo posible."),
        ("demographics", "weight", "250", "Fuera del intervalo habitual, de 35 a 150 kg; se carga tal cual."),
        ("demographics", "height", "164 kg", "La unidad no es de las que acepta este campo."),
        ("demographics", "patient_id", "AA-11", "El identificador no está escrito como los del estudio."),
        ("demographics", "birth_date", "1961-04", "Se conoce solo el mes; es suficiente."),
    ],
)
def test_spanish_says_what_is_wrong_with_a_cell(sheet: str, name: str, typed: str, spanish: str, breast: Study) -> None:
    outcome = FieldReader(breast, breast.sheet(sheet).fields[name], TODAY).outcome(typed)
    assert isinstance(outcome, Problem | Noted)
    assert Speech("es").said(outcome.message) == spanish


def _finding(breast: Study, sheet: str, name: str, typed: str) -> Finding:
    outcome = FieldReader(breast, breast.sheet(sheet).fields[name], TODAY).outcome(typed)
    assert isinstance(outcome, Problem)
    return Finding(outcome.rule, "error", outcome.message, sheet=sheet, field=name, expected=outcome.expected,
                   suggestion=outcome.suggestion)  # fmt: skip


def test_a_list_is_named_by_what_its_drop_down_shows(breast: Study) -> None:
    """The template offers labels; that the mapping calls a smoker `current` is nothing a nurse has ever seen."""
    one = _finding(breast, "demographics", "sex_at_birth", "femal")
    english, spanish = Voice(Speech(), {}, breast), Voice(Speech("es"), {}, breast)
    assert english.expected(one) == "Female, Male, Other, Unknown"
    assert english.suggestion(one).startswith("Female") and spanish.suggestion(one).startswith("Mujer")
    assert spanish.expected(one) == "Mujer, Varón, Otro, Desconocido"
    assert "value set" not in english.message(one)
    # who reads findings.csv keeps the names of the mapping
    assert one.expected == "female, male, other, unknown" and "value set" in one.message


def test_an_id_is_shown_not_described_by_a_pattern(breast: Study) -> None:
    one = _finding(breast, "demographics", "patient_id", "AA-11")
    assert Voice(Speech(), {}, breast).expected(one) == "an id like AA-12345"
    assert Voice(Speech("es"), {}, breast).expected(one) == "un identificador como AA-12345"


def test_what_was_added_to_a_rules_own_words_is_said_too() -> None:
    messages = {"er-fits": {"en": "ER doesn't fit.", "es": "RE no corresponde."}}
    one = Finding("er-fits", "message", "ER doesn't fit. The site confirmed it.")
    assert Speech("es").message(one, messages) == "RE no corresponde. El centro lo confirmó."
    assert Speech("es").message(replace(one, rule="gap"), {}).endswith("El centro lo confirmó.")


def test_a_site_adds_a_language_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "de.yaml").write_text(
        'report:\n  errors: "Fehler"\nqueries:\n  Answer: "Antwort"\n'
        'findings:\n  "There is no such day.": "Diesen Tag gibt es nicht."\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CASEWEAVE_LANGUAGES", str(tmp_path))
    assert languages() == ["en", "es", "de"]
    german = Speech(require_language("de"))
    assert german("errors") == "Fehler" and german.said("There is no such day.") == "Diesen Tag gibt es nicht."
    assert german("warnings") == "Warnings"  # what it lacks comes in English
    assert phrases("queries")["Answer"]["de"] == "Antwort"
