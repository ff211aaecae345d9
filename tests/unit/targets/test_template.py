"""The Excel template: what stands in it, that LibreOffice opens it, and that it reads back as the same facts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.formula import Tokenizer
from openpyxl.worksheet.worksheet import Worksheet
from tests.unit.quality.planted import planted_form

from caseweave.errors import MappingError, UsageError
from caseweave.identity.keyfile import ProjectKey
from caseweave.quality.rules import rules_of
from caseweave.run.convert import Conversion, convert
from caseweave.sources import read_sources
from caseweave.spec.loader import list_studies, load_study
from caseweave.targets.template import Template, example_of, write_template
from caseweave.targets.template.columns import cut, header, prompt, validation
from caseweave.targets.template.lists import LISTS, STAMP
from caseweave.targets.template.tabs import tab_name
from caseweave.terms import open_terms

BREAST = load_study("breast")
Convert = Callable[[Path, str], Path]


def written(path: Path, language: str = "en", **options: Any) -> Template:
    return write_template(BREAST, path, language, rules=rules_of(BREAST), **options)


def converted(path: Path) -> Conversion:
    return convert(BREAST, read_sources([path]), key=ProjectKey("breast", bytes(32)), terms=open_terms())


def resources(made: Conversion) -> list[bytes]:
    parts = (made.fhir.resources(number) for number, _ in enumerate(made.applied.facts))
    return sorted(line for part in parts for _, _, lines in part for line in lines)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "breast.xlsx"
    written(path, example=True)
    return path


def headers(page: Worksheet) -> list[str]:
    return [str(cell.value) for cell in page[3]]


def test_a_sheet_per_tab_in_the_language(tmp_path: Path) -> None:
    written(tmp_path / "es.xlsx", "es")
    book = openpyxl.load_workbook(tmp_path / "es.xlsx")
    assert book.sheetnames[:5] == ["Instrucciones", "Datos demográficos", "Diagnóstico", "Tratamiento", "Seguimiento"]
    assert headers(book["Diagnóstico"])[:3] == [
        "Identificador del paciente *", "Número de tumor *", "Fecha de diagnóstico *",
    ]  # fmt: skip
    assert {book[name].sheet_state for name in (STAMP, LISTS)} == {"hidden"}


def test_the_stamp_names_study_version_and_fields(example: Path) -> None:
    page = openpyxl.load_workbook(example)[STAMP]
    said = {str(row[0].value): str(row[1].value) for row in page.iter_rows()}
    assert (said["study"], said["version"], said["language"]) == ("breast", BREAST.version, "en")
    assert said["diagnosis.laterality"] == "Side *"
    assert said["no data"] == "Instructions"


def test_headers_are_locked_and_frozen_and_cells_are_open(example: Path) -> None:
    page = openpyxl.load_workbook(example)["Treatment"]
    assert page.protection.sheet
    assert page.protection.password is None
    assert page["A3"].protection.locked
    assert not page.column_dimensions["C"].protection.locked
    assert not page["A4"].protection.locked
    assert page.freeze_panes == "C4"


def test_what_repeats_stands_together(example: Path) -> None:
    found = headers(openpyxl.load_workbook(example)["Treatment"])
    first = found.index("Systemic 1, kind")
    assert found[first : first + 3] == ["Systemic 1, kind", "Systemic 1, drug", "Systemic 1, regimen"]
    assert found.index("Systemic 2, kind") == first + 11


def test_drop_downs_formats_and_prompts(example: Path) -> None:
    page = openpyxl.load_workbook(example)["Diagnosis"]
    column = {str(cell.value).rstrip("* "): cell.column_letter for cell in page[3]}
    rules = {str(rule.sqref).split(":")[0].rstrip("4"): rule for rule in page.data_validations.dataValidation}
    side, size, day = (rules[column[name]] for name in ("Side", "Lesion 1, size", "Date of diagnosis"))
    assert side.type == "list"
    assert str(side.formula1).startswith(f"={LISTS}!$")
    assert "In mm" in size.prompt
    assert "1 to 100" in size.prompt
    assert "2024-03" in day.prompt
    assert "Coloured when: " in rules[column["HER2 status"]].prompt
    assert "The HER2 status is not the one of IHC and ISH." in rules[column["HER2 status"]].prompt
    assert all(len(rule.prompt) <= 255 and len(rule.promptTitle) <= 32 for rule in rules.values())
    assert all(len(str(rule.formula1)) <= 255 for rule in rules.values() if rule.formula1)
    assert page.column_dimensions[column["Date of imaging"]].number_format == "yyyy-mm-dd"
    # Excel would make the first day of "2021-03"
    assert page.column_dimensions[column["Date of diagnosis"]].number_format == "@"
    assert page[f"{column['Lesion 1, size']}2"].value == "mm"


def test_no_text_becomes_a_formula(tmp_path: Path) -> None:
    rows = {"demographics": [{"patient_id": "=1+1", "cause_of_death": '=HYPERLINK("x")'}]}
    write_template(BREAST, tmp_path / "a.xlsx", example=rows)
    page = openpyxl.load_workbook(tmp_path / "a.xlsx")["Demographics"]
    kinds = {cell.data_type for row in page.iter_rows() for cell in row}
    assert "f" not in kinds
    assert page["A4"].value == "=1+1"
    assert openpyxl.load_workbook(tmp_path / "a.xlsx")[LISTS]["B2"].data_type in ("s", "n")


def test_every_rule_of_the_breast_form_is_a_mark(tmp_path: Path) -> None:
    made = written(tmp_path / "a.xlsx")
    together = {rule.id for rule in rules_of(BREAST) if not rule.by_row}
    # a formula can't look a code up on another sheet, hold a table of stages, or judge many rows
    tables = {"clinical-stage-fits-tnm", "pathological-stage-fits-tnm"}
    assert made.left_out.keys() == together | tables | {"metastatic-site-beside-m0"}
    assert sum(made.marks.values()) > len(rules_of(BREAST)) - len(made.left_out)


@pytest.mark.parametrize("name", sorted(list_studies()))
def test_every_study_has_a_template(tmp_path: Path, name: str) -> None:
    study = load_study(name)
    path = tmp_path / f"{name}.xlsx"
    write_template(study, path, rules=rules_of(study))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert set(openpyxl.load_workbook(path).sheetnames) >= {"Instructions", STAMP, LISTS}


def test_an_empty_template_has_no_findings_and_no_patients(tmp_path: Path) -> None:
    written(tmp_path / "a.xlsx")
    made = converted(tmp_path / "a.xlsx")
    assert [(one.rule, one.sheet) for one in made.findings] == []
    assert made.balance["cells"] == 0


def test_the_example_is_loaded_whole(example: Path) -> None:
    made = converted(example)
    assert [one.rule for one in made.findings] == ["partial-date"]
    assert made.balance["rejected"] == 0
    assert len(made.applied.subjects.names) == 3


def test_both_languages_say_the_same(example: Path, tmp_path: Path) -> None:
    written(tmp_path / "es.xlsx", "es", example=True)
    assert resources(converted(tmp_path / "es.xlsx")) == resources(converted(example))


def test_libreoffice_opens_it_and_the_facts_stay(example: Path, soffice: Convert) -> None:
    saved = soffice(example, "xlsx")
    assert resources(converted(saved)) == resources(converted(example))


def test_libreoffice_keeps_lists_marks_and_protection(example: Path, soffice: Convert) -> None:
    page = openpyxl.load_workbook(soffice(example, "xlsx"))["Follow-up"]
    assert page.protection.sheet
    assert sum(1 for rule in page.data_validations.dataValidation if rule.type == "list") >= 10
    assert len(page.conditional_formatting) >= 10


def change(path: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """The example with some cells changed, and every mark's formula for eight rows in cells of an extra sheet.

    A conditional format has no value that a test could read; a cell has.
    """
    written(path, example=True)
    book = openpyxl.load_workbook(path)
    for name, cells in changes.items():
        page = book[name]
        letters = {str(cell.value).rstrip("* "): cell.column_letter for cell in page[3]}
        for where, value in cells.items():
            label, row = where.rsplit("@", 1)
            page[f"{letters[label]}{row}"].value = value
    write_marks(book, range(4, 12))
    book.save(path)


def write_marks(book: openpyxl.Workbook, rows: range) -> None:
    """Every mark's formula for some rows as cells of an extra sheet, each beside the cell that it would mark."""
    extra = book.create_sheet("marks")
    for page in list(book)[1:5]:
        for area in page.conditional_formatting:
            letter = str(area.sqref).split(":")[0].rstrip("0123456789")
            label = str(page[f"{letter}3"].value).rstrip("* ")
            for rule, row in itertools.product(area.rules, rows):
                told = "=" + moved(rule.formula[0], page.title, row)
                extra.append([f"{page.title}!{label}@{row}", told, f"{page.title}!{letter}{row}"])


