"""Every fault of the table: the outcome that a data manager would want, the right cell, no silently wrong value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.robustness.judge import (
    TODAY,
    Made,
    breast,
    converted,
    expected,
    finding_of,
    made,
    read,
    spoken,
    twin_of,
    undisturbed,
    value_at,
)
from tests.robustness.operators import GROUPS, OPERATORS
from tests.robustness.operators.book import Book, columns, place
from tests.robustness.operators.table import Operator
from tests.robustness.oracles import same
from tests.robustness.page import PAGE, page
from tests.services.office import Convert

from caseweave.errors import SourceError
from caseweave.run.convert import Conversion
from caseweave.run.pipeline import Options, run
from caseweave.run.workspace import Workspace
from caseweave.sources.child import Reader
from caseweave.values.grid import normal


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as one:
        yield one


def spoilt(operator: Operator, folder: Path) -> tuple[Path, Book]:
    book = Book.fresh()
    operator.apply(book)
    path = folder / book.name
    path.write_bytes(book.content())
    return path, book


@pytest.mark.parametrize("operator", [pytest.param(one, id=one.name) for one in OPERATORS])
def test_a_bad_workbook(operator: Operator, reader: Reader, tmp_path: Path) -> None:
    path, book = spoilt(operator, tmp_path)
    if operator.refused is not None:
        with pytest.raises(SourceError) as refusal:
            read(reader, path, book.password)
        assert type(refusal.value) is operator.refused and refusal.value.way_out
        assert operator.reason in refusal.value.data["reason"]
        return
    result = made(read(reader, path, book.password))
    judge(operator, result)
    if operator.moved:
        assert misplaced(result.conversion, path) == []


def judge(operator: Operator, result: Made, *, render: bool = False) -> None:
    """The findings are those that the table names, in their cells; and nothing but them differs from the twin."""
    found, findings = spoken(result.conversion.findings)
    assert found == expected(operator)
    for said in operator.says:
        finding = finding_of(said, findings)
        assert said.suggests is None or said.suggests in finding.suggestion
        assert not any(shown(typed) in finding.message + finding.expected for typed in operator.typed.values())
    for at, value in operator.reads.items():
        assert value_at(result.conversion, at) == value
    twin = twin_of(operator)
    assert result.differences(twin, render=render) == []
    if operator.outcome == "error":
        # equal to its twin, which never held what was typed; and yet
        usual = twin_of(Operator("", "")).told
        typed = [shown(one) for one in operator.typed.values() if len(shown(one)) > 5]
        assert not [one for one in typed if one in twin.told and one not in usual]


@pytest.mark.torture
@pytest.mark.parametrize("operator", [pytest.param(one, id=one.name) for one in OPERATORS if one.refused is None])
def test_what_goes_out_is_what_goes_out_of_the_careful_twin(operator: Operator, reader: Reader, tmp_path: Path) -> None:
    path, book = spoilt(operator, tmp_path)
    judge(operator, made(read(reader, path, book.password)), render=True)


# faults that LibreOffice keeps when it saves the workbook in another format
IN_EVERY_FORMAT = (
    "numbers-decimal-comma",
    "numbers-thousands-comma-or-decimal",
    "numbers-zero-width-space-behind",
    "numbers-negative",
    "numbers-censored-below-with-space",
    "numbers-metres-without-unit",
    "dates-february-30",
    "dates-true-date-for-text",
    "dates-slashes-that-can-be-two-dates",
    "dates-future",
    "identity-small-letters",
    "identity-zero-width-space-behind",
    "identity-key-twice",
    "identity-another-patients-id",
    "codes-typing-error",
    "codes-formula-as-text",
    "codes-number-of-a-list",
    "cells-error-not-available",
    "cells-error-division-by-zero",
    "cells-percent-format",
    "cells-hidden-sheet",
    "cells-hidden-row",
    "cells-merged-sideways",
    "layout-columns-shuffled",
    "layout-rows-above",
    "layout-column-more",
    "layout-sheet-missing",
)


@pytest.mark.torture
@pytest.mark.parametrize("to", ["xlsx", "ods", "xls"])
@pytest.mark.parametrize("name", IN_EVERY_FORMAT)
def test_the_same_fault_in_another_format(name: str, to: str, reader: Reader, soffice: Convert, tmp_path: Path) -> None:
    operator = next(one for one in OPERATORS if one.name == name)
    path, _ = spoilt(operator, tmp_path)
    judge(operator, made(read(reader, soffice(path, to))))


def test_what_was_typed_stays_at_home(tmp_path: Path) -> None:
    """A name in every cell of a patient: no file outside private/ tells it, and each cell is marked in the workbook."""
    import openpyxl

    book = Book.fresh()
    typed = {f"{at}@5": f"Zq-Garcia-{n}-Lopez" for n, at in enumerate(columns()) if not at.endswith("patient_id")}
    for at, value in typed.items():
        book.put(at, value)
    form, key = tmp_path / "form.xlsx", tmp_path / "key"
    form.write_bytes(book.content())
    workspace = Workspace(tmp_path / "out")
    outcome = run(breast(), [form], workspace, Options(key_file=key, today=TODAY))
    assert outcome.exit_code == 1
    files = [one for one in workspace.root.rglob("*") if one.is_file() and workspace.private not in one.parents]
    assert {"findings.csv", "report.html", "manifest.json", "omop.sqlite"} <= {one.name for one in files}
    assert [one.name for one in files if b"Zq-Garcia" in one.read_bytes()] == []
    annotated = openpyxl.load_workbook(workspace.private / "form.annotated.xlsx")
    tabs = {normal(one.title): one for one in annotated.worksheets}
    told = [at for at in typed if ".comments" not in at]
    unmarked = [at for at in told if tabs[place(at).partition("!")[0]][place(at).partition("!")[2]].comment is None]
    assert unmarked == []


def misplaced(conversion: Conversion, path: Path) -> list[str]:
    """Cells whose value, as another reader finds it in that place, isn't the one that was read from there."""
    import openpyxl

    workbook = openpyxl.load_workbook(path, data_only=True)
    wrong = []
    for facts in conversion.applied.sheets.values():
        table = facts.table
        for name, column in table.columns.items():
            for row in range(table.size):
                source, sheet, cell = table.origin(row, name)
                ours = column.distinct[column.codes[row]]
                (tab,) = conversion.layout.tabs[source, sheet]
                if not same(ours, workbook[tab][cell].value):
                    wrong.append(f"{sheet}!{cell}")
    return wrong


def shown(typed: object) -> str:
    """What was typed, where it is long enough not to stand in a sentence by chance."""
    return typed if isinstance(typed, str) and len(typed) > 2 else "\0"


def test_the_example_itself_has_nothing_to_say() -> None:
    found, _ = spoken(converted(undisturbed()).findings)
    assert found == {}


def test_names_tell_the_faults_apart() -> None:
    names = [one.name for one in OPERATORS]
    assert len(names) == len(set(names)) >= 120
    print("\n" + "\n".join(f"{group}: {len(operators)}" for group, operators in GROUPS.items()))
    assert all(one.name.startswith(f"{group}-") for group, operators in GROUPS.items() for one in operators)


def test_the_page_of_faults_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.robustness.page"
