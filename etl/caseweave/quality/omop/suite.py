"""The checks of a CDM: the kinds of validators/omop/checks.yaml, asked of the fields that the CDM has."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from caseweave.assets import data_path
from caseweave.quality.omop.kinds import KINDS, Place
from caseweave.quality.omop.lists import FOLDER, Given, read_list
from caseweave.quality.omop.models import Check
from caseweave.shapes.omop import OmopShapes, Table
from caseweave.spec.yamlfile import read_yaml

Dialect = Literal["sqlite", "postgresql"]
THIS_YEAR = "this-year"


FILLED = "{field} IS NOT NULL"


class _Later:
    """A date and some days after it, written `{later:the date}`, as a dialect has it."""

    def __init__(self, template: str, days: str) -> None:
        self.template, self.days = template, days

    def __format__(self, date: str) -> str:
        return self.template.format(date, self.days)


def omop_suite(
    shapes: OmopShapes,
    dialect: Dialect,
    today: datetime.date | None = None,
    thresholds: Iterable[Mapping[str, str]] = (),
) -> tuple[Check, ...]:
    """The checks of a CDM as one database runs them.

    >>> from caseweave.shapes.omop import omop_shapes
    >>> suite = omop_suite(omop_shapes("5.4"), "sqlite")
    >>> next(one.where for one in suite if one.id == "isRequired.person.gender_concept_id")
    't."gender_concept_id" IS NULL'

    Arguments: `today`, whose year is the last in which somebody can be born; `thresholds`, rows like those of
    validators/omop/fields.csv, which go before them.
    The kinds and names are those of OHDSI's DataQualityDashboard, sorted as Kahn et al. 2016.
    """
    path = data_path("validators") / FOLDER / "checks.yaml"
    tree, _ = read_yaml(path, "omop/checks.yaml")
    given = Given.of([*read_list("fields"), *thresholds])
    year = str((today or datetime.date.today()).year)
    found = []
    for name, kind in tree["checks"].items():
        for place in KINDS[name](shapes, given):
            found.append(_check(name, kind, place, shapes, tree["dialects"][dialect], given, year))
    return tuple(found)


def _check(
    name: str,
    kind: Mapping[str, Any],
    place: Place,
    shapes: OmopShapes,
    dialect: Mapping[str, Any],
    given: Given,
    year: str,
) -> Check:
    table = shapes.tables[place.table]
    value = place.words.get("value") or given.get("value", name, place.table, place.field).replace(THIS_YEAR, year)
    words = _words(table, place.field, dialect, value) | dict(place.words)
    category, _, subcategory = kind["kahn"].partition("/")
    key = key_of(table)
    if "key" in kind:
        key = tuple(kind["key"].split("."))
    asked = "where" in kind
    source = ""
    if asked:
        joined = [kind.get("from", "{table} t"), kind.get("join", "")]
        source = " ".join(filter(None, (_put(one, words) for one in joined)))
    return Check(
        id=".".join(filter(None, (name, place.table, place.field, place.told))),
        name=name,
        table=place.table,
        field=place.field,
        category=category,
        subcategory=subcategory,
        context=kind["context"],
        asks=_put(kind["asks"], words),
        threshold=float(given.get("threshold", name, place.table, place.field) or 0),
        needs=tuple(_needs(place, kind, key)) if asked else (),
        source=source,
        total=_put(kind.get("total", FILLED), words) if asked else "",
        where=_put(kind["where"], words) if asked else "",
        key=key if asked else None,
        filled=asked and "from" not in kind and _asks_filled(kind.get("total", FILLED)),
    )


def _asks_filled(total: str) -> bool:
    """Whether no row in which the field is null is asked."""
    return total == "{field} <> 0" or FILLED in total.split(" AND ")


def key_of(table: Table) -> tuple[str, str] | None:
    """Table and column by which its rows are named: the key, or the person's where it has none."""
    column = table.id_column or ("person_id" if table.field("person_id") else None)
    return (table.name, column) if column else None


def _needs(place: Place, kind: Mapping[str, Any], key: tuple[str, str] | None) -> Iterator[tuple[str, str]]:
    if place.field:
        yield place.table, place.field
    yield from place.needs
    if key:
        yield key


def _words(table: Table, name: str, dialect: Mapping[str, Any], value: str) -> dict[str, Any]:
    """What a template may name."""
    words: dict[str, Any] = {
        "table": table.name,
        "name": name,
        "field": f't."{name}"',
        "key": (key_of(table) or ("", ""))[1],
        "today": dialect["today"],
        "value": value.replace("|", ", "),
        "values": ", ".join(f"'{one}'" for one in value.split("|")),
        "later": _Later(dialect["later"], value),
    }
    field = table.field(name)
    if field is not None:
        kind = "datetime" if field.datatype == "datetime" else "date"
        words["day"] = dialect["day"][kind].format(words["field"])
        words["datatype"] = field.datatype
        broken = "varchar" if field.width else "text" if field.datatype.startswith("varchar") else field.datatype
        words["broken"] = dialect["broken"][broken].format(words["field"], field.width)
        words["fk_table"], words["fk_field"] = field.fk_table, field.fk_field
    return words


def _put(template: str, words: Mapping[str, Any]) -> str:
    return " ".join(template.format_map(words).split())
