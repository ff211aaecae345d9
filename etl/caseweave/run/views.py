"""What a conversion made, as a script looks at it: OMOP tables as DataFrames, FHIR resources by type."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from caseweave.errors import UnknownName
from caseweave.run.convert import Conversion, write_to
from caseweave.shapes.fhir import fhir_shapes
from caseweave.shapes.omop import OmopShapes
from caseweave.targets.omop.sqlite import SqliteDatabase

if TYPE_CHECKING:
    import pandas

_VOCABULARY = ("concept", "vocabulary", "domain", "concept_class")


class OmopTables(Mapping[str, "pandas.DataFrame"]):
    """OMOP tables by name: those with rows, and on demand each other one of the CDM, empty.

    >>> result.omop["measurement"].columns[0]  # doctest: +SKIP
    'measurement_id'

    Raises UnknownName, which is a KeyError too, for a table that the CDM hasn't got.
    """

    def __init__(self, frames: Mapping[str, pandas.DataFrame], shapes: OmopShapes) -> None:
        self._frames, self._shapes = frames, shapes

    def __getitem__(self, name: str) -> pandas.DataFrame:
        if not _among(name, self._shapes.tables):
            raise UnknownName(
                f"{self._shapes.name} has no table {name!r}.",
                way_out=f"With rows there are {', '.join(self)}.",
                name=name,
            )
        if name in self._frames:
            return self._frames[name]
        import pandas

        return pandas.DataFrame(columns=[one.name for one in self._shapes.tables[name].fields])

    def __contains__(self, name: object) -> bool:
        return _among(name, self._frames)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        return f"<{self._shapes.name}: {_counts({name: len(frame) for name, frame in self._frames.items()})}>"


class FhirResources(Mapping[str, list[dict[str, Any]]]):
    """FHIR R4 resources by type, as dicts, as JSON lines, as XML, or as fhir.resources objects.

    >>> result.fhir["Observation"][0]["status"]  # doctest: +SKIP
    'final'

    Raises UnknownName, which is a KeyError too, for a type that FHIR R4 hasn't got.
    """

    def __init__(self, lines: Mapping[str, list[bytes]]) -> None:
        self._lines = {name: lines[name] for name in sorted(lines)}

    def __getitem__(self, resource_type: str) -> list[dict[str, Any]]:
        import orjson

        return [orjson.loads(line) for line in self.lines(resource_type)]

    def __contains__(self, resource_type: object) -> bool:
        return _among(resource_type, self._lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"<FHIR R4: {_counts({name: len(lines) for name, lines in self._lines.items()})}>"

    def lines(self, resource_type: str) -> list[bytes]:
        """The resources of a type as JSON text, numbers with the digits of the form."""
        if not _among(resource_type, fhir_shapes().resources):
            raise UnknownName(
                f"FHIR R4 has no resource type {resource_type!r}.",
                way_out=f"Here are {', '.join(self) or 'none'}.",
                name=resource_type,
            )
        return list(self._lines.get(resource_type, ()))

    def xml(self, resource_type: str) -> list[bytes]:
        """The resources of a type as FHIR XML, numbers with the digits of the form."""
        from caseweave.targets.fhir.xml import to_xml

        return [to_xml(line, fhir_shapes()) for line in self.lines(resource_type)]

    def models(self, resource_type: str) -> list[Any]:
        """The resources of a type as objects of fhir.resources (R4B, which equals R4 for what is used here)."""
        lines = self.lines(resource_type)
        if not lines:
            return []
        from fhir.resources.R4B import get_fhir_model_class

        model = get_fhir_model_class(resource_type)
        return [model.model_validate_json(line) for line in lines]


def omop_tables(conversion: Conversion) -> OmopTables:
    """A conversion's OMOP rows, integers counted from 1; written to a database in memory."""
    import pandas

    with SqliteDatabase(None, conversion.omop.settings.shapes) as database:
        write_to(database, conversion)
        frames = {}
        for name in (*database.count(), *_VOCABULARY):
            columns = [one.name for one in database.shapes.tables[name].fields]
            rows = database.select(f"SELECT {', '.join(columns)} FROM {name}")
            frames[name] = pandas.DataFrame(rows, columns=columns)
        return OmopTables(frames, database.shapes)


def fhir_resources(conversion: Conversion) -> FhirResources:
    """A conversion's FHIR resources."""
    lines: dict[str, list[bytes]] = {}
    for number in range(len(conversion.applied.facts.batches)):
        for resource_type, _, found in conversion.fhir.resources(number):
            lines.setdefault(resource_type, []).extend(found)
    return FhirResources(lines)


def _among(name: object, names: Container[str]) -> bool:
    return isinstance(name, str) and name in names  # a list isn't even hashable


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in rows.items()) or "nothing"
