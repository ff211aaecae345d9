"""A study as written becomes a study as read: fields, statements and repeats, each with its file and line."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from caseweave.errors import MappingError, UsageError
from caseweave.spec.loader import list_studies, load_pattern, load_study, load_valueset
from caseweave.spec.models import CodeLit, Expr, FieldRef, LinkRef, Mapped, NumberLit, Study, TextLit, TruthLit
from caseweave.values.types import Code, Coding, Missing

Edit = Callable[[str, str, str], Study]


def test_a_study_is_read_whole(lung: Path) -> None:
    study = load_study(lung)
    assert (study.name, study.version, study.project, study.subject) == ("lung", "1.0.0", "lung", "keyed")
    assert study.title == {"en": "Lung cancer", "es": "Cáncer de pulmón"}
    assert study.missing.codes == {"NA": "not-applicable", "-9": "unknown"} and study.missing.emit
    assert study.dates.accept == ("excel", "YYYY-MM-DD", "YYYY-MM", "YYYY")
    assert sorted(study.patterns) == ["cancer", "lesion", "marker", "patient"]
    assert sorted(study.valuesets) == ["sex", "yes-no"]
    sheet = study.sheet("diagnosis")
    assert (sheet.name, sheet.subject_field, sheet.header_rows, sheet.many_rows) == (
        "Diagnosis",
        "patient_id",
        1,
        False,
    )


def test_fields_say_what_a_cell_may_hold(lung: Path) -> None:
    fields = load_study(lung).sheet("diagnosis").fields
    cea = fields["cea"]
    assert (cea.type, cea.unit, cea.accept, cea.line) == ("number", "ng/mL", {"ug/L": Decimal(1)}, 9)
    assert cea.range_warn == (0, Decimal("5.5")) and cea.range_error == (0, 90000)
    assert str(fields["diagnosis_date"].required) == "sex is present"
    assert fields["comments"].ignore == "free text, may identify the patient"
    assert fields["egfr"].means and fields["egfr"].valueset is not None
    assert list(fields["egfr"].valueset.values) == ["yes", "no", "unk"]


def test_a_repeat_is_written_out(lung: Path) -> None:
    sheet = load_study(lung).sheet("diagnosis")
    sizes = [one for one in sheet.fields.values() if one.base == "lesion_$i_size"]
    assert [one.name for one in sizes] == ["lesion_1_size", "lesion_2_size", "lesion_3_size"]
    assert [one.repeat_index for one in sizes] == ["1", "2", "3"]
    assert sizes[0].repeat is not None and sizes[0].repeat.gaps == "error"
    lesions = [one for one in sheet.statements if one.name == "lesion"]
    assert [one.identity for one in lesions] == ["diagnosis.lesion#1", "diagnosis.lesion#2", "diagnosis.lesion#3"]
    assert [one.slots["size"] for one in lesions] == [FieldRef(one.name) for one in sizes]
    assert lesions[1].slots["of"] == LinkRef("diagnosis", "cancer")


def test_a_field_that_means_something_is_a_statement_and_fills_value(lung: Path) -> None:
    (egfr,) = [one for one in load_study(lung).statements if one.name == "egfr"]
    assert (egfr.identity, egfr.meant_by, egfr.line) == ("diagnosis.egfr", "egfr", 8)
    assert egfr.slots == {
        "code": CodeLit((Coding("LNC", "21665-5"),)),
        "at": FieldRef("diagnosis_date"),
        "of": LinkRef("diagnosis", "cancer"),
        "value": FieldRef("egfr"),
    }


@pytest.mark.parametrize(
    ("written", "filler"),
    [
        ("cea", FieldRef("cea")),
        ("SCT|10828004", CodeLit((Coding("SCT", "10828004"),))),
        ("[SCT|10828004, LNC|LA6576-8]", CodeLit((Coding("SCT", "10828004"), Coding("LNC", "LA6576-8")))),
        ('"cea"', TextLit("cea")),
        ("4.30", NumberLit("4.30")),
        ("7", NumberLit("7")),
        ("true", TruthLit(True)),
        ("{field: cea}", FieldRef("cea")),
        (
            "{field: egfr, map: {yes: SCT|1, no: SCT|2}}",
            Mapped("egfr", {"yes": Code((Coding("SCT", "1"),)), "no": Code((Coding("SCT", "2"),))}),
        ),
    ],
)
def test_what_fills_a_slot(edit: Edit, written: str, filler: object) -> None:
    study = edit(
        "diagnosis.yaml", "  lesion: {", f"  extra: {{pattern: marker, code: SCT|1, value: {written}}}\n  lesion: {{"
    )
    (extra,) = [one for one in study.statements if one.name == "extra"]
    assert extra.slots["value"] == filler


def test_an_expression_fills_a_slot(edit: Edit) -> None:
    study = edit(
        "diagnosis.yaml", "  lesion: {",
        '  extra: {pattern: marker, code: SCT|1, value: {expr: "cea * 2"}, when: "egfr = \'yes\'"}\n  lesion: {',
    )  # fmt: skip
    (extra,) = [one for one in study.statements if one.name == "extra"]
    value = extra.slots["value"]
    assert isinstance(value, Expr) and str(value.expression) == "cea * 2"
    assert str(extra.when) == 'egfr = "yes"'


RESPONSE = """\
pattern: response
about: How a lesion responds.
slots: {value: required, of: {fact: lesion}}
fhir: {resourceType: Observation, 'value[x]': $value, focus: $of}
omop: none
because: only a test
"""


def test_repeats_link_to_the_repeat_of_their_own_number(lung: Path, edit: Edit) -> None:
    (lung / "patterns" / "response.yaml").write_text(RESPONSE, encoding="utf-8")
    study = edit(
        "diagnosis.yaml", "  lesion: {",
        "  response: {pattern: response, for: i, of: lesion, value: lesion_$i_size}\n"
        "  first: {pattern: response, of: lesion#1, value: cea}\n  lesion: {",
    )  # fmt: skip
    links = {one.identity: one.slots["of"] for one in study.statements if one.pattern.name == "response"}
    assert links["diagnosis.response#2"] == LinkRef("diagnosis", "lesion", "2")
    assert links["diagnosis.first"] == LinkRef("diagnosis", "lesion", "1")
    with pytest.raises(MappingError, match=r"'lesion' stands 3 times\. Say which: lesion#1"):
        edit("diagnosis.yaml", "of: lesion#1", "of: lesion")


def test_headers_of_repeats_may_number_in_their_own_way(edit: Edit) -> None:
    study = edit(
        "diagnosis.yaml",
        "{repeat: {i: 1..3, gaps: error},",
        '{repeat: {i: 1..3, suffix: {1: "", 2: _b}}, column: size_$i,',
    )
    fields = study.sheet("diagnosis").fields
    assert [fields[f"lesion_{n}_size"].column for n in (1, 2, 3)] == ["size", "size_b", "size_3"]


def test_value_sets_give_codes_and_reasons(lung: Path) -> None:
    values = load_study(lung).valuesets["yes-no"].values
    assert values["yes"].value == Code((Coding("SCT", "373066001"),), "yes", "Yes")
    assert values["no"].value == Code((Coding("SCT", "373067005"),), "no", "")
    assert values["unk"].value == Missing("unknown", "unk")
    assert values["yes"].line == 3


def test_a_value_set_may_be_a_table(lung: Path) -> None:
    (lung / "valuesets" / "sex.yaml").unlink()
    (lung / "valuesets" / "sex.csv").write_text(
        "value,code,missing,aliases,label_en,label_es\n"
        "f,GENDER|female,,woman; girl,Female,Mujer\nm,GENDER|male; SCT|248153007,,,Male,\nu,,unknown,,Unknown,\n",
        encoding="utf-8",
    )
    values = load_study(lung).valuesets["sex"].values
    assert values["f"].aliases == ("woman", "girl") and values["f"].label == {"en": "Female", "es": "Mujer"}
    assert [str(one) for one in values["m"].codings] == ["GENDER|male", "SCT|248153007"]
    assert values["u"].value == Missing("unknown", "u") and values["u"].line == 4


def test_an_anchor_stands_for_day_zero(edit: Edit) -> None:
    study = edit("study.yaml", "sheets:", "anchor: {date: 2000-01-01, age: cea}\nsheets:")
    assert study.anchor is not None
    assert (study.anchor.date, study.anchor.age) == (datetime.date(2000, 1, 1), "cea")


def test_examples_are_kept_for_lint(lung: Path) -> None:
    (example,) = load_study(lung).sheet("diagnosis").examples
    assert example.rows["diagnosis"][0]["patient_id"] == "AA-00001"
    assert example.facts == {"egfr": "SCT|373066001"} and example.fhir == {"Condition": 1}
    assert example.findings == ("partial-date",) and example.line == 18


def test_the_digest_follows_the_content_of_every_file_and_nothing_else(lung: Path) -> None:
    first = load_study(lung)
    assert [label for label, _ in first.files] == sorted(label for label, _ in first.files)
    assert len(first.files) == 8
    sheet = lung / "diagnosis.yaml"
    text = sheet.read_text(encoding="utf-8")
    sheet.write_text("# reviewed\n" + text.replace("{rows: 1}", "{ rows:  1 }"), encoding="utf-8")
    assert load_study(lung).digest == first.digest
    for name in ("study.yaml", "diagnosis.yaml", "patterns/marker.yaml", "valuesets/sex.yaml"):
        kept = (lung / name).read_text(encoding="utf-8")
        (lung / name).write_text(kept.replace("1.0.0", "1.0.1").replace("Male", "man").replace("A marker", "Any")
                                 .replace("[0, 90000]", "[0, 80000]"), encoding="utf-8")  # fmt: skip
        assert load_study(lung).digest != first.digest, name
        (lung / name).write_text(kept, encoding="utf-8")


def test_a_users_own_folder_is_asked_first(lung: Path, tmp_path: Path) -> None:
    assert list_studies(studies=[tmp_path])["lung"] == lung
    assert load_study("lung", studies=[tmp_path]).folder == str(lung)
    assert load_study(lung / "study.yaml").name == "lung"
    moved = tmp_path / "other" / "lung"
    shutil.copytree(lung, moved)
    assert load_study("lung", studies=[tmp_path / "other", tmp_path]).folder == str(moved)


def test_a_study_that_does_not_exist_names_those_that_do(tmp_path: Path, lung: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no study 'lnug'. Did you mean 'lung'\?"):
        load_study("lnug", studies=[tmp_path])
    with pytest.raises(UsageError, match="is no folder"):
        load_study("lung", studies=[tmp_path / "nowhere"])


def test_names_lead_nowhere_else_on_the_disk(lung: Path) -> None:
    for name in ("../../secret", "/etc/passwd", "patterns/../patient"):
        with pytest.raises(MappingError, match="unknown pattern"):
            load_pattern(name, lung)
        with pytest.raises(MappingError, match="unknown value set"):
            load_valueset(name, lung)
