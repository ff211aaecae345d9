"""`caseweave template`, and its workbook through `caseweave run`."""

from __future__ import annotations

import re
from typing import Any

import openpyxl


def test_a_template_is_written_and_names_its_study(bench: Any) -> None:
    said = bench("template", "mini", "--studies", bench.studies)
    assert said.code == 0, said.err
    assert "mini.xlsx: mini 1.0.0, 2 sheets" in said.out
    next_step = said.out.rpartition("then: caseweave ")[2].split()
    assert bench(*next_step).code == 0, "what it says to do next can be done"
    book = openpyxl.load_workbook(bench.folder / "mini.xlsx")
    assert {"Main", "Visits", "_caseweave"} <= set(book.sheetnames)


def test_the_shipped_example_goes_through_without_a_study_named(bench: Any) -> None:
    form = bench.folder / "form.xlsx"
    made = bench("template", "breast", "--example", "-o", form)
    assert made.code == 0
    told = re.search(r"Excel colours what (\d+) of (\d+) rules object to; (\d+) only when it comes back", made.out)
    assert told and int(told[1]) + int(told[3]) == int(told[2]) > 50
    said = bench("run", form, "--json")
    assert said.code == 0, said.err
    assert said.json["study"]["name"] == "breast"
    assert said.json["fhir"]["Patient"] == 3
    assert (bench.folder / "caseweave-breast" / "omop.sqlite").exists()
    assert len(bench("run", form).out.splitlines()) < 25


def test_labels_come_in_the_language_asked_for(bench: Any) -> None:
    for language in ("en", "es"):
        assert bench("template", "breast", "--language", language, "-o", f"{language}.xlsx").code == 0
    texts = [
        {
            cell.value
            for sheet in openpyxl.load_workbook(f"{one}.xlsx")
            for row in sheet.iter_rows(max_row=3)
            for cell in row
        }
        for one in ("en", "es")
    ]
    assert texts[0] != texts[1]


def test_a_study_without_example_patients_is_2(bench: Any) -> None:
    said = bench("template", "mini", "--studies", bench.studies, "--example")
    assert said.code == 2
    assert "no example" in said.err
    assert not (bench.folder / "mini.xlsx").exists()
