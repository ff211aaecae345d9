"""The library's door: load a study, convert sources, look at what came out."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from caseweave.errors import UsageError
from caseweave.identity.keyfile import project_key
from caseweave.run.convert import Conversion, convert, write_to
from caseweave.run.reports import PRIVATE, rows_of
from caseweave.sources import read_sources
from caseweave.spec.loader import list_studies as list_specs
from caseweave.spec.loader import load_study as load_spec
from caseweave.spec.models import Study as Spec
from caseweave.targets.omop.sqlite import SqliteDatabase
from caseweave.terms import open_terms
from caseweave.values.grid import Source

if TYPE_CHECKING:
    import pandas

PathLike = str | os.PathLike[str]


def load_study(name: PathLike, *, studies: Sequence[PathLike] = ()) -> Study:
    """Load a study by its name, or from its folder.

    >>> load_study("breast").name
    'breast'

    Arguments: `studies` are folders of studies that are asked before the packaged ones. Raises MappingError, with file
    and line, where the study can't be understood.
    """
    return Study(load_spec(str(name), studies=[Path(one) for one in studies]))


def list_studies(*, studies: Sequence[PathLike] = ()) -> list[str]:
    """The names of all studies at hand.

    >>> "breast" in list_studies()
    True

    Arguments: `studies` are folders of studies beside the packaged ones.
    """
    return sorted(list_specs(studies=[Path(one) for one in studies]))


class Study:
    """A case report form and what it means.

    >>> load_study("breast").version
    '1.0.0'
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.name

    @property
    def version(self) -> str:
        """The version of its mapping."""
        return self.spec.version

    def __repr__(self) -> str:
        return f"<Study {self.name} {self.version}>"

    def convert(
        self,
        sources: PathLike | Iterable[PathLike],
        *,
        key_file: PathLike | None = None,
        vocabulary: PathLike | None = None,
        site: str = "",
        password: str | None = None,
        today: datetime.date | None = None,
    ) -> Result:
        """Turn filled forms into FHIR resources and OMOP rows, in memory; nothing is sent and no output is written.

        >>> load_study("breast").convert("site-a.xlsx").balance  # doctest: +SKIP
        {'cells': 214, 'loaded': 201, 'ignored': 9, 'missing': 4, 'rejected': 0}

        Arguments: `sources`, a file, a folder, or several; `key_file` of the project, else its usual place (where it is
        made on a project's first use, so that pseudonyms stay the same); `vocabulary`, a folder with an Athena
        download; `site` of all patients, where the study doesn't tell it; `today`, after which dates lie in the future.
        Raises SourceError for a file that can't be read, MappingError for a study that can't be compiled.
        """
        paths = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
        spec = self.spec
        key = project_key(spec.project or spec.name, key_file=_path(key_file))
        read = read_sources([Path(one) for one in paths], password=password, study=spec)
        terms = open_terms(_path(vocabulary))
        made = convert(spec, read, key=key, terms=terms, today=today, site=site)
        given = Given(spec, read, _path(key_file), _path(vocabulary), site, today)
        return Result(made, {source.alias: source.path for source in read}, given)


@dataclass(frozen=True)
class Given:
    """What a conversion was made of, to make it again against what a workspace holds."""

    study: Spec
    sources: Sequence[Source]
    key_file: Path | None
    vocabulary: Path | None
    site: str
    today: datetime.date | None


@dataclass(frozen=True)
class Delivery:
    """What a delivery came to.

    >>> Delivery({"run": 1}, 0).exit_code
    0

    Arguments: `manifest`, the workspace's manifest.json after it, of a dry run what would be done; `exit_code`, that of
    the command line: 0 all loaded, 1 some input rejected, 3 a server lacks something (deliver again), 4 a dry run of
    what would be refused.
    """

    manifest: Mapping[str, Any]
    exit_code: int


