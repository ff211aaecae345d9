"""Suites of expectations on disk, and the tables that they are about, for whoever has Great Expectations and not us."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caseweave.errors import Refusal
from caseweave.identity.keyfile import temporary_key
from caseweave.quality.expectations.planned import Column, column_name
from caseweave.quality.rules import rules_of
from caseweave.run.convert import convert
from caseweave.run.reports import safe
from caseweave.spec.models import Study
from caseweave.terms import open_terms
from caseweave.terms.presence import presence
from caseweave.values.grid import Source

if TYPE_CHECKING:
    from caseweave.quality.expectations.build import Suite
    from caseweave.quality.expectations.tables import CheckedTable

PLACE = ("source", "sheet_row")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: suites with their expectations, tables with their rows; `own`: rules of no suite."""

    suites: dict[str, int]
    own: tuple[str, ...]
    tables: dict[str, int]


def write_suites(
    study: Study, folder: Path, sources: Sequence[Source] = (), today: datetime.date | None = None
) -> Written:
    """Write a study's suites as JSON, and with `sources` the tables that they are about as csv.

    Arguments: `folder`, made where it isn't there; `today`, after which dates lie in the future. Raises Refusal where
    the folder has something else in it, SourceError and MappingError as `convert`.
    """
    from caseweave.quality.expectations.build import suite_json, suites

    rules = rules_of(study)
    made = suites(study, rules, presence())
    names = {f"{one.name.removeprefix(study.name + '.')}.json" for one in made}
    names |= {f"{one.sheet}.csv" for one in made}
    if folder.is_dir() and (foreign := sorted(one.name for one in folder.iterdir() if one.name not in names)):
        raise Refusal(f"the folder {folder} holds {foreign[0]}, which isn't ours", way_out="Name an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        text = json.dumps(suite_json(one, study, rules), indent=1, ensure_ascii=False)
        (folder / f"{one.name.removeprefix(study.name + '.')}.json").write_text(text + "\n", encoding="utf-8")
    tables = dict(_tables(study, made, folder, sources, today)) if sources else {}
    own = tuple(dict.fromkeys(one.rule for suite in made for one in suite.own))
    return Written({one.name: len(one.planned) for one in made}, own, tables)


def _tables(
    study: Study, made: Sequence[Suite], folder: Path, sources: Sequence[Source], today: datetime.date | None
) -> Iterator[tuple[str, int]]:
    from caseweave.quality.expectations.tables import CheckedTable

    day = today or datetime.date.today()
    # no pseudonym is written, so that any key will do
    key = temporary_key(study.project or study.name)
    applied = convert(study, sources, key=key, terms=open_terms(), today=day).applied
    for name, facts in applied.sheets.items():
        table = CheckedTable(study, facts, applied.sheets, day, applied.subjects.sites)
        wanted = dict.fromkeys(column for one in made if one.sheet == name for column in one.columns)
        columns = [column for column in wanted if table.has(column)]
        path = folder / f"{name}.csv"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)  # what was typed stands in it
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*PLACE, *map(column_name, columns)])
            rows = list(_rows(table, columns))
            writer.writerows(rows)
        yield path.name, len(rows)


def _rows(table: CheckedTable, columns: Sequence[Column]) -> Iterator[list[Any]]:
    facts = table.facts
    held = [_shown(table, column) for column in columns]
    for n, row in enumerate(table.rows(everywhere=False).tolist()):
        part = facts.table.parts[facts.table.part_of[row]]
        place = int(part.rows[facts.table.row_in_part[row]]) + 1
        yield [part.source, place, *(column[n] for column in held)]


def _shown(table: CheckedTable, column: Column) -> list[Any]:
    """A column as csv holds it; what a spreadsheet would take for a formula stays a text, keys of value sets stay."""
    one = table.facts.sheet.fields.get(column[0])
    keys = one.valueset.values if one is not None and one.valueset is not None else {}
    found = []
    for value in table.column(column, everywhere=False).tolist():
        if value is None or value != value:  # not a number: blank
            found.append("")
        elif isinstance(value, str):
            found.append(value if value in keys else safe(value))
        else:
            found.append(value)
    return found
