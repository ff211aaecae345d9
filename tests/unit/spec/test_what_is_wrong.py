"""Every mistake in a mapping names file and line, and says what would be valid there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caseweave.errors import MappingError
from caseweave.spec.loader import load_pattern, load_study
from caseweave.spec.models import Study

Edit = Callable[[str, str, str], Study]

SHEET = "diagnosis.yaml"
# (file, what stands there, what is written instead, line, problem, way out)
MISTAKES = [
    # study.yaml
    ("study.yaml", "sheets:", "sheet:", 7, "unknown key 'sheet'", "Did you mean 'sheets'?"),
    ("study.yaml", "sheets: [diagnosis]\n", "", 1, "a study without 'sheets'", "Add 'sheets'"),
    ("study.yaml", "[diagnosis]", "[diagnoses]", 7, "sheet 'diagnoses' has no file", "Did you mean 'diagnosis'?"),
    ("study.yaml", "[diagnosis]", "[diagnosis, diagnosis]", 7, "stands here twice", "Keep one"),
    ("study.yaml", "[diagnosis]", "[../diagnosis]", 7, "expected the key of a sheet", "Write the key of a sheet"),
    ("study.yaml", "study: lung", "study: Lung Cancer", 1, "expected a name of small letters", "Write a name"),
    ("study.yaml", "order: YMD", "order: YDM", 4, "expected one of YMD, DMY, MDY", "Did you mean 'YMD'"),
    ("study.yaml", '"YYYY-MM"', '"YYYY-MM-TT"', 4, "isn't a date format", "DD.MM.YYYY"),
    ("study.yaml", "not-applicable", "not-applicabel", 5, "found 'not-applicabel'", "Did you mean 'not-applicable'?"),
    ("study.yaml", "emit: true", "emit: yes", 5, "expected true or false, found 'yes'", "Write true or false"),
    ("study.yaml", "en: Lung", "english: Lung", 3, "'english' is no language", "en, es"),
    ("study.yaml", "sheets:", "site: {field: hospital}\nsheets:", 7, "unknown field 'hospital'", "patient_id"),
    ("study.yaml", "sheets:", "anchor: {date: 2000-13-01}\nsheets:", 7, "'2000-13-01' is no day", "YYYY-MM-DD"),
    ("study.yaml", "sheets:", "anchor: {date: 2000-01-01, age: ag}\nsheets:", 7, "unknown field 'ag'", "Valid here"),
    ("study.yaml", "sheets:", "ignore_sheets: {Diagnosis: notes}\nsheets:", 7, "is ignored and is sheet", "Keep one"),
    # fields
    (SHEET, "type: number, unit: ng/mL", "typ: number, unit: ng/mL", 9, "unknown key 'typ'", "Did you mean 'type'?"),
    (SHEET, "type: number, unit: ng/mL", "type: numeric, unit: ng/mL", 9, "found 'numeric'", "number"),
    (SHEET, "type: number, unit: ng/mL", "unit: ng/mL", 9, "field 'cea' without a type", "Add type"),
    (SHEET, "values: sex", "values: sexes", 5, "unknown value set 'sexes'", "Did you mean 'sex'?"),
    (SHEET, "{type: code, values: sex", "{type: code", 5, "names no value set", "has `values`"),
    (SHEET, "{type: code, values: sex", "{type: text, values: sex", 5, "names a value set", "has `values`"),
    (SHEET, "type: date,", "type: date, unit: mm,", 6, "is of type date and has 'unit'", "goes with number, integer"),
    (SHEET, "unit: mm, accept: {cm: 10}", "accept: {cm: 10}", 11, "has none of its own", "Add 'unit'"),
    (SHEET, "accept: {cm: 10}", "accept: {cm: 0}", 11, "the factor of 'cm' is 0", "Give the factor"),
    (SHEET, "accept: {cm: 10}", "accept: {cm: ten}", 11, "expected a number, found 'ten'", "Write a number"),
    (SHEET, "[0, 5.5]", "[6, 5.5]", 9, "the least, 6, is more than the most, 5.5", "Swap them"),
    (SHEET, "[0, 5.5]", "[0]", 9, "expected [least, most]", "Write [least, most]"),
    (SHEET, "'[A-Z]{2}-\\d{5}'", "'[A-Z'", 4, "is no regular expression", "Python's re"),
    (SHEET, '"sex is present"', '"sx is present"', 6, "unknown field 'sx'", "Did you mean 'sex'?"),
    (SHEET, '"sex is present"', '"sex is there"', 6, "column 8: expected 'present' or 'missing'", "is present"),
    (SHEET, "{i: 1..3, gaps: error}", "{i: 3..1}", 11, "0 repeats", "the first before the last"),
    (SHEET, "{i: 1..3, gaps: error}", "{i: many}", 11, "expected a range, found 'many'", "1..3"),
    (SHEET, "{i: 1..3, gaps: error}", "{i: 1..3, gaps: never}", 11, "found 'never'", "error"),
    (SHEET, "{i: 1..3, gaps: error}", "{n: 1..3}", 11, "has no $n in its name", "_$n"),
    (SHEET, "lesion_$i_size: {repeat", "lesion_2_size: {type: text}\n  lesion_$i_size: {repeat", 12,
     "stands here twice",
     "rename one"),
    (SHEET, "comments: ", "comments: {type: text}\n  CEA: ", 13, "the header 'CEA' means both 'cea' and 'CEA'", "once"),
    (SHEET, "comments:  ", "free-text:  ", 12, "'free-text' can't be the name of a field", "as 'column'"),
    (SHEET, "{ignore: ", "{means: {pattern: marker}, ignore: ", 12, "is ignored and means something", "Keep"),
    (SHEET, "role: subject, ", "", 1, "has one field with role: subject, here no field", "Give the role"),
    (SHEET, "{type: code, values: sex", "{role: subject, type: code, values: sex", 1,
     "here 'patient_id', 'sex'", "role"),
    (SHEET, "unit: ng/mL,", "unit: ng/mL, unit_field: cea_unit,", 9, "unknown field in unit_field 'cea_unit'", "cea"),
    # sheets
    (SHEET, "sheet: Diagnosis\n", "", 1, "a sheet without 'sheet'", "the tab's name"),
    (SHEET, "header:", "heading:", 2, "unknown key 'heading'", "Did you mean 'header'?"),
    (SHEET, "header:", "key: [visit]\nheader:", 1, "unknown field in key 'visit'", "patient_id"),
    (SHEET, "header:", "join: {with: outcome, on: sex}\nheader:", 1, "unknown sheet to join 'outcome'", "none"),
    # statements
    (SHEET, "pattern: cancer,", "pattern: cancr,", 15, "unknown pattern 'cancr'", "Did you mean 'cancer'?"),
    (SHEET, "{pattern: cancer,", "{", 15, "a statement without 'pattern'", "Add 'pattern'"),
    (SHEET, "onset: diagnosis_date", "onset: diagnosis_day", 15, "unknown field 'diagnosis_day'", "'diagnosis_date'"),
    (SHEET, "onset: diagnosis_date", "begin: diagnosis_date", 15, "unknown slot of pattern 'cancer' 'begin'", "onset"),
    (SHEET, "onset: diagnosis_date", "onset: comments", 15, "field 'comments' is ignored", "Give it a type"),
    (SHEET, "onset: diagnosis_date", "onset: cea", 15, "slot 'onset' can't be filled from field 'cea'", "It takes day"),
    (SHEET, "onset: diagnosis_date", 'onset: "2021"', 15, "can't be filled from a literal text", "It takes day"),
    (SHEET, "{pattern: cancer, code: SCT|254637007,", "{pattern: cancer,", 15,
     "pattern 'cancer' needs 'code'", "Fill it"),
    (SHEET, "SCT|254637007", "SNOMED|254637007", 15, "unknown code system 'SNOMED'", "Valid here"),
    (SHEET, "SCT|254637007", "254637007x", 15, "unknown field '254637007x'", "Valid here"),
    (SHEET, "LNC|21665-5", "SCT|", 8, "unknown field 'SCT|'", "Valid here"),
    (SHEET, "of: cancer, size", "of: cncer, size", 16, "unknown statement 'cncer'", "Did you mean 'cancer'?"),
    (SHEET, "of: cancer, size", "of: patient, size", 16, "can't link to 'patient'", "of pattern cancer"),
    (SHEET, "of: cancer, size", "of: SCT|1, size", 16, "links to a fact and takes nothing else", "of pattern cancer"),
    (SHEET, "for: i, of", "for: k, of", 16, "'for: k' and no slot names a repeated field", "no fields"),
    (SHEET, "for: i, of", "of", 16, "unknown field 'lesion_$i_size'", "lesion_1_size"),
    (SHEET, "map: {f:", "map: {F:", 14, "unknown value of value set 'sex' 'F'", "Valid here: f, m"),
    (SHEET, "{field: sex, map:", "{feld: sex, map:", 14, "unknown key 'feld'", "Did you mean 'field'?"),
    (SHEET, "GENDER|female", "female", 14, "expected a code, a number or a text in quotes", "SYSTEM|code"),
    (SHEET, "onset: diagnosis_date}", "when: cea >, onset: diagnosis_date}", 15, "found the end", "a name"),
    (SHEET, "onset: diagnosis_date}", 'when: "ca = 1", onset: diagnosis_date}', 15, "unknown field 'ca'", "cea"),
    (SHEET, "onset: diagnosis_date}", "key: [tumour], onset: diagnosis_date}", 15, "unknown field 'tumour'", "Valid"),
    (SHEET, "onset: diagnosis_date}", "without: omop, onset: diagnosis_date}", 15, "needs a reason", "because"),
    (SHEET, "  cancer: {", "  cea: {", 15, "statement 'cea' is called like a field", "Rename"),
    (SHEET, "  patient: {pattern: patient, sex: {field: sex, map: {f: GENDER|female, m: GENDER|male}}}\n", "", None,
     "no statement is of pattern 'patient'", "Add one"),
    (SHEET, "  cancer: {", "  person: {pattern: patient}\n  cancer: {", 15,
     "2 statements are of pattern 'patient'", "Keep"),
    # examples
    (SHEET, "  - row:", "  - line:", 18, "unknown key 'line'", "row"),
    (SHEET, "expect: {facts", "expect: {fact", 19, "unknown key 'fact'", "Did you mean 'facts'?"),
    # value sets
    ("valuesets/sex.yaml", "label: Male", "lable: Male", 2, "unknown key 'lable'", "Did you mean 'label'?"),
    ("valuesets/sex.yaml", "aliases: [woman]", "aliases: [woman, W]}, W: {aliases: [woman]", 2,
     "'woman' means both", "one"),
    ("valuesets/sex.yaml", "valueset: sex", "valueset: gender", 1, "calls itself 'gender'", "one name"),
    ("valuesets/yes-no.yaml", "SCT|373067005", "373067005", 4, "expected a code", "SYSTEM|code"),
    ("valuesets/yes-no.yaml", "no: SCT|373067005", "no:", 4, "value 'no' says nothing", "or {} where it has none"),
    ("valuesets/yes-no.yaml", "missing: unknown", "missing: unknwn", 5, "found 'unknwn'", "Did you mean 'unknown'"),
    ("valuesets/yes-no.yaml", "missing: unknown", "missing: unknown, code: SCT|1", 5, "has a code and says", "Keep"),
    # patterns
    ("patterns/cancer.yaml", "about: A cancer.\n", "", 1, "a pattern without 'about'", "Add 'about'"),
    ("patterns/cancer.yaml", "code: required", "code: needed", 3, "expected one of required, optional", "required"),
    ("patterns/cancer.yaml", "kind: date", "kind: day or month", 3, "found 'day or month'", "day"),
    ("patterns/cancer.yaml", "resourceType: Condition, ", "", 4, "a FHIR rendering without 'resourceType'", "Add"),
    ("patterns/cancer.yaml", "table: condition_occurrence, ", "", 5, "an OMOP rendering without 'table'", "Add"),
    ("patterns/lesion.yaml", "because: only a test\n", "", 5, "'omop: none' without a reason", "because"),
    ("patterns/marker.yaml", "from: value", "from: values", 4, "unknown slot 'values'", "Did you mean 'value'?"),
    ("patterns/marker.yaml", "at:day", "at:dy", 7, "unknown kind 'dy'", "Did you mean 'day'"),
    ("patterns/marker.yaml", "code: required", "subject: required, code: required", 3,
     "can't be called 'subject'", "taken"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "line", "problem", "way_out"), MISTAKES, ids=[m[4] for m in MISTAKES])
def test_a_mistake_is_told_with_its_place(
    edit: Edit, file: str, old: str, new: str, line: int | None, problem: str, way_out: str
) -> None:
    with pytest.raises(MappingError) as caught:
        edit(file, old, new)
    [error] = [one for one in caught.value.each if problem in one.message]
    assert way_out in error.way_out, str(error)
    if line is not None:
        assert (error.data["file"], error.data["line"]) == (f"lung/{file}", line)
    # what follows from a mistake isn't told as another one
    others = [str(one) for one in caught.value.each if one is not error]
    assert all("unknown statement 'cancer'" in one for one in others) if "is called like" in problem else not others


def test_a_dozen_mistakes_are_told_at_once_each_with_its_place(lung: Path) -> None:
    planted = {
        "study.yaml": [("order: YMD", "order: YDM"), ("emit: true", "emit: yes")],
        "diagnosis.yaml": [
            ("header:", "heading:"),
            ("{type: code, values: sex", "{type: code, values: sexes"),
            ("type: date, required", "type: date, requird"),
            ("type: number, unit: ng/mL", "typ: number, unit: ng/mL"),
            ("accept: {cm: 10}", "accept: {cm: ten}"),
            ("SCT|254637007", "SNOMED|254637007"),
            ("onset: diagnosis_date", "begin: diagnosis_date"),
            ("- row:", "- line:"),
        ],
        "valuesets/yes-no.yaml": [("SCT|373067005", "373067005"), ("missing: unknown", "missing: unknwn")],
    }
    for name, edits in planted.items():
        text = (lung / name).read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text, (name, old)
            text = text.replace(old, new, 1)
        (lung / name).write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_study(lung)
    told = caught.value.each
    assert len(told) == sum(map(len, planted.values())), str(caught.value)
    assert len(str(caught.value).splitlines()) == len(told) + 2
    assert all(one.way_out and one.data["line"] for one in told)
    assert caught.value.exit_code == 2


def test_links_never_run_in_a_circle(lung: Path, edit: Edit) -> None:
    pattern = lung / "patterns" / "cancer.yaml"
    text = pattern.read_text(encoding="utf-8")
    pattern.write_text(text.replace("code: required", "code: required, from: {fact: cancer}"), encoding="utf-8")
    with pytest.raises(MappingError, match=r"links in a circle: diagnosis\.cancer -> diagnosis.cancer"):
        edit(SHEET, "onset: diagnosis_date}", "from: cancer, onset: diagnosis_date}")


def test_timepoints_are_those_of_the_study(lung: Path, edit: Edit) -> None:
    (lung / "valuesets" / "visit.yaml").write_text(
        "values:\n  d: {label: Diagnosis}\n  f: {label: Follow up}\n", encoding="utf-8"
    )
    with pytest.raises(MappingError) as caught:
        edit(SHEET, "  comments:", "  visit: {type: code, values: visit, role: timepoint}\n  comments:")
    assert "value 'f' of timepoint 'visit' is no timepoint" in str(caught.value)
    assert caught.value.data["line"] == 3 and "Diagnosis, Follow-up" in caught.value.way_out


def test_a_sheet_may_use_the_fields_of_one_that_is_joined(lung: Path, edit: Edit) -> None:
    (lung / "outcome.yaml").write_text(
        "sheet: Outcome\nfields:\n  patient_id: {type: id, role: subject}\n  death: {type: date}\n", encoding="utf-8"
    )
    with pytest.raises(MappingError, match=r"Say join: \{with: outcome, on: FIELD\} in sheet 'diagnosis'"):
        edit("study.yaml", "[diagnosis]", "[diagnosis, outcome]") and edit(
            SHEET, "onset: diagnosis_date", "onset: outcome.death"
        )
    with pytest.raises(MappingError, match="unknown field 'death'"):
        edit(SHEET, "onset: outcome.death", "onset: death")
    study = edit(SHEET, "header:", "join: {with: outcome, on: patient_id}\nheader:")
    (cancer,) = [one for one in study.statements if one.name == "cancer"]
    assert (cancer.slots["onset"].sheet, cancer.slots["onset"].field) == ("outcome", "death")


def test_a_fact_of_another_sheet_is_named_with_its_sheet(lung: Path, edit: Edit) -> None:
    (lung / "outcome.yaml").write_text(
        "sheet: Outcome\nfields:\n  patient_id: {type: id, role: subject}\n"
        "  size: {type: number, unit: mm, means: {pattern: lesion, size: size, of: cancer}}\n", encoding="utf-8",
    )  # fmt: skip
    with pytest.raises(MappingError, match=r"unknown statement 'cancer'.* Valid here: diagnosis.cancer"):
        edit("study.yaml", "[diagnosis]", "[diagnosis, outcome]")
    assert edit("outcome.yaml", "of: cancer", "of: diagnosis.cancer").statements[-1].identity == "outcome.size"


def test_broken_yaml_of_a_sheet_names_the_sheet(lung: Path) -> None:
    (lung / SHEET).write_text("sheet: Diagnosis\nfields: {a: [}\n", encoding="utf-8")
    with pytest.raises(MappingError, match=r"^lung/diagnosis.yaml:2: not readable as YAML"):
        load_study(lung)


def test_a_pattern_claims_a_profile_only_where_every_need_holds(lung: Path) -> None:
    (claim,) = load_pattern("marker", lung).fhir[0].profiles
    assert claim.profile == "mcode-tumor-marker-test"
    assert claim.holds({"at": "day", "value": "code"})
    assert not claim.holds({"at": "month", "value": "code"})
    assert not claim.holds({"at": "day", "value": "missing"})
    assert not claim.holds({"at": "day"})