class Result:
    """What a conversion made; each part is computed when it is first asked for.

    >>> result = load_study("breast").convert("site-a.xlsx")  # doctest: +SKIP
    >>> result.omop["measurement"]  # doctest: +SKIP
    """

    def __init__(self, conversion: Conversion, files: Mapping[str, str], given: Given | None = None) -> None:
        self._conversion, self._files, self._given = conversion, files, given

    @property
    def balance(self) -> dict[str, int]:
        """Every non-empty data cell once: loaded, ignored, missing or rejected."""
        return self._conversion.balance

    @property
    def facts(self) -> int:
        """The number of clinical facts."""
        return len(self._conversion.applied.facts)

    @property
    def subjects(self) -> dict[str, str]:
        """Pseudonyms by patient id as typed; it names persons and stays at home."""
        known = self._conversion.applied.subjects
        return {patient_id: known.names[number] for (_, patient_id), number in known.by_id.items()}

    @cached_property
    def findings(self) -> pandas.DataFrame:
        """What is wrong or doubtful, one row per finding, with sheet and cell, and what was typed (`found`)."""
        import pandas

        rows = rows_of(self._conversion, self._files)
        return pandas.DataFrame(rows, columns=list(PRIVATE))

    @cached_property
    def omop(self) -> OmopTables:
        """OMOP rows as DataFrames with the CDM's columns, integers counted from 1."""
        with SqliteDatabase(None, self._conversion.omop.settings.shapes) as database:
            write_to(database, self._conversion)
            vocabulary = ("concept", "vocabulary", "domain", "concept_class")
            return OmopTables(
                {name: _frame(database, name) for name in (*database.count(), *vocabulary)}, database.shapes
            )

    @cached_property
    def fhir(self) -> FhirResources:
        """FHIR resources as dicts, by type."""
        lines: dict[str, list[bytes]] = {}
        renderer = self._conversion.fhir
        for number in range(len(self._conversion.applied.facts.batches)):
            for resource_type, _, found in renderer.resources(number):
                lines.setdefault(resource_type, []).extend(found)
        return FhirResources(lines)

    def deliver(
        self,
        workspace: PathLike,
        *,
        fhir: str | None = None,
        omop: str | None = None,
        omop_schema: str = "public",
        vocabulary_schema: str | None = None,
        stream: str = "main",
        as_of: datetime.datetime | None = None,
        increment: bool = False,
        complete: bool = False,
        retract: Literal["", "all"] = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Delivery:
        """Bring a workspace, and with it an OMOP database and a FHIR server, to what the forms say; only what differs.

        >>> result = load_study("breast").convert("site-a.xlsx")  # doctest: +SKIP
        >>> result.deliver("caseweave-breast", omop="postgresql://etl@cdm.example/omop").exit_code  # doctest: +SKIP
        0

        The same as `caseweave run`: the folder keeps the ledger, so that the forms again write nothing. Arguments:
        `workspace`, a new folder or that of earlier deliveries; `fhir`, a server's base address, credentials from the
        CASEWEAVE_FHIR_ variables; `omop`, a DSN without a password, else DIR/omop.sqlite or the database of earlier
        deliveries; `omop_schema` and `vocabulary_schema` there; the others as the options of `caseweave run`. Raises
        Refusal for what would harm data, UsageError for wrong arguments, TargetError where a database or server can't
        be reached: the workspace then holds what is to be delivered again.
        """
        from caseweave.run.database import OmopServer
        from caseweave.run.pipeline import Options
        from caseweave.run.script import deliver

        if self._given is None:
            raise UsageError("This result can't be delivered.", way_out="Deliver what Study.convert gives.")
        given = self._given
        options = Options(
            key_file=given.key_file,
            vocabulary=given.vocabulary,
            site=given.site,
            today=given.today,
            stream=stream,
            as_of=as_of,
            increment=increment,
            complete=complete,
            retract=retract,
            force=force,
            omop=OmopServer(omop, omop_schema, vocabulary_schema) if omop else None,
            validate="templates",
        )
        done = deliver(given.study, given.sources, Path(workspace), options, fhir=fhir, dry_run=dry_run)
        return Delivery(done.manifest, done.exit_code)


def _path(given: PathLike | None) -> Path | None:
    return Path(given) if given else None


def _frame(database: SqliteDatabase, table: str) -> pandas.DataFrame:
    import pandas

    columns = [one.name for one in database.shapes.tables[table].fields]
    return pandas.DataFrame(database.select(f"SELECT {', '.join(columns)} FROM {table}"), columns=columns)


class OmopTables(Mapping[str, Any]):
    """OMOP tables by name; one without rows is an empty DataFrame with its columns."""

    def __init__(self, frames: Mapping[str, pandas.DataFrame], shapes: Any) -> None:
        self._frames, self._shapes = frames, shapes

    def __getitem__(self, name: str) -> pandas.DataFrame:
        if name in self._frames:
            return self._frames[name]
        import pandas

        return pandas.DataFrame(columns=[one.name for one in self._shapes.tables[name].fields])

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


class FhirResources(Mapping[str, list[dict[str, Any]]]):
    """FHIR R4 resources by type, as dicts, as JSON lines, as XML, or as fhir.resources objects."""

    def __init__(self, lines: Mapping[str, list[bytes]]) -> None:
        self._lines = lines

    def __getitem__(self, resource_type: str) -> list[dict[str, Any]]:
        import orjson

        return [orjson.loads(line) for line in self._lines.get(resource_type, ())]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._lines))

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self, resource_type: str) -> list[bytes]:
        """The resources of a type as JSON text, numbers with the digits of the form."""
        return list(self._lines.get(resource_type, ()))

    def xml(self, resource_type: str) -> list[bytes]:
        """The resources of a type as FHIR XML, numbers with the digits of the form."""
        from caseweave.shapes.fhir import fhir_shapes
        from caseweave.targets.fhir.xml import to_xml

        shapes = fhir_shapes()
        return [to_xml(line, shapes) for line in self._lines.get(resource_type, ())]

    def models(self, resource_type: str) -> list[Any]:
        """The resources of a type as objects of fhir.resources (R4B, which equals R4 for what is used here)."""
        from fhir.resources.R4B import get_fhir_model_class

        model = get_fhir_model_class(resource_type)
        return [model.model_validate_json(line) for line in self._lines.get(resource_type, ())]
