"""Every kind of rule, named after it: a row that keeps it, one that breaks it, and one of which it can't be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.quality.small import Row, judged, small_study, told

from caseweave.errors import MappingError
from caseweave.quality.criteria import Eligibility, eligibility
from caseweave.quality.kinds import CATEGORIES, DIMENSIONS, KINDS
from caseweave.quality.rules import read_rules, rules_of
from caseweave.run.prove import prove
from caseweave.spec.loader import list_studies, load_study
from caseweave.terms.presence import presence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_study(tmp_path)


def test_coherence(folder: Path) -> None:
    rule = "  - {id: sum, sheet: patients, when: score is present, expr: score = primary + secondary, message: No sum.}"
    rows: list[Row] = [{"score": 7, "primary": 3, "secondary": 4}, {"score": 8, "primary": 3, "secondary": 4}]
    assert told(judged(folder, rule, rows)) == [("sum", "C3")]
    # what can't be told isn't kept: a pattern is missing
    assert told(judged(folder, rule, [{"score": 7, "primary": 3, "secondary": None}])) == [("sum", "C2")]


def test_coherence_of_sex_and_organ(folder: Path) -> None:
    rule = """\
  - id: organ
    sheet: patients
    mark: organ
    when: sex is present and organ is present
    expr: not (organ = "prostate" and sex = "f") and not (organ in ("ovary", "uterus") and sex = "m")
    message: Not of this sex."""
    rows: list[Row] = [
        {"sex": "m", "organ": "prostate"},
        {"sex": "m", "organ": "uterus"},
        {"sex": None, "organ": "ovary"},
    ]
    assert told(judged(folder, rule, rows)) == [("organ", "C3")]


def test_coherence_across_sheets_and_rows(folder: Path) -> None:
    rule = """\
  - id: seen
    sheet: patients
    mark: death
    when: death is present and latest(visits.visit) is present
    expr: latest(visits.visit) <= death
    message: Seen after death.
  - id: never-seen
    sheet: patients
    severity: warning
    mark: patient_id
    expr: count(visits.visit) >= 1
    message: No visit."""
    patients: list[Row] = [{"death": "2021-05-01"}, {"death": "2021-05-01"}, {"death": "2021-05-01"}, {"death": None}]
    visits: list[Row] = [
        {"patient_id": "AA-1", "number": 1, "visit": "2021-04-30"},
        {"patient_id": "AA-2", "number": 1, "visit": "2021-04-30"},
        {"patient_id": "AA-2", "number": 2, "visit": "2021-05-02"},
        # which is the latest can't be told
        {"patient_id": "AA-3", "number": 1, "visit": "2021-06-15"},
        {"patient_id": "AA-3", "number": 2, "visit": "2021-06"},
    ]
    assert told(judged(folder, rule, patients, visits)) == [("seen", "B3"), ("never-seen", "A5")]


def test_required(folder: Path) -> None:
    rule = (
        '  - {id: needs, kind: required, sheet: patients, when: sex = "m", fields: [psa, grade], '
        'message: "{field} lacks."}'
    )
    rows: list[Row] = [
        {"sex": "m", "psa": 4, "grade": 1},
        {"sex": "m", "psa": None, "grade": "NA"},  # a missing code says why
        {"sex": "m", "psa": "?", "grade": 1},  # typed, and rejected already
        {"sex": "f", "psa": None, "grade": None},
        {"sex": None, "psa": None, "grade": None},  # whether it is needed isn't known
    ]
    made = judged(folder, rule, rows)
    assert told(made) == [("needs.psa", "C3")]
    (finding,) = [one for one in made.findings if one.rule == "needs.psa"]
    assert (finding.message, finding.expected) == ("psa lacks.", "a value or a missing code")


def test_range(folder: Path) -> None:
    rule = "  - {id: psa, kind: range, sheet: patients, fields: psa, between: [0, 100], message: Far off.}"
    rows: list[Row] = [{"psa": 100}, {"psa": 100.1}, {"psa": None}, {"psa": "<0.1"}, {"psa": ">50"}]
    made = judged(folder, rule, rows)
    assert told(made) == [("psa", "B3")]
    assert next(one.expected for one in made.findings if one.rule == "psa") == "0 to 100 ng/mL"


def test_range_of_a_likelier_unit(folder: Path) -> None:
    """Ordinary when taken as micrograms per litre by mistake: what is implausible in a unit is a range of its own."""
    rule = (
        "  - {id: in-pounds, kind: range, sheet: patients, severity: warning, fields: weight, "
        "between: [35, 150], message: Pounds?}"
    )
    assert told(judged(folder, rule, [{"weight": 81}, {"weight": 178}, {"weight": None}])) == [("in-pounds", "B3")]


def test_order(folder: Path) -> None:
    rule = (
        "  - {id: time, kind: order, sheet: patients, fields: [birth, diagnosis, visits.visit, "
        "death], message: Not in order.}"
    )
    patients: list[Row] = [
        {"birth": "1950", "diagnosis": "2020-03-01", "death": "2021"},
        {"birth": "1950", "diagnosis": "2020-03-01", "death": "2020-02"},
        {"birth": "1950", "diagnosis": "2020-03-20", "death": "2020-03"},  # before or after the 20th
        {"birth": "2021", "diagnosis": "2020-03-01", "death": None},
        {"birth": "1950", "diagnosis": "2020-07-01", "death": "2021"},
    ]
    visits: list[Row] = [{"patient_id": "AA-5", "number": 1, "visit": "2020-06-30"}]
    found = told(judged(folder, rule, patients, visits))
    assert sorted(found) == [("time.death", "D3"), ("time.diagnosis", "C5"), ("time.diagnosis", "C6")]


def test_table(folder: Path) -> None:
    rule = """\
  - id: isup
    kind: table
    sheet: patients
    table: isup-2014
    columns: {primary: primary, secondary: secondary, grade: grade}
    message: Not the grade of the patterns."""
    rows: list[Row] = [
        {"primary": 4, "secondary": 3, "grade": 3},
        {"primary": 3, "secondary": 4, "grade": 3},
        {"primary": 2, "secondary": 3, "grade": 5},  # not in the table
        {"primary": 3, "secondary": None, "grade": 5},
        {"primary": 5, "secondary": 5, "grade": None},
    ]
    assert told(judged(folder, rule, rows)) == [("isup", "D3")]


def test_unique(folder: Path) -> None:
    rule = "  - {id: biopsy, kind: unique, sheet: patients, fields: biopsy, message: Twice.}"
    rows: list[Row] = [{"biopsy": "B1"}, {"biopsy": "B2"}, {"biopsy": "B1"}, {"biopsy": None}, {"biopsy": "NA"}]
    made = judged(folder, rule, [*rows, {"biopsy": "NA"}])
    assert told(made) == [("biopsy", "B2"), ("biopsy", "B4")]
    assert [one.suggestion for one in made.findings if one.rule == "biopsy"] == [
        "Compare patients!B4.",
        "Compare patients!B2.",
    ]


def test_unique_within_a_patient(folder: Path) -> None:
    visits: list[Row] = [
        {"patient_id": who, "number": n, "visit": day}
        for who, n, day in (("AA-1", 1, "2020-01-01"), ("AA-1", 2, "2020-01-01"), ("AA-2", 1, "2020-01-01"))
    ]
    rule = "  - {{id: day, kind: unique, sheet: visits, by: {}, fields: visit, message: Twice.}}"
    assert told(judged(folder, rule.format("patient"), [{}, {}], visits)) == [("day", "C2"), ("day", "C3")]
    # of two patients each is told; the two rows of one don't count against each other
    assert told(judged(folder, rule.format("study"), [{}, {}], visits)) == [("day", "C2"), ("day", "C3"), ("day", "C4")]
    assert told(judged(folder, rule.format("study"), [{}], visits[:2])) == []


def test_share(folder: Path) -> None:
    rule = '  - {id: full, kind: share, sheet: patients, when: sex = "m", fields: psa, least: 0.8, message: Too few.}'
    rows: list[Row] = [
        {"patient_id": f"{site}-{n}", "sex": "m", "psa": n if n < filled else None}
        for site, filled in (("AA", 8), ("BB", 7))
        for n in range(10)
    ]
    # not asked of women; and nine rows are too few to judge a site by
    rows += [{"patient_id": f"AA-9{n}", "sex": "f", "psa": None} for n in range(5)]
    rows += [{"patient_id": f"CC-{n}", "sex": "m", "psa": None} for n in range(9)]
    made = judged(folder, rule, rows)
    (finding,) = [one for one in made.findings if one.rule == "full"]
    assert (finding.message, finding.severity, finding.cell, finding.subject) == ("Too few.", "warning", "", "")
    assert finding.expected == "at least 80 %; 7/10 rows (70 %) at site BB"


def test_outlier(folder: Path) -> None:
    rule = "  - {id: far, kind: outlier, sheet: patients, fields: weight, message: Far.}"
    usual: list[Row] = [{"weight": 60 + n} for n in range(20)]
    made = judged(folder, rule, [*usual, {"weight": 180}, {"weight": None}, {"weight": ">300"}])
    # median 70, median distance 5: 0.6745 x 110 / 5 is 14.8, and 3.5 is reached at 44 and at 96
    assert told(made) == [("far", "B22")]
    (finding,) = [one for one in made.findings if one.rule == "far"]
    assert (finding.severity, finding.expected) == ("message", "usually 44.05 to 95.95")
    # fewer than ten, or values that are all the same, have no outliers
    assert told(judged(folder, rule, [*usual[:8], {"weight": 180}])) == []
    assert told(judged(folder, rule, [*([{"weight": 70}] * 12), {"weight": 180}])) == []


CRITERIA = """\
  - {id: men, kind: inclusion, sheet: patients, mark: sex, expr: 'sex = "m"', message: A man.}
  - id: followed-12-months
    kind: inclusion
    sheet: patients
    mark: diagnosis
    expr: death is present or months_between(earliest(visits.treatment), latest(visits.visit)) >= 12
    message: Followed for 12 months after treatment.
  - id: huge
    kind: exclusion
    sheet: patients
    mark: weight
    when: weight is present
    expr: weight > 150
    message: Heavy."""


def verdicts(folder: Path, patients: list[Row], visits: list[Row] | None = None) -> list[Eligibility]:
    made = judged(folder, CRITERIA, patients, visits)
    assert told(made) == []  # a criterion is no fault of the data
    return eligibility(rules_of(made.study), made.applied.sheets, presence(), made.applied.subjects.sites)


def test_inclusion(folder: Path) -> None:
    visits: list[Row] = [
        {"patient_id": "AA-1", "number": 1, "treatment": "2020-01-10", "visit": "2020-01-10"},
        {"patient_id": "AA-1", "number": 2, "treatment": None, "visit": "2021-01-10"},
        {"patient_id": "AA-2", "number": 1, "treatment": "2020-01-10", "visit": "2021-01-09"},
        {"patient_id": "AA-3", "number": 1, "treatment": "2020", "visit": "2021-01-09"},
    ]
    patients: list[Row] = [
        {"sex": "m"},
        {"sex": "m"},
        {"sex": "m"},
        {"sex": "m", "death": "2020-02"},
        {"sex": None},
        {"sex": "f"},
    ]
    found = verdicts(folder, patients, visits)
    assert [(one.verdict, one.reasons) for one in found] == [
        ("included", ()),
        ("excluded", ("followed-12-months",)),
        ("undecided", ("followed-12-months",)),
        ("included", ()),
        ("undecided", ("men", "followed-12-months")),
        ("excluded", ("men",)),
    ]
    assert {one.site for one in found} == {"AA"}


def test_exclusion(folder: Path) -> None:
    patients: list[Row] = [{"sex": "m", "death": "2020", "weight": one} for one in (150, 151, ">100", None)]
    assert [(one.verdict, one.reasons) for one in verdicts(folder, patients)] == [
        ("included", ()),
        ("excluded", ("huge",)),
        ("undecided", ("huge",)),
        ("included", ()),  # not asked
    ]


def test_an_error_rejects_the_marked_cell_and_a_warning_does_not(folder: Path) -> None:
    rule = (
        "  - {{id: late, kind: order, sheet: patients, severity: {}, mark: birth, fields: [birth, "
        "diagnosis], message: Late.}}"
    )
    rows: list[Row] = [{"sex": "m", "birth": "2021-01-01", "diagnosis": "2020-01-01"}]
    kept, rejected = (judged(folder, rule.format(severity), rows) for severity in ("warning", "error"))
    births = []
    for one in (kept, rejected):
        (patient,) = one.applied.facts.batches
        births.append([str(patient.slots["birth"].values[code]) for code in patient.slots["birth"].codes])
    assert "2021-01-01" in births[0][0] and births[1] == ["None"]
    assert (kept.balance["rejected"], rejected.balance["rejected"]) == (0, 1)
    assert kept.balance["cells"] == rejected.balance["cells"] == 4


def test_rules_that_repeat(folder: Path) -> None:
    rule = """\
  - id: $i-after-$before
    repeat: {i: [2]}
    kind: order
    sheet: patients
    fields: [birth, diagnosis]
    message: Rule $i."""
    made = judged(folder, rule, [{"birth": "2021", "diagnosis": "2020"}])
    assert [one.message for one in made.findings if one.rule == "2-after-1"] == ["Rule 2."]


def test_a_message_names_the_place_and_never_the_value(folder: Path) -> None:
    rule = "  - {{id: psa, kind: range, sheet: patients, fields: psa, between: [0, 9], message: 'See {}.'}}"
    made = judged(folder, rule.format("{place}"), [{"psa": 77}])
    assert [one.message for one in made.findings if one.rule == "psa"] == ["See patients!B2."]
    with pytest.raises(MappingError, match=r"the message names \{found\}"):
        judged(folder, rule.format("{found}"), [{"psa": 77}])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{kind: range, fields: psa}", "a rule of kind 'range' without 'between'"),
        ("{kind: range, fields: psa, between: [1, 2], expr: psa > 1}", "a rule of kind 'range' has no 'expr'"),
        ("{kind: range, fields: sex, between: [1, 2]}", "'sex' is of type code"),
        ("{kind: range, fields: psa, between: [null, null]}", "a range without an end"),
        ("{kind: order, fields: [birth, psa]}", "'psa' is of type number.*asks for date"),
        ("{kind: order, fields: [birth]}", "an order needs two dates"),
        ("{kind: table, table: isup, columns: {a: psa}}", "unknown table 'isup'.*isup-2014"),
        ("{kind: table, table: isup-2014, columns: {primary: primary}}", "has the columns primary, secondary, grade"),
        ("{kind: table, table: ajcc7-hcc, columns: {T: sex, N: sex, M: sex, stage: sex}}", "can hold nothing of table"),
        ("{kind: unique, fields: visits.visit}", "'visits.visit' is no field of sheet 'patients'"),
        ("{kind: share, fields: psa, least: 90}", "a share of 90.*0.9"),
        ("{kind: outlier, fields: birth}", "'birth' is of type date"),
        ("{kind: coherence, expr: latest(visits.number) > 1, mark: psa}", "'visits.number' is no date"),
        ("{kind: coherence, expr: latest(visits.vist) > birth}", "unknown field 'visits.vist'"),
        ("{kind: coherence, expr: latest(1) > birth}", "latest.. asks for a field"),
        ("{kind: sometimes, expr: psa > 1}", "expected one of"),
    ],
)
def test_what_a_kind_asks_for(folder: Path, rule: str, said: str) -> None:
    with pytest.raises(MappingError, match=said):
        judged(folder, f"  - {{id: a, sheet: patients, message: A, {rule[1:]}", [{}])


def test_every_kind_says_where_it_belongs() -> None:
    assert all(kind.category in CATEGORIES and kind.dimension in DIMENSIONS for kind in KINDS.values())


@pytest.mark.parametrize("name", sorted(list_studies()))
def test_the_rules_of_every_study_have_kind_category_and_dimension(name: str) -> None:
    for rule in rules_of(load_study(name)):
        assert (rule.kind in KINDS, rule.category in CATEGORIES, rule.dimension in DIMENSIONS) == (True, True, True)
        assert (rule.expr is None) == (KINDS[rule.kind].rows == "together")


def test_category_and_dimension_may_be_given(folder: Path, tmp_path: Path) -> None:
    rule = (
        "  - {id: a, sheet: patients, expr: psa > 1, category: conformance, dimension: integrity, "
        "source: 'A paper', message: A}"
    )
    made = judged(folder, rule, [{}])
    (one,) = read_rules(folder / "rules.yaml", made.study)
    assert (one.category, one.dimension, one.source) == ("conformance", "integrity", "A paper")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("kind: range, fields: psa, between: [0, 100]", ""),
        # the mapping itself takes nothing from 150 kg on
        ("kind: range, fields: weight, between: [0, 200]", "rule 'a' can never be broken"),
        ("kind: range, fields: weight, between: [300, 400]", "rule 'a' can never be kept"),
        ("kind: required, fields: grade, when: 'sex = \"m\"'", ""),
        ("kind: order, fields: [birth, diagnosis]", ""),
        ("kind: order, fields: [birth, birth]", "rule 'a' can never be broken"),
        ("kind: inclusion, mark: sex, expr: count(visits.visit) >= 2", ""),
        ("kind: inclusion, mark: sex, expr: count(visits.visit) < 0", "rule 'a' can never be kept"),
        ("kind: exclusion, expr: 'sex = \"x\"'", "'x' is no value of 'sex'"),
        ("kind: unique, fields: biopsy", ""),
    ],
)
def test_lint_proves_rules_of_every_kind(folder: Path, rule: str, said: str) -> None:
    text = (folder / "patients.yaml").read_text(encoding="utf-8")
    limited = text.replace("unit: kg}", "unit: kg, range: {error: [1, 150]}}")
    (folder / "patients.yaml").write_text(limited, encoding="utf-8")
    rules = f"study: prostate\nrules:\n  - {{id: a, sheet: patients, message: A, {rule}}}\n"
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    errors = [one.message for one in prove(str(folder)) if one.severity == "error" and one.file.endswith("rules.yaml")]
    assert [said in one for one in errors] == ([True] if said else [])
