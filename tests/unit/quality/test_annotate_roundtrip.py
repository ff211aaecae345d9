"""The whole way: a form is checked, comes back marked, is answered in LibreOffice, and is sent in again."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import etree
from tests.services.office import Convert, Type
from tests.unit.quality.planted import PLANTED, cell_of, planted_form

from caseweave.plan.queries import QUERY_COLUMNS
from caseweave.quality.speech import Speech
from caseweave.run.check import check
from caseweave.run.pipeline import Options, Outcome, run
from caseweave.run.queries import read_queries
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study
from caseweave.targets.template import write_template

STUDY = load_study("breast")


def checked(tmp_path: Path, form: Path) -> Outcome:
    return check(STUDY, [form], Workspace(tmp_path / "ws"), Options(key_file=tmp_path / "breast.key"))


def annotated(tmp_path: Path, name: str = "site-a.annotated.xlsx") -> Path:
    return tmp_path / "ws" / "private" / name


def queries(path: Path) -> dict[str, dict[str, Any]]:
    page = next(one for one in openpyxl.load_workbook(path) if one["A1"].value == "id")  # whatever the site calls it
    names = [cell.value for cell in page[1]]
    rows = [dict(zip(names, [cell.value for cell in row], strict=True)) for row in page.iter_rows(min_row=2)]
    return {row["id"]: row for row in rows}


@pytest.fixture
def form(tmp_path: Path) -> Path:
    return planted_form(tmp_path / "site-a.xlsx")


def test_every_planted_cell_is_marked_and_the_rest_is_as_it_was(tmp_path: Path, form: Path) -> None:
    assert checked(tmp_path, form).exit_code == 1
    before, after = openpyxl.load_workbook(form), openpyxl.load_workbook(annotated(tmp_path))
    asked = {(row["sheet"], row["cell"]): row for row in queries(annotated(tmp_path)).values()}
    for sheet, patient, field, value in PLANTED:
        cell = cell_of(after, STUDY, sheet, patient, field)
        assert cell.fill.fgColor.rgb in ("FFFFC2B3", "FFFFE2A8"), (patient, field)
        assert cell.comment.text.startswith("Caseweave: ")
        row = asked[cell.parent.title, cell.coordinate]
        assert (row["patient"], row["status"]) == (patient, "New")
        assert row["found"] == (None if value is None else str(value))
    for page in before:
        new = after[page.title]
        assert [[c.value for c in row] for row in page] == [[c.value for c in row] for row in new]
        assert str(page.data_validations.dataValidation) == str(new.data_validations.dataValidation)
        assert [str(one.sqref) for one in page.conditional_formatting] == [
            str(one.sqref) for one in new.conditional_formatting
        ]
    assert dict(before.defined_names) == dict(after.defined_names)
    with zipfile.ZipFile(form) as old, zipfile.ZipFile(annotated(tmp_path)) as made:
        marked = {row["sheet"] for row in asked.values()}
        kept = [name for name in old.namelist() if old.read(name) == made.read(name)]
        assert set(old.namelist()) - set(kept) <= {
            "[Content_Types].xml", "xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels",
            *(f"xl/worksheets/sheet{before.sheetnames.index(tab) + 1}.xml" for tab in marked),
        } | {name for name in old.namelist() if "/_rels/sheet" in name}  # fmt: skip


def test_answered_in_libreoffice_and_sent_in_again(tmp_path: Path, form: Path, type_in_office: Type) -> None:
    first = checked(tmp_path, form).manifest["findings"]
    before = queries(annotated(tmp_path))
    book = openpyxl.load_workbook(annotated(tmp_path))
    ids = {spot: _query_of(before, book, spot) for spot in PLANTED}
    weight, height, birth = ids[PLANTED[1]], ids[PLANTED[0]], ids[PLANTED[4]]
    sex, dated, side = ids[PLANTED[2]], ids[PLANTED[5]], ids[PLANTED[6]]
    answers = {
        weight: "Confirmed: weighed twice",
        height: "confirmed: she is small",
        birth: "UNK",
        side: "we look it up",
    }
    rows = {str(row[0].value): row[-1].coordinate for row in book["Queries"].iter_rows(min_row=2)}
    mended = {
        cell_of(book, STUDY, "demographics", "BB-00003", "sex_at_birth"): "female",
        cell_of(book, STUDY, "diagnosis", "BB-00003", "diagnosis_date"): "2019-02-04",
    }
    edits = {("Queries", rows[name]): said for name, said in answers.items()}
    edits |= {(cell.parent.title, cell.coordinate): said for cell, said in mended.items()}
    back = type_in_office(annotated(tmp_path), edits)
    assert back.name == "site-a.annotated.xlsx"

    second = checked(tmp_path, back).manifest["findings"]
    after = queries(annotated(tmp_path))
    assert {name: after[name]["status"] for name in (weight, height, birth, sex, dated, side)} == {
        weight: "Closed", height: "Updated", birth: "Closed", sex: "Closed", dated: "Closed",
        side: "Resolution Proposed",
    }  # fmt: skip
    assert second["warning"] == first["warning"] - 1
    assert second["error"] == first["error"] - 3
    untouched = before.keys() - {weight, height, birth, sex, dated, side}
    assert untouched <= after.keys()
    assert {after[name]["status"] for name in untouched} == {"New"}
    book = openpyxl.load_workbook(annotated(tmp_path))
    assert cell_of(book, STUDY, "demographics", "CC-00007", "birth_date").value == "UNK"
    mended = cell_of(book, STUDY, "demographics", "BB-00003", "sex_at_birth")
    assert mended.comment is None and mended.fill.fgColor.rgb != "FFFFC2B3"
    assert book.sheetnames.count("Queries") == 1
    unchanged(back, annotated(tmp_path))
    # the form without its answers: they are remembered
    third = checked(tmp_path, form).manifest["findings"]
    assert third["warning"] == second["warning"] and third["error"] == second["error"] + 2


@pytest.mark.parametrize("to", ["ods", "xlsx"])
def test_a_site_that_rearranges_its_workbook_keeps_its_queries(
    tmp_path: Path, form: Path, soffice: Convert, to: str
) -> None:
    """Queries sorted and renamed, columns put in front, patients sorted, a cell both corrected and answered, the file
    saved by LibreOffice: what wasn't touched keeps its id and state, twice over."""
    book = openpyxl.load_workbook(form)
    book["Demographics"].cell(3, 36).value = "Seen by"
    book["Demographics"].cell(4, 36).value = "M"
    book.save(form)
    checked(tmp_path, form)
    before = queries(annotated(tmp_path))
    book = openpyxl.load_workbook(annotated(tmp_path))
    side, birth, height = (_query_of(before, book, PLANTED[n]) for n in (6, 4, 0))
    cell_of(book, STUDY, "demographics", PLANTED[0][1], "height").value = 164
    page = book["Queries"]
    rows = [[cell.value for cell in row] for row in page.iter_rows(min_row=2)]
    said = {side: "we look it up", birth: "UNK", height: "typed a digit too much"}
    rows = sorted(([*row[:-1], said.get(str(row[0]))] for row in rows), key=lambda row: str(row[7]), reverse=True)
    for number, row in enumerate(rows, 2):
        for column, value in enumerate(row, 1):
            page.cell(number, column).value = value
    page.title = "Preguntas de MG"
    people = book["Demographics"]
    people.protection.sheet = False
    for column in range(1, people.max_column + 1):
        one, other = people.cell(4, column), people.cell(6, column)
        one.value, other.value = other.value, one.value
    people.insert_cols(3)
    book.save(tmp_path / "site-a.xlsx")
    back = soffice(tmp_path / "site-a.xlsx", to)

    for _ in range(2):
        checked(tmp_path, back)
        after = queries(annotated(tmp_path))
        assert before.keys() == after.keys()
        assert {name: row["status"] for name, row in after.items()} == {
            name: {side: "Resolution Proposed", birth: "Closed", height: "Closed"}.get(name, "New") for name in before
        }
        assert after[height]["Answer"] == "typed a digit too much"


