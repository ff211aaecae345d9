"""`caseweave import`: drafts that load, lint without errors, and are checked with at once."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from caseweave.cli.app import run
from caseweave.run.imports import import_study
from caseweave.run.prove import prove
from caseweave.spec.loader import load_study

HEAD = (
    "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Field Note,Text Validation Type OR Show Slider Number,'
    "Text Validation Min,Text Validation Max,Identifier?,Branching Logic (Show field only if...),Required Field?"
)
REDCAP = f"""\
{HEAD}
pid,base,,text,Patient,,,,,,,,y
sex,base,,radio,Sex,"1, Male | 2, Female | 9, Other",,,,,,,y
dob,base,,text,Born,,,date_dmy,,,,,
phone,base,,text,Phone,,,phone,,,,,
name,base,,text,Name,,,,,,y,,
preg,base,,yesno,Pregnant,,,,,,,[sex] = '2',y
weeks,base,,text,Weeks,,,integer,0,45,,[preg] = '1',
drugs,base,,checkbox,Drugs,"1, A | -9, Unknown",,,,,,,
why,base,,notes,Why,,,,,,,,
bmi,base,,calc,BMI,[weight]/2,,,,,,,
odd,base,,radio,Odd,"1, One | 1, Two",,,,,,"datediff([dob],'today') > 1",
info,base,,descriptive,<b>Hello</b>,,,,,,,,
"""


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEWEAVE_KEY_FILE", str(tmp_path / "keys" / "project.key"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_redcap_dictionary(tmp_path: Path) -> None:
    source = tmp_path / "dictionary.csv"
    source.write_text(REDCAP, encoding="utf-8")
    done = import_study([source], tmp_path / "studies", name="trial")
    study = load_study(done.folder)
    fields = study.sheet("trial").fields
    assert [name for name, one in fields.items() if not one.ignore] == [
        "pid", "sex", "dob", "preg", "weeks", "drugs___1", "drugs____9", "bmi", "odd",
    ]  # fmt: skip
    assert (fields["pid"].role, fields["dob"].type, fields["weeks"].type) == ("subject", "date", "integer")
    assert fields["weeks"].range_warn == (0, 45)
    assert str(fields["preg"].required) == 'sex = "2"'
    assert fields["redcap_event_name"].ignore
    assert fields["base_complete"].ignore
    report = done.report.read_text(encoding="utf-8")
    for said in (
        "'phone' is not read",
        "'name' is not read",
        "'why' is not read",
        "the function datediff()",
        "code 1 stands twice",
    ):
        assert said in report
    assert [one for one in prove("trial", studies=[tmp_path / "studies"]) if one.severity == "error"] == []


def test_branching_becomes_rules_that_find(tmp_path: Path, key: None) -> None:
    source, form = tmp_path / "dictionary.csv", tmp_path / "export.csv"
    source.write_text(REDCAP, encoding="utf-8")
    form.write_text(
        "pid,sex,dob,preg,weeks,base_complete\nA1,1,1960-01-02,1,12,2\nA2,2,1970-01-02,1,12,2\n", encoding="utf-8"
    )
    import_study([source], tmp_path, name="trial")
    words = [
        "check",
        str(form),
        "--studies",
        str(tmp_path),
        "--study",
        "trial",
        "-o",
        str(tmp_path / "out"),
        "--all-checks",
    ]
    assert run(words) == 0
    found = rows_of(tmp_path / "out" / "findings.csv")
    assert [(one["rule"], one["cell"]) for one in found if one["rule"].endswith("-shown")] == [("preg-shown", "D2")]
    checks = {
        (one["record"], one["rule"]): one["passed"] for one in rows_of(tmp_path / "out" / "private" / "checks.csv")
    }
    assert checks["A1", "preg-shown"] == "0"
    assert checks["A2", "preg-shown"] == "1"
    assert checks["A1", "sex-permissible"] == "1"
    assert checks["A1", "bmi-datatype"] == ""


ODM = """\
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><Study OID="S">
<GlobalVariables><StudyName>Small Trial</StudyName></GlobalVariables>
<MetaDataVersion OID="M" Name="M">
<FormDef OID="F" Name="Base" Repeating="No"><ItemGroupRef ItemGroupOID="G" Mandatory="No"/></FormDef>
<ItemGroupDef OID="G" Name="G" Repeating="No">
<ItemRef ItemOID="I.ID" Mandatory="Yes"/><ItemRef ItemOID="I.SEX" Mandatory="No"/>
<ItemRef ItemOID="I.GONE" Mandatory="No"/></ItemGroupDef>
<ItemDef OID="I.ID" Name="Subject No" DataType="text"/>
<ItemDef OID="I.SEX" Name="sex" DataType="integer"><Question><TranslatedText>Sex</TranslatedText></Question>
<CodeListRef CodeListOID="C"/></ItemDef>
<CodeList OID="C" Name="C" DataType="integer">
<CodeListItem CodedValue="1"><Decode><TranslatedText>Male</TranslatedText></Decode></CodeListItem>
<CodeListItem CodedValue="2"><Decode><TranslatedText>Female</TranslatedText></Decode></CodeListItem></CodeList>
</MetaDataVersion></Study></ODM>
"""


def test_odm_without_extensions(tmp_path: Path) -> None:
    source = tmp_path / "trial.xml"
    source.write_text(ODM, encoding="utf-8")
    done = import_study([source], tmp_path)
    fields = load_study(done.folder).sheet("small-trial").fields
    assert done.name == "small-trial"
    assert (fields["subject_no"].column, fields["subject_no"].role) == ("Subject No", "subject")
    assert fields["sex"].valueset is not None
    assert list(fields["sex"].valueset.values) == ["1", "2"]
    assert "defined nowhere" in done.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    ["<ODM", "<a/>", '<!DOCTYPE a [<!ENTITY b "c">]><ODM xmlns="http://www.cdisc.org/ns/odm/v1.3">&b;</ODM>'],
)
def test_what_is_no_odm_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "trial.xml"
    source.write_text(text, encoding="utf-8")
    assert run(["import", str(source), "-o", str(tmp_path)]) == 2
    assert "trial.xml" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/study.yaml"))


def test_a_bare_workbook(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Tumours"
    sheet.append(["exported by the registry"])
    sheet.append(["Patient ID", "Side", "Size (mm)", "Grade", "Surname", "Remarks", "Broken"])
    for n in range(8):
        sheet.append([f"P{n // 2}", "left" if n % 2 else "right", n + 0.5, n % 3, f"Family{n}", "x" * (50 + n), "#N/A"])
    source = tmp_path / "registry.xlsx"
    book.save(source)
    done = import_study([source], tmp_path / "studies", name="b1")
    study = load_study(done.folder)
    fields = study.sheet("tumours").fields
    assert study.sheet("tumours").many_rows
    assert {name: one.type for name, one in fields.items() if not one.ignore} == {
        "patient_id": "id", "Side": "code", "size_mm": "number", "Grade": "integer", "Broken": "text",
    }  # fmt: skip
    assert {name for name, one in fields.items() if one.ignore} == {"Surname", "Remarks"}
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "studies").rglob("*") if path.is_file())
    assert "Family" not in written
    assert "P0" not in written


def test_a_bare_workbook_is_read_as_its_cells_will_be(tmp_path: Path) -> None:
    """Numbers with a comma or a limit, dates in several forms, codes whose zero counts, comments."""
    rows = ["Patient ID;CEA (ng/mL);Born;Ward;MSI;Comments;Centre town"]
    kinds = [("3,4", "12.03.1950", "012", "MSS", "well", "Girona"), ("<0.5", "1950", "007", "NA", "well", "Olot")]
    rows += [";".join((f"P{n}", *kinds[n % 2])) for n in range(6)] + ["P6;3,4;1951;012;MSS;ill;Reus"]
    source = tmp_path / "centre.csv"
    source.write_text("\n".join(rows), encoding="utf-8")
    done = import_study([source], tmp_path / "studies", name="centre")
    [sheet] = load_study(done.folder).sheets
    assert {name: one.type for name, one in sheet.fields.items() if not one.ignore} == {
        "patient_id": "id", "cea_ng_ml": "number", "Born": "date", "Ward": "code", "MSI": "code", "centre_town": "text",
    }  # fmt: skip
    assert sheet.fields["Comments"].ignore
    wards = sheet.fields["Ward"].valueset
    assert wards is not None and set(wards.values) == {"007", "012"}
    said = done.report.read_text(encoding="utf-8")
    for told in (
        'write unit: "ng/mL"',
        "'NA' in 'MSI' was taken as a value",
        "of Ward, MSI hold what",
        "'Centre town' was",
    ):
        assert told in said
    assert "'Patient ID' was" not in said


def test_a_study_is_not_lost_by_importing_again(tmp_path: Path) -> None:
    source = tmp_path / "dictionary.csv"
    source.write_text(REDCAP, encoding="utf-8")
    words = ["import", str(source), "-o", str(tmp_path), "--name", "trial"]
    assert run(words) == 0
    sheet = tmp_path / "trial" / "trial.yaml"
    sheet.write_text(sheet.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert run(words) == 2
    assert sheet.read_text(encoding="utf-8").endswith("# mine\n")
    assert run([*words, "--replace"]) == 0
    assert not sheet.read_text(encoding="utf-8").endswith("# mine\n")


def test_a_name_that_no_study_can_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "dictionary.csv"
    source.write_text(REDCAP, encoding="utf-8")
    assert run(["import", str(source), "-o", str(tmp_path), "--name", "../My Trial"]) == 2
    assert "--name my-trial" in capsys.readouterr().err


@pytest.mark.parametrize(
    "template", ["genomics_thailand_general_redcap_dictionary.csv", "GenomicsThailandRegistry.REDCap.xml"]
)
def test_a_real_registry_imports_and_lints(shared: Any, tmp_path: Path, template: str) -> None:
    done = import_study([shared / "data" / "templates" / template], tmp_path, name="registry")
    fields = load_study(done.folder).sheets[0].fields
    # 97 questions of which 7 are checkboxes with 71 boxes; 13 columns are REDCap's own
    asked = [one for one in fields.values() if not (one.name.endswith("_complete") or one.name.startswith("redcap_"))]
    assert len(asked) == 97 - 7 + 71
    assert done.made.conditions == 12
    assert [one for one in prove("registry", studies=[tmp_path]) if one.severity == "error"] == []
    report = done.report.read_text(encoding="utf-8")
    assert report.count("which is no checkbox") == 2
    assert report.count("is computed by REDCap") == 11
