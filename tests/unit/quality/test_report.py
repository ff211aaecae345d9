"""The report: the worst first, sums that agree, nothing from elsewhere, nothing that names a person."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.unit.quality.planted import PLANTED, planted_form

from caseweave.identity.keyfile import temporary_key
from caseweave.issues import Finding
from caseweave.quality.report import Measures, measure, page
from caseweave.quality.report.cases import BLANK
from caseweave.quality.report.distributions import FEWEST, _codes, _steps, identifying
from caseweave.quality.report.measure import MOST_SITES, OTHERS, _sites
from caseweave.quality.report.pieces import bar, heat, tag
from caseweave.quality.report.shares import Share
from caseweave.quality.rules import read_rules
from caseweave.quality.speech import Speech
from caseweave.run.check import check
from caseweave.run.convert import Conversion, convert
from caseweave.run.handback import report_page
from caseweave.run.pipeline import Options
from caseweave.run.queries import Asked
from caseweave.run.workspace import Workspace
from caseweave.sources import read_sources
from caseweave.spec.loader import load_study
from caseweave.spec.phrases import languages, phrases
from caseweave.terms import open_terms
from caseweave.terms.presence import presence

VOID = {"meta", "rect", "br", "link", "img"}


class Tags(HTMLParser):
    """Checks that tags close in their order, and keeps what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    form = planted_form(tmp_path_factory.mktemp("report") / "site-a.xlsx")
    study = load_study("breast")
    return convert(study, read_sources([form]), key=temporary_key("breast"), terms=open_terms())


@pytest.fixture(scope="module")
def measures(conversion: Conversion) -> Measures:
    return measure(conversion.study, conversion.applied, presence())


def test_the_worst_come_first(measures: Measures) -> None:
    order = [(-one.errors, -one.warnings) for one in measures.patients]
    assert order == sorted(order) and measures.patients[0].errors > 1
    assert sum(one.errors for one in measures.patients) == measures.severities["error"]
    assert len(measures.patients) == 24 and measures.site_patients == (8, 10, 6)


def test_rules_and_sites_add_up(measures: Measures) -> None:
    assert sum(one.count for one in measures.rules) == sum(measures.severities.values())
    kinds = {one.rule: one.category for one in measures.rules}
    assert (kinds["required"], kinds["not-a-date"], kinds["out-of-range"]) == (
        "completeness", "conformance", "plausibility",
    )  # fmt: skip
    for sheet in measures.sheets:
        assert sum(one.whole for one in sheet.sites) == sheet.all.whole
        assert sum(one.part for one in sheet.sites) == sheet.all.part
        for field in sheet.fields:
            assert (sum(one.part for one in field.sites), sum(one.whole for one in field.sites)) == (
                field.all.part,
                field.all.whole,
            )
    assert [sum(counts) for _, counts in measures.timepoints] == [24] * 4
    assert measures.timepoints[3][1][0] == 3


def test_unmapped_values_are_counted_and_not_told(measures: Measures) -> None:
    assert measures.unmapped == (
        ("Demographics", "Sex at birth", 1, 1), ("Diagnosis", "ER status", 1, 1), ("Diagnosis", "Side", 1, 1),
    )  # fmt: skip