def unchanged(before: Path, after: Path) -> None:
    """Marks and queries are all that is new: parts that aren't touched are the same byte for byte, and of the sheets
    everything but cells and drawings of comments; names, styles and tabs that were there are there."""
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        for name in old.namelist():
            if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name) and b">Resolution Proposed<" not in new.read(name):
                assert about_cells(old.read(name)) == about_cells(new.read(name)), name
            elif not re.search(r"comments|vmlDrawing|_rels/|Content_Types|styles|worksheets/", name):
                assert old.read(name) == new.read(name), name
        was, is_now = (etree.fromstring(one.read("xl/styles.xml")) for one in (old, new))
        for group in was:
            later = [etree.tostring(one) for one in is_now.find(group.tag)]
            assert [etree.tostring(one) for one in group] == later[: len(group)], group.tag


def about_cells(xml: bytes) -> dict[str, list[str]]:
    """What a sheet says beside its cells: columns, views, validations, conditional formats, protection ..."""
    parts: dict[str, list[str]] = {}
    for one in etree.fromstring(xml):
        name = etree.QName(one).localname
        if name not in ("sheetData", "legacyDrawing"):
            parts.setdefault(name, []).append(etree.tostring(one, method="c14n").decode())
    assert "sheetData" in xml.decode() and parts
    return parts


