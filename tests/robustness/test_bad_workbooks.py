"""Every fault of the table: the outcome that a data manager would want, the right cell, no silently wrong value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.robustness.judge import converted, expected, finding_of, made, read, spoken, twin_of, undisturbed, value_at
from tests.robustness.operators import GROUPS, OPERATORS
from tests.robustness.operators.book import Book
from tests.robustness.operators.table import Operator

from caseweave.errors import SourceError
from caseweave.sources.child import Reader


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


@pytest.mark.parametrize("operator", [pytest.param(one, id=one.name) for one in OPERATORS if not one.slow])
def test_a_bad_workbook(operator: Operator, reader: Reader, tmp_path: Path) -> None:
    path, book = spoilt(operator, tmp_path)
    if operator.refused is not None:
        with pytest.raises(SourceError) as refusal:
            read(reader, path, book.password)
        assert type(refusal.value) is operator.refused and refusal.value.way_out
        assert operator.reason in refusal.value.data["reason"]
        return
    result = made(read(reader, path, book.password))
    conversion = result.conversion
    found, findings = spoken(conversion.findings)
    assert found == expected(operator)
    for said in operator.says:
        finding = finding_of(said, findings)
        assert said.suggests is None or said.suggests in finding.suggestion
        assert not any(shown(typed) in finding.message + finding.expected for typed in operator.typed.values())
    for at, value in operator.reads.items():
        assert value_at(conversion, at) == value
    twin = twin_of(operator)
    assert result.differences(twin) == []
    assert (
        sum(conversion.balance[one] for one in ("loaded", "ignored", "missing", "rejected"))
        == conversion.balance["cells"]
    )
    if any(one.severity == "error" for one in operator.says):
        # equal to its twin, which never held what was typed; and yet
        usual = twin_of(Operator("", "")).told
        typed = [shown(one) for one in operator.typed.values() if len(shown(one)) > 5]
        assert not [one for one in typed if one in twin.told and one not in usual]


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