def test_the_page_is_whole_and_needs_nothing(conversion: Conversion) -> None:
    html = report_page(conversion, Asked({}, []))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not tags.seen & {"script", "img", "link", "iframe", "object", "src", "href", "onclick"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    worst = html.index("Patients that need work first")
    assert html.index("need work first") < html.index("Completeness") and worst < html.index("By rule".lower())


def test_nothing_in_it_names_a_person_or_was_typed(tmp_path: Path) -> None:
    form = planted_form(tmp_path / "Dr Jekyll.xlsx")
    check(load_study("breast"), [form], Workspace(tmp_path / "ws"), Options(key_file=tmp_path / "k.key"))
    html = (tmp_path / "ws" / "report.html").read_text(encoding="utf-8")
    typed = [value for _, _, _, value in PLANTED if isinstance(value, str)]
    assert [one for one in (*typed, "Jekyll", "AA-0", "BB-0", "CC-0") if one in html] == []
    rows = json.loads((tmp_path / "ws" / "findings.json").read_text(encoding="utf-8"))
    subjects = {row["subject"] for row in rows if row["severity"] == "error" and row["subject"]}
    assert sum(one in html for one in subjects) >= 12


def test_texts_are_escaped(conversion: Conversion, measures: Measures) -> None:
    assert tag("error", "<script>") == '<span class="tag error-tag">&lt;script&gt;</span>'
    evil = Finding(rule="<b>", severity="error", message="<i>", field="<u>", sheet="<s>", cell="A1")
    conversion.applied.findings.append(evil)
    try:
        told = measure(conversion.study, conversion.applied, presence())
    finally:
        conversion.applied.findings.remove(evil)
    html = page(told, conversion.balance, [("<source>", 1)], concepts={"codes": 0, "standard": 0}, queries={},
                made="<now>", checked=True)  # fmt: skip
    assert not re.search(r"<(b|i|u|s|source|now)>(?!\d)", html.replace("<b>20 of", "").replace("<b>", "<x>"))
    assert len(told.nobody) == len(measures.nobody) + 1 and "tied to no patient" in html


def test_a_row_without_id_is_told_with_its_place(conversion: Conversion) -> None:
    """It is lost as a whole and belongs to nobody's line of the list: a count alone wouldn't lead anybody to it."""
    lost = Finding("no-subject", "error", "The row names no patient; it was not loaded.", sheet="diagnosis", cell="A9")
    conversion.applied.findings.append(lost)
    try:
        html = report_page(conversion, Asked({}, []), language="es")
    finally:
        conversion.applied.findings.remove(lost)
    first = html[: html.index("Completitud")]
    assert "Diagnóstico A9" in first and "La fila no tiene identificador; no se cargó." in first


def test_the_page_is_for_keyboards_and_screen_readers(conversion: Conversion) -> None:
    html = report_page(conversion, Asked({}, []))
    assert html.count('<div class="scroll"') == html.count('<div class="scroll" tabindex="0">') > 5
    assert "<th " in html and re.findall(r"<th (?!scope=\"col\")", html) == []
    squares = re.findall(r'<svg class="strip"[^>]*>', html)
    assert squares and all('role="img" aria-label="blank: ' in one for one in squares)
    assert re.findall(r'<tr><td class="mono">[^<]*</td>.*?class="tag error-tag">([^<]*)<', html)[0].count(": ") == 1
    assert "not-in-value-set" not in html[: html.index("Inclusion")]  # where to look says why in words


def test_shares_and_bars() -> None:
    assert [Share(*one).percent for one in ((0, 0), (0, 5), (1, 1000), (999, 1000), (5, 5))] == [None, 0, 1, 99, 100]
    assert "none" in heat(Share(0, 0)) and ">50%<" in heat(Share(1, 2))
    assert bar([(0, "#000"), (0, "#fff")]).count("<rect") == 0


def test_many_sites_are_put_together() -> None:
    names, which = _sites([f"S{n:02d}" for n in range(30)] + ["S01"] * 5)
    assert names[-1] == OTHERS and len(names) == MOST_SITES + 1
    assert which.max() == MOST_SITES and _sites([])[0] == [""]


def test_cases_tell_sheet_and_field(measures: Measures) -> None:
    shares = [one.required.percent for one in measures.patients]
    assert len(measures.cases) == sum(one != 100 for one in shares) and sum(measures.spread) == 24
    first = measures.cases[0]
    assert min(one for one in shares if one is not None) == 89 and BLANK in first.states
    for case in measures.cases:
        # a blank that is named is one of those that are counted
        assert case.states.count(BLANK) <= sum(share.whole - share.part for share in case.sheets)
        assert case.states.count(BLANK) > 0 and len(case.states) == len(measures.fields_asked)
    assert "Date of birth" in measures.fields_asked and "Comments" not in measures.fields_asked


def test_distributions_let_nobody_be_read_off(measures: Measures) -> None:
    assert len(measures.charts) <= 18 and {one.kind for one in measures.charts} == {"codes", "steps"}
    for chart in measures.charts:
        assert all(count == 0 or count >= FEWEST for _, count in chart.bars), chart
    shown = {one.label for one in measures.charts}
    assert "Sex at birth" in shown and not shown & {"Date of birth", "Patient ID", "Date of death", "Comments"}
    hidden = {("demographics", name) for name in ("patient_id", "birth_date", "death_date", "last_contact_date")}
    assert hidden <= identifying(load_study("breast"))
    assert ("demographics", "vital_status") not in identifying(load_study("breast"))
    (side,) = [one for one in measures.charts if one.label == "Side"]
    assert dict(side.bars) == {"Left": 16, "Right": 15}


def test_rare_values_are_put_together_so_that_none_is_told_by_the_sum() -> None:
    many = [(n, "left") for n in range(20)] + [(n, "right") for n in range(20, 30)]
    who, values = (list(one) for one in zip(*many, (30, "both"), strict=True))
    # one alone would be told by the sum, so the next smallest goes with it
    assert bars_of(who, values) == (("left", 20), ("", 11))
    assert bars_of([1, 2, 3], ["a", "a", "b"]) == ()
    assert bars_of([1] * 9, ["a"] * 9) == ()  # nine rows of one patient


def bars_of(who: list[int], values: list[str]) -> tuple[tuple[str, int], ...]:
    names = sorted(set(values))
    return _codes(np.array(who), np.array([names.index(one) for one in values]), names)


def test_a_histogram_is_open_at_its_ends() -> None:
    ages = np.array([float(n) for n in range(40, 80)] * 3 + [12.0, 104.0])
    bars = _steps(np.arange(len(ages)), ages, True)
    assert bars[0][0].startswith("<") and bars[-1][0].startswith("≥")
    assert "12" not in [label for label, _ in bars] and "104" not in [label for label, _ in bars]
    assert sum(count for _, count in bars) == len(ages) and min(count for _, count in bars) >= FEWEST
    # many rows of few patients aren't many patients
    assert _steps(np.zeros(100, dtype=np.int64), np.arange(100.0), True) == ()
    lonely = np.array([1.0] * 8 + [50.0] + [100.0] * 8)
    assert all(count == 0 or count >= FEWEST for _, count in _steps(np.arange(17), lonely, True))


def test_the_page_speaks_the_language(conversion: Conversion) -> None:
    html = report_page(conversion, Asked({}, []), language="es")
    assert '<html lang="es">' in html and "Cáncer de mama" in html
    assert "Pacientes que hay que revisar primero" in html and "Este campo debe rellenarse." in html
    assert "Una localización metastásica exige la extensión metastásica." in html
    for english in ("Where to look", "This field must be filled", "Patients that", ">others<", "Completeness"):
        assert english not in html, english


def test_every_language_says_everything() -> None:
    for section in ("template", "reasons", "units", "report", "nouns", "severities", "statuses", "queries"):
        for key, texts in phrases(section).items():
            assert set(texts) >= set(languages()), (section, key)
            marks = {language: sorted(re.findall(r"{\w+}", text)) for language, text in texts.items()}
            assert len({tuple(one) for one in marks.values()}) == 1, (section, key)


def test_many_patients_make_a_page_of_bounded_size(measures: Measures, conversion: Conversion) -> None:
    html = [
        page(
            dataclasses.replace(measures, patients=measures.patients * times, cases=measures.cases),
            conversion.balance, [("source-1", 1)] * times, concepts={"codes": 0, "standard": 0}, queries={},
            made="now", checked=True,
        )
        for times in (40, 1000)
    ]  # fmt: skip
    assert abs(len(html[1]) - len(html[0])) < 1000 and len(html[1]) < 250_000


CRITERIA = """
study: breast
rules:
  - id: a-woman
    kind: inclusion
    sheet: demographics
    expr: sex_at_birth = "female"
    message: {en: The patient is a woman., es: La paciente es mujer.}
  - id: not-spread
    kind: exclusion
    sheet: diagnosis
    expr: clinical_m = "M0"
    message: {en: The tumour has not spread., es: El tumor no se ha extendido.}
"""


def test_who_belongs_to_the_study(tmp_path: Path, conversion: Conversion) -> None:
    (tmp_path / "rules.yaml").write_text(CRITERIA, encoding="utf-8")
    rules = read_rules(tmp_path / "rules.yaml", conversion.study)
    told = measure(conversion.study, conversion.applied, presence(), Speech("es"), rules)
    found = told.inclusion
    assert found is not None and sum(found.verdicts.values()) == 24
    outside = found.verdicts["excluded"] + found.verdicts["undecided"]
    assert outside == len(found.patients) > 0
    for one in found.criteria:
        named = [verdict for _, _, verdict, why in found.patients if one.rule in why]
        assert (one.broken, one.open) == (named.count("excluded"), named.count("undecided"))
    assert found.criteria[1].broken == 23
    # whose sex nobody could read isn't included
    unread = {
        one.subject for one in conversion.findings if (one.field, one.rule) == ("sex_at_birth", "not-in-value-set")
    }
    assert unread <= {name for name, *_ in found.patients}
    assert (found.criteria[0].rule, found.criteria[0].message) == ("a-woman", "La paciente es mujer.")
    html = page(told, conversion.balance, [], concepts={"codes": 0, "standard": 0}, queries={}, made="now",
                checked=True, speech=Speech("es"))  # fmt: skip
    assert "Inclusión" in html and "El tumor no se ha extendido." in html and next(iter(unread)) in html
    assert "<h2>Inclusion</h2>" in report_page(conversion, Asked({}, []))  # the breast study has criteria of its own