def _query_of(asked: dict[str, dict[str, Any]], book: Any, spot: tuple[str, str, str, Any]) -> str:
    cell = cell_of(book, STUDY, *spot[:3])
    return next(n for n, row in asked.items() if (row["sheet"], row["cell"]) == (cell.parent.title, cell.coordinate))


def test_a_run_says_the_same_and_loads_what_was_entered(tmp_path: Path, form: Path) -> None:
    workspace, options = Workspace(tmp_path / "ws"), Options(key_file=tmp_path / "breast.key")
    run(STUDY, [form], workspace, options)
    before = queries(annotated(tmp_path))
    book = openpyxl.load_workbook(annotated(tmp_path))
    birth = _query_of(before, book, PLANTED[4])
    next(row for row in book["Queries"].iter_rows(min_row=2) if row[0].value == birth)[-1].value = "UNK"
    book.save(tmp_path / "site-a.xlsx")
    again = run(STUDY, [tmp_path / "site-a.xlsx"], workspace, options)
    assert read_queries(workspace)[birth].status == "Closed"
    assert again.manifest["balance"]["cells"] == sum(
        again.manifest["balance"][one] for one in ("loaded", "ignored", "missing", "rejected")
    )
    assert (tmp_path / "ws" / "report.html").exists()


def test_a_csv_comes_back_as_xlsx_and_can_be_sent_in(tmp_path: Path) -> None:
    source = tmp_path / "demographics.csv"
    source.write_text(
        "patient_id,sex_at_birth,birth_date,baseline_date,vital_status,last_contact_date\n"
        "AA-00001,=cmd,1961,2022-03-21,alive,2023-01-01\n", encoding="utf-8",
    )  # fmt: skip
    first = checked(tmp_path, source).manifest
    made = annotated(tmp_path, "demographics.annotated.xlsx")
    (row,) = [one for one in queries(made).values() if one["cell"]]
    assert (row["cell"], row["found"]) == ("B2", "=cmd")
    page = openpyxl.load_workbook(made).worksheets[0]
    assert page["B2"].data_type == "s" and page["B2"].quotePrefix
    second = checked(tmp_path, made).manifest
    assert second["findings"]["error"] == first["findings"]["error"] == 1
    assert second["balance"] == first["balance"]