def moved(formula: str, tab: str, row: int) -> str:
    """A formula of the first data row as it is in another, from another sheet."""
    made = []
    for token in Tokenizer(f"={formula}").items:
        text = token.value
        if token.subtype == "RANGE" and "!" not in text and text.endswith("4") and text.startswith("$"):
            text = f"'{tab}'!{text[:-1]}{row}"
        made.append(text)
    return "".join(made)


def marked(tmp_path: Path, soffice: Convert, changes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Which cells are marked, as `Sheet!Header@row`, computed by LibreOffice."""
    change(tmp_path / "changed.xlsx", changes)
    rows = openpyxl.load_workbook(soffice(tmp_path / "changed.xlsx", "xlsx"), data_only=True)["marks"].iter_rows()
    return {str(row[0].value) for row in rows if row[1].value is True}


def test_a_clean_example_has_no_marks(tmp_path: Path, soffice: Convert) -> None:
    assert marked(tmp_path, soffice, {}) == set()


def test_marks_say_what_the_rules_say(tmp_path: Path, soffice: Convert) -> None:
    changes: dict[str, dict[str, Any]] = {
        "Demographics": {"Sex at birth@4": None, "Births (parity)@5": 4, "Date of death@6": None},
        "Diagnosis": {
            "Date of diagnosis@4": "1960-05",
            "ER positive cells@5": 50,
            "Histological type (ICD-O-3)@6": "DCIS",
        },
        "Treatment": {
            "Nodes positive@4": 5,
            "Residual cancer burden (class)@5": "RCB-II",
            "Date of breast surgery@5": "2023-01",
        },
        "Follow-up": {"Patient ID@4": "ZZ-99999", "Date of visit@6": "2019-01-01", "Extent of disease@9": None},
    }
    found = marked(tmp_path, soffice, changes)
    wanted = {
        "Demographics!Sex at birth@4", "Demographics!Births (parity)@5", "Demographics!Date of death@6",
        "Diagnosis!Date of diagnosis@4", "Diagnosis!ER status@5", "Diagnosis!Histological type (ICD-O-3)@6",
        "Treatment!Nodes positive@4", "Treatment!pN@4", "Treatment!Residual cancer burden (class)@5",
        "Treatment!Date of breast surgery@5", "Follow-up!Patient ID@4", "Follow-up!Date of visit@6",
        "Follow-up!Extent of disease@9",
    }  # fmt: skip
    # what can't be told isn't marked: the date of death is gone, so nothing lies after it
    assert found == wanted


def test_excel_marks_the_cells_that_our_engine_finds(tmp_path: Path, soffice: Convert) -> None:
    rules = rules_of(BREAST)
    path = planted_form(tmp_path / "planted.xlsx", rules=rules)
    left_out = written(tmp_path / "empty.xlsx").left_out
    tabs = {sheet.key: tab_name(sheet, "en") for sheet in BREAST.sheets}
    marks = {"required"} | {rule.id for rule in rules if rule.id not in left_out}
    ours = {f"{tabs[one.sheet]}!{one.cell}" for one in converted(path).findings if one.rule in marks}
    book = openpyxl.load_workbook(path)
    write_marks(book, range(4, max(page.max_row for page in list(book)[1:5] if page.max_row < 200) + 1))
    book.save(path)
    rows = openpyxl.load_workbook(soffice(path, "xlsx"), data_only=True)["marks"].iter_rows()
    theirs = {str(row[2].value) for row in rows if row[1].value is True}
    assert len(ours) >= 20
    # a dose whose unit is blank: Excel asks for the unit, our engine rejects the dose, which then needs none
    assert theirs - ours == {"Treatment!AM32"} and ours <= theirs


def test_the_same_tumour_twice_is_marked(tmp_path: Path, soffice: Convert) -> None:
    found = marked(tmp_path, soffice, {"Diagnosis": {"Tumour number@7": 1}})
    assert {"Diagnosis!Tumour number@6", "Diagnosis!Tumour number@7"} <= found


def test_a_code_for_a_missing_value_is_no_value(tmp_path: Path, soffice: Convert) -> None:
    found = marked(tmp_path, soffice, {"Diagnosis": {"ER status@5": "NA"}, "Treatment": {"Nodes positive@4": "ND"}})
    assert found == set()


def test_a_study_without_example_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no example patients.*example\.yaml"):
        write_template(load_study("hcc-tace"), tmp_path / "a.xlsx", example=True)
    assert list(tmp_path.iterdir()) == []


def test_examples_are_checked(tmp_path: Path) -> None:
    folder = tmp_path / "breast"
    folder.mkdir()
    for one in Path(BREAST.folder).glob("*.yaml"):
        (folder / one.name).write_bytes(one.read_bytes())
    (folder / "example.yaml").write_text("sheets:\n  diagnosis:\n    - {laterality: lefft}\n", encoding="utf-8")
    with pytest.raises(MappingError, match=r"example\.yaml:3: unknown value of value set 'laterality' 'lefft'.*left"):
        example_of(load_study(folder))
    rows = "sheets:\n  diagnosis:\n    - {laterality: lefft,\n       sidde: left}\n    - left\n  diagnoses: []\n"
    (folder / "example.yaml").write_text(rows, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        example_of(load_study(folder))
    assert [one.data["line"] for one in caught.value.each] == [3, 4, 5, 6]


def test_words_of_a_column() -> None:
    field = BREAST.sheet("diagnosis").fields["laterality"]
    assert header(field, "es") == "Lateralidad *"
    assert prompt(field, "en") == ("Side", "Choose from the list.\nRequired.")
    assert cut("abcdef", 4) == "abc…"
    dose = BREAST.sheet("treatment").fields["rt_dose"]
    assert "INT" not in validation(dose, "A4", "", "")["formula1"]
    assert ">=" not in validation(dose, "A4", "", "")["formula1"]


def test_the_instructions_show_all_of_a_text(example: Path) -> None:
    """LibreOffice opens a line as high as the file says: one of two lines' text would lie over the next."""
    page = openpyxl.load_workbook(example)["Instructions"]
    long = [cell for row in page.iter_rows() for cell in row if cell.column == 3 and len(str(cell.value or "")) > 90]
    assert long and all((page.row_dimensions[cell.row].height or 0) >= 30 for cell in long)


def test_a_form_can_be_read_on_paper(example: Path) -> None:
    """Ninety columns on the width of one sheet of paper are dust; the ids stand on each of several."""
    page = openpyxl.load_workbook(example)["Treatment"]
    wide = sum(one.width for one in page.column_dimensions.values())
    assert wide / page.page_setup.fitToWidth < 250 and page.page_setup.pageOrder == "overThenDown"
    assert page.print_title_cols.replace("$", "").startswith("A:") and page.print_title_rows.replace("$", "") == "3:3"


def test_a_language_that_nobody_speaks_is_refused(tmp_path: Path) -> None:
    """English under the name of French would be handed to people who asked for French."""
    with pytest.raises(UsageError, match="no texts in 'fr'") as refused:
        write_template(load_study("breast"), tmp_path / "form.xlsx", "fr")
    assert "CASEWEAVE_LANGUAGES" in refused.value.way_out and not (tmp_path / "form.xlsx").exists()
