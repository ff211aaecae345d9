"""Lint proves a study before a patient is read: what loads can still be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from caseweave.plan.lint import LintFinding, Outcome, knowledge, lint
from caseweave.plan.lint.checkdigits import fault, mod10, verhoeff
from caseweave.plan.lint.examples import compare, means
from caseweave.plan.lint.labels import contradiction, level, polarity, tnm
from caseweave.plan.lint.rules import coherence
from caseweave.spec.expression import Expression, parse
from caseweave.spec.loader import list_studies, load_study
from caseweave.spec.models import Example, Study
from caseweave.spec.yamlfile import Real
from caseweave.terms import Display, displays
from caseweave.values.types import Code, Coding, Integer, Missing, PartialDate, Quantity, Text, Value

Edit = Callable[[str, str, str], Study]

DISPLAYS = {
    ("SCT", "373066001"): "Yes", ("SCT", "373067005"): "No", ("SCT", "254637007"): "Non-small cell lung cancer",
    ("LNC", "21665-5"): "EGFR gene mutation", ("LNC", "2039-6"): "Carcinoembryonic Ag", ("LNC",
     "21889-1"): "Size Tumor",
    ("GENDER", "female"): "Female", ("GENDER", "male"): "Male",
}  # fmt: skip


def found(study: Study, run: Callable[[Study, Example], Outcome] | None = None) -> list[LintFinding]:
    known = knowledge(study)
    return lint(study, replace(known, displays={key: Display(text, "test") for key, text in DISPLAYS.items()}), run)


def test_the_small_study_has_no_faults(lung: Path) -> None:
    told = [one.rule for one in found(load_study(lung)) if one.severity != "message"]
    assert told == ["patient-without-birth"]


@pytest.mark.parametrize("name", list_studies())
def test_no_shipped_study_has_errors(name: str) -> None:
    errors = [one for one in lint(load_study(name)) if one.severity == "error"]
    assert [f"{one.place} {one.rule}: {one.message}" for one in errors] == []


SHEET, PATTERN = "diagnosis.yaml", "patterns/marker.yaml"
# (file, old, new, rule, severity, what is said, line)
PLANTED = [
    # fields and conditions
    (SHEET, "  comments:", "  spare: {type: date}\n  comments:", "unused-field", "warning", "'spare' is read", 12),
    (SHEET, "[0, 5.5]", "[0, 95000]", "range-outside-range", "error", "warns at 95000, where 90000", 9),
    (SHEET, '"sex is present"', "\"sex = 'x'\"", "unknown-value", "error", "'x' is no value of 'sex'", 6),
    (SHEET, '"sex is present"', "\"egfr = SCT|1\"", "unknown-value", "error", "SCT|1 is no code of 'egfr'", 6),
    (SHEET, '"sex is present"', "\"sex = 'f' and sex = 'm'\"", "never-holds", "error", "can never hold", 6),
    (SHEET, '"sex is present"', '"cea > 5 and cea < 3"', "never-holds", "error", "can never hold", 6),
    (SHEET, '"sex is present"', '"cea > 100000"', "never-holds", "error", "can never hold", 6),
    (SHEET, '"sex is present"', "\"diagnosis_date < '2020' and diagnosis_date > '2021'\"", "never-holds", "error",
     "never", 6),
    (SHEET, '"sex is present"', "\"cea = 'high'\"", "never-holds", "error", "can never hold", 6),
    (SHEET, '"sex is present"', "\"sex < 'm'\"", "codes-have-no-order", "error", "compared by order", 6),
    (SHEET, '"sex is present"', '"cea is present or not (cea is present)"', "always-holds", "warning",
     "always holds", 6),
    (SHEET, "map: {f: GENDER|female, m: GENDER|male}", "map: {f: GENDER|female}", "table-with-holes", "message",
     "stays empty for m of 'sex'", 14),
    (SHEET, "sex: {field: sex, map: {f: GENDER|female, m: GENDER|male}}", "birth: diagnosis_date",
     "patient-without-sex",
     "warning", "no gender", 14),
    (SHEET, "onset: diagnosis_date}", 'onset: diagnosis_date, key: cea, "fhir.set": {stat: x}}', "fhir-path", "error",
     "Condition has no element 'stat'", 15),
    (SHEET, "onset: diagnosis_date}", 'onset: diagnosis_date, "omop.set": {stop: x}}', "omop-column", "error",
     "condition_occurrence has no column 'stop'", 15),
    # codes
    (SHEET, "SCT|254637007", "SCT|254637008", "bad-code", "error", "the check digit of 254637008 is wrong", 15),
    (SHEET, "SCT|254637007", "SCT|000BAD", "bad-code", "error", "'000BAD' is no SNOMED CT identifier", 15),
    (SHEET, "LNC|2039-6", "LNC|2039-7", "bad-code", "error", "the check digit of 2039-7 is wrong", 10),
    (SHEET, "SCT|254637007", "SCT|999480451000087102", "unknown-code", "error", "nobody here knows", 15),
    (SHEET, "LNC|2039-6", "LNC|21665-5", "one-code-two-variables", "error", "'cea' and 'egfr'", 10),
    ("valuesets/yes-no.yaml", "no: SCT|373067005", "no: SCT|373066001", "one-code-two-values", "warning",
     "told apart", 4),
    # the patterns' FHIR
    (PATTERN, "resourceType: Observation", "resourceType: Observatoin", "fhir-path", "error", "no resource", 6),
    (PATTERN, "  code: $code\n", "  coed: $code\n", "fhir-path", "error", "has no element 'coed'", 8),
    (PATTERN, "  code: $code\n", "  code: [$code, $code]\n", "fhir-cardinality", "error", "holds one value", 8),
    (PATTERN, "status: final", "status: finished", "fhir-binding", "error", "'finished' isn't among", 10),
    (PATTERN, "  code: $code\n", "  effectiveDateTime: $value\n  code: $code\n", "fhir-type", "error",
     "can hold a", None),
    (PATTERN, "  code: $code\n", "  encounter: $of\n  code: $code\n", "fhir-reference", "error",
     "can't refer to 'cancer'", None),
    (PATTERN, "  code: $code\n", "  extension[nonsense-x]: $at\n  code: $code\n", "unknown-extension", "error",
     "nonsense", 8),
    (PATTERN, "  code: $code\n", "  method: $metod\n  code: $code\n", "unknown-slot", "error", "no slot 'metod'", 8),
    (PATTERN, "mcode-tumor-marker-test", "mcode-tumour-marker-test", "unknown-profile", "error", "unknown profile", 7),
    (PATTERN, "  code: $code\n", "  when: yes(status)\n  code: $code\n", "unknown-slot", "error",
     "no slot 'status'", 8),
    (PATTERN, "  code: $code\n", "  when: value = SCT|1 and value = SCT|2\n  code: $code\n", "renders-nothing", "error",
     "never becomes anything in FHIR", None),
    # the profiles that they claim
    (PATTERN, "'value:code|quantity'", "value", "profile-need", "error", "slot 'value' can hold a boolean", 7),
    (PATTERN, "  subject: $subject\n", "", "profile-element", "error", "demands 'subject'", 7),
    (PATTERN, "  category: OBSCAT|laboratory\n", "  category: $of\n", "profile-need", "error",
     "slot 'of' can be absent", 7),
    (PATTERN, "mcode-tumor-marker-test", "mcode-cancer-patient", "profile-type", "error", "is about Patient", 7),
    # the patterns' OMOP
    (PATTERN, "table: measurement", "table: measurements", "omop-table", "error", "has no table 'measurements'", 14),
    (PATTERN, "value: $value}", "value: $value, colour: $value}", "omop-column", "error", "has no column 'colour'", 14),
    (PATTERN, "date: $at, ", "", "omop-required", "error", "wants 'measurement_date', and nothing fills it", 14),
    (PATTERN, "value: $value}", "unit_concept_id: OMOP|no-such, value: $value}", "unknown-code", "error",
     "no convention", 14),
    (PATTERN, "value: $value}", "modifies: $self.twin, value: $value}", "unknown-rendering", "error",
     "names no rendering", 14),
    (PATTERN, "value: $value}", 'value: {expr: "coalesce(valu, at)"}}', "unknown-slot", "error", "no slot 'valu'", 14),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "rule", "severity", "said", "line"), PLANTED,
                         ids=[f"{one[3]}: {one[2].strip()[:40]}" for one in PLANTED])  # fmt: skip
def test_a_planted_fault_is_found_in_its_line(
    edit: Edit, file: str, old: str, new: str, rule: str, severity: str, said: str, line: int | None
) -> None:
    told = found(edit(file, old, new))
    mine = [one for one in told if one.rule == rule and said in one.message]
    assert mine, [f"{one.place} {one.rule}: {one.message}" for one in told]
    assert mine[0].severity == severity
    if line is not None:
        assert mine[0].place == f"lung/{file}:{line}"


def test_a_profile_fixes_its_code(edit: Edit) -> None:
    edit(PATTERN, "mcode-tumor-marker-test: {needs: [at:day, 'value:code|quantity']}",
         "mcode-ecog-performance-status: {needs: [at:day, 'value:integer']}")  # fmt: skip
    told = found(edit(PATTERN, "  code: $code\n", "  code: LNC|85337-4\n"))
    assert any(one.rule == "profile-code" and "fixes 'code' to 89247-1" in one.message for one in told)


def test_errors_come_before_warnings_and_messages(edit: Edit) -> None:
    told = found(edit(SHEET, "  comments:", "  spare: {type: date, required: \"sex = 'x'\"}\n  comments:"))
    assert [one.severity for one in told] == sorted((one.severity for one in told), key="error warning message".index)
    assert {one.severity for one in told} >= {"error", "warning"}


def test_examples_are_run_by_whoever_can(lung: Path) -> None:
    seen: list[Example] = []

    def run(study: Study, example: Example) -> Outcome:
        seen.append(example)
        return Outcome(facts={"egfr": Code((Coding("SCT", "373067005"),), "no")}, findings=("partial-date",))

    told = [one for one in found(load_study(lung), run) if one.rule == "example-fails"]
    assert len(seen) == 1 and {one.place for one in told} == {"lung/diagnosis.yaml:18"}
    assert [one.message for one in told] == [
        "the example fails: 0 Condition in FHIR, expected 1",
        "the example fails: fact 'egfr' is SCT|373067005, expected SCT|373066001",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Code((Coding("SCT", "1"), Coding("LNC", "2")), "pos"), "LNC|2"), (Code((), "pos"), "pos"),
        (Quantity("4.30", "mm"), Real("4.30")), (Quantity("0.1", "g/L", "<"), "<0.1"), (Integer(3), 3),
        (PartialDate("2021-03"), "2021-03"), (Text("x"), "x"), (Missing("unknown", "NA"), "unknown"),
    ],
)  # fmt: skip
def test_an_example_may_call_a_value_as_its_author_does(value: Value, expected: object) -> None:
    assert means(value, expected)
    assert not means(value, "something else")


def test_what_an_example_expects_absent_must_not_be_there() -> None:
    example = Example("x.yaml", 1, {}, facts={"er": "absent", "pr": "pos"}, findings=())
    assert list(compare(example, Outcome(facts={"er": Integer(1)}, findings=("future-date",)))) == [
        "fact 'er' is 1, expected absent", "no fact 'pr', expected pos", "findings are future-date, expected none",
    ]  # fmt: skip


def test_every_listed_code_has_its_check_digit() -> None:
    assert [(key, fault(*key)) for key in displays() if fault(*key)] == []


def test_check_digits_find_every_single_mistyped_digit() -> None:
    for place, digit in enumerate("254637007"):
        for other in set("0123456789") - {digit}:
            mistyped = "254637007"[:place] + other + "254637007"[place + 1 :]
            assert not verhoeff(mistyped)
    assert mod10("16112", "5") and not mod10("16121", "5")


@pytest.mark.parametrize(
    ("label", "display", "against"),
    [
        ("Left", "Left breast structure (body structure)", None),
        ("Left", "Right (qualifier value)", "side left against right"),
        ("Both sides", "Right and left", None), ("Stage IIIA", "c-8th_AJCC/UICC-Stage-3A", None),
        ("G2", "American Joint Committee on Cancer grade G2", None), ("Gx", "grade GX", None),
        ("2+", "3+", "level 2 against 3"), ("Grade I", "Grade 2 on a scale of 1 to 5", "level 1 against 2"),
        ("cT1c", "American Joint Committee on Cancer cT1c", None), ("cT1c", "AJCC/UICC 8th clinical T1 Category", None),
        ("cT1", "American Joint Committee on Cancer cT1c", "T1 against T1c"), ("cT2", "cN2", "T2 against N2"),
        ("cN1", "pN1", "cN against pN"), ("cM0", "cM0", None),
        ("Negative", "Negative (qualifier value)", None), ("no", "Absent (qualifier value)", None),
        ("HER2 positive/HR negative", "Triple negative malignant neoplasm of breast", None),
        ("unknown", "No", "unknown against no"), ("not amplified", "Positive", "no against yes"),
        ("Ductal and other types than lobular cancer", "Infiltrating duct mixed with other types of carcinoma", None),
        ("DCIS", "Infiltrating duct carcinoma, NOS", "invasion in situ against invasive"),
        ("Adjuvant", "Neoadjuvant antineoplastic therapy", "intent adjuvant against neoadjuvant"),
        ("Adenocarcinoma, not otherwise specified", "Adenocarcinoma, NOS", None),
    ],
)  # fmt: skip
def test_a_label_and_a_display_go_together_or_say_why_not(label: str, display: str, against: str | None) -> None:
    assert contradiction(label, display) == against


def test_readings_of_labels() -> None:
    assert tnm("ypTis(DCIS)") == ("yp", "t", "isdcis") and tnm("Stage II") is None and tnm("TNM Finding") is None
    assert [level(text) for text in ("GX", "3", "RCB-II", "Class B", "Child-Pugh A")] == ["x", "3", "2", "b", None]
    assert [polarity(text) for text in ("yes", "no", "not recorded", "Metastasis", "no or yes")] == [
        "yes", "no", "unknown", None, None,
    ]  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A rule of coherence as the validators hold it."""

    expr: Expression
    when: Expression | None = None
    id: str = "a-rule"
    sheet: str = "diagnosis"
    file: str = "rules.yaml"
    line: int = 3