def test_a_spanish_form_is_answered_in_spanish(tmp_path: Path, type_in_office: Type) -> None:
    form = tmp_path / "centro.xlsx"
    write_template(STUDY, form, "es", example=True)
    book = openpyxl.load_workbook(form)
    page = book["Datos demográficos"]
    letter = next(cell.column_letter for cell in page[3] if str(cell.value).startswith("Peso"))
    page[f"{letter}4"].value, page[f"{letter}5"].value = 160, 160
    book.save(form)
    checked(tmp_path, form)
    made = annotated(tmp_path, "centro.annotated.xlsx")
    asked = openpyxl.load_workbook(made)["Queries"]
    assert [cell.value for cell in asked[1]] == Speech("es").heads(QUERY_COLUMNS)
    rows = {row[2].value: row for row in asked.iter_rows(min_row=2)}
    first, second = rows[f"{letter}4"], rows[f"{letter}5"]
    assert (
        first[7].value == "Peso: Fuera del intervalo habitual, de 35 a 150 kg; se carga tal cual."
        and first[8].value == "Nueva"
    )
    assert openpyxl.load_workbook(made)["Datos demográficos"][f"{letter}4"].comment.text.startswith(
        "Caseweave: aviso unusual-value. Fuera del intervalo habitual, de 35 a 150 kg; se carga tal cual. Quizá: 160 "
    )
    answers = {
        ("Queries", first[9].coordinate): "Confirmado: pesado dos veces",
        ("Queries", second[9].coordinate): "confirmada",
    }
    checked(tmp_path, type_in_office(made, answers))
    again = {row[0].value: row for row in openpyxl.load_workbook(made)["Queries"].iter_rows(min_row=2)}
    assert again[first[0].value][8].value == "Cerrada"
    assert again[second[0].value][8].value == "Actualizada"
    assert "Responda `confirmado:` con el motivo." in again[second[0].value][7].value
    assert "Valores de 0" not in (tmp_path / "ws" / "report.html").read_text(encoding="utf-8")
    # who asks for a language gets it, whatever the template speaks
    check(STUDY, [form], Workspace(tmp_path / "ws"), Options(key_file=tmp_path / "breast.key", language="en"))
    assert openpyxl.load_workbook(made)["Queries"]["I1"].value == "status"


@pytest.mark.parametrize("kind", ["ods", "xls"])
def test_other_kinds_of_workbooks_come_back_as_xlsx(tmp_path: Path, form: Path, soffice: Convert, kind: str) -> None:
    checked(tmp_path, form)
    before = queries(annotated(tmp_path))
    source = tmp_path / f"site-a.{kind}"
    source.write_bytes(soffice(form, kind).read_bytes())
    checked(tmp_path, source)
    made = annotated(tmp_path)
    after = queries(made)
    open_before = {name for name, row in before.items() if row["status"] != "Closed"}
    assert open_before == {name for name, row in after.items() if row["status"] != "Closed"}
    book = openpyxl.load_workbook(made)
    for sheet, patient, field, value in PLANTED:
        cell = cell_of(book, STUDY, sheet, patient, field)
        assert cell.fill.fgColor.rgb in ("FFFFC2B3", "FFFFE2A8"), (patient, field)
        assert cell.data_type != "f" and (value is None or str(cell.value) == str(value))


def test_nothing_of_it_leaves_private(tmp_path: Path, form: Path) -> None:
    checked(tmp_path, form)
    for path in (tmp_path / "ws").iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert [one for one in ("AA-00001", "woman?", "port side", "=1+1 very", "site-a") if one in text] == []
    state = json.loads((tmp_path / "ws" / "private" / "queries.json").read_text(encoding="utf-8"))
    assert {one["status"] for one in state["queries"]} == {"New"}


def test_of_two_rows_each_keeps_its_query(tmp_path: Path, form: Path) -> None:
    def planted(mend: bool) -> set[str]:
        book = openpyxl.load_workbook(form)
        first = cell_of(book, STUDY, "follow-up", "CC-00008", "visit_date")
        first.value = first.value if not mend else "2024-05-05"
        first.offset(row=1).value = "later"
        assert first.parent.cell(first.row + 1, 1).value == "CC-00008"
        book.save(form)
        checked(tmp_path, form)
        rows = queries(annotated(tmp_path)).values()
        return {row["id"] for row in rows if row["status"] == "New" and row["found"] == "later"}

    before = planted(mend=False)
    assert len(before) == 1 and planted(mend=True) == before