@pytest.mark.parametrize(
    ("expr", "when", "rule", "said"),
    [
        ("cea <= 10", "", "", ""),
        ("sex = 'f'", "egfr = 'yes'", "", ""),
        ("lesion_1_size >= lesion_2_size", "lesion_2_size is present", "", ""),
        ("diagnosis_date <= '2022-01-01'", "", "", ""),
        ("diagnosis.cea < 10", "", "", ""),
        ("cea <= 13 and cea >= 31", "", "rule-decides-nothing", "can never be kept"),
        ("cea <= 90000", "cea is present", "rule-decides-nothing", "can never be broken"),
        ("sex = 'f'", "sex = 'm'", "rule-decides-nothing", "can never be kept"),
        ("egfr = 'oui'", "", "unknown-value", "'oui' is no value of 'egfr'"),
        ("sex >= 'f'", "", "codes-have-no-order", "compared by order"),
    ],
)
def test_rules_of_coherence_can_be_kept_and_broken(lung: Path, expr: str, when: str, rule: str, said: str) -> None:
    given = Rule(parse(expr, "rules.yaml", 3), parse(when, "rules.yaml", 3) if when else None)
    told = list(coherence(knowledge(load_study(lung)), [given]))
    assert [one.rule for one in told] == ([rule] if rule else [])
    assert all(said in one.message and one.place == "rules.yaml:3" for one in told)
