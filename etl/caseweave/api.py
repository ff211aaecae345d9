"""The library's door: load a study, convert sources, look at what came out."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from caseweave.errors import UsageError
from caseweave.identity.keyfile import project_key
from caseweave.issues import count_by_severity
from caseweave.quality.rules import Rule, rules_of
from caseweave.run import arguments
from caseweave.run.convert import Conversion, convert
from caseweave.run.reports import PRIVATE, rows_of
from caseweave.run.views import FhirResources, OmopTables, fhir_resources, omop_tables
from caseweave.sources import read_sources
from caseweave.spec.loader import list_studies as list_specs
from caseweave.spec.loader import load_study as load_spec
from caseweave.spec.models import Study as Spec
from caseweave.terms import open_terms
from caseweave.values.grid import Source

if TYPE_CHECKING:
    import pandas

PathLike = str | os.PathLike[str]
Paths = PathLike | Iterable[PathLike]


def load_study(name: PathLike, *, studies: Paths = ()) -> Study:
    """Load a study by its name, or from its folder.

    >>> load_study("breast").name
    'breast'

    Arguments: `studies` are folders of studies that are asked before the packaged ones. Raises MappingError, with file
    and line, where the study can't be understood; UsageError where there is none of this name.
    """
    named = str(arguments.a_path(name, "name"))
    return Study(load_spec(named, studies=arguments.paths(studies, "studies")))


def list_studies(*, studies: Paths = ()) -> list[str]:
    """The names of all studies at hand.

    >>> "breast" in list_studies()
    True

    Arguments: `studies` are folders of studies beside the packaged ones. Raises UsageError where one isn't a folder.
    """
    return sorted(list_specs(studies=arguments.paths(studies, "studies")))


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

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return rules_of(self.spec)  # a form of three patients is converted in the time that reading its rules takes

    def __repr__(self) -> str:
        return f"<Study {self.name} {self.version}: {', '.join(self.spec.sheet_keys)}>"

    def convert(
        self,
        sources: Paths,
        *,
        key_file: PathLike | None = None,
        vocabulary: PathLike | None = None,
        site: str = "",
        password: str | None = None,
        today: datetime.date | None = None,
    ) -> Result:
        """Turn filled forms into FHIR resources and OMOP rows, in memory; nothing is sent and no output is written.

        >>> load_study("breast").convert("site-a.xlsx")  # doctest: +SKIP
        <Result of breast 1.0.0: 3 patients, ... facts, ... of ... cells loaded, 1 message>

        Arguments: `sources`, a file, a folder, or several; `key_file` of the project, else its usual place (where it is
        made on a project's first use, so that pseudonyms stay the same); `vocabulary`, a folder with an Athena
        download; `site` of all patients, where the study doesn't tell it; `password` of protected workbooks; `today`,
        after which dates lie in the future. Raises SourceError for a file that can't be read, MappingError for a study
        that can't be compiled, UsageError for wrong arguments, Refusal for a key that others may read.
        """
        spec = self.spec
        files = arguments.paths(sources, "sources")
        if not files:
            raise UsageError("No source was given.", way_out="Look at what the list or the pattern was to find.")
        key_path = None if key_file is None else arguments.a_path(key_file, "key_file")
        athena = None if vocabulary is None else arguments.a_path(vocabulary, "vocabulary")
        arguments.a_text(site, "site", empty=True)
        if password is not None:
            arguments.a_text(password, "password", empty=True)
        day = None if today is None else arguments.a_day(today, "today")
        key = project_key(spec.project or spec.name, key_file=key_path)
        read = read_sources(files, password=password, study=spec)
        made = convert(spec, read, key=key, terms=open_terms(athena), today=day, site=site, rules=self._rules)
        given = Given(spec, read, key_path, athena, site, day)
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
    >>> result.omop["measurement"].columns[0]  # doctest: +SKIP
    'measurement_id'

    Its repr holds counts only. It can't be pickled, since the project's key is part of it; what it gives can.
    """

    def __init__(self, conversion: Conversion, files: Mapping[str, str], given: Given | None = None) -> None:
        self._conversion, self._files, self._given = conversion, files, given

    def __repr__(self) -> str:
        made, balance = self._conversion, self.balance
        found = count_by_severity(made.findings)
        told = ", ".join(_count(number, one) for one, number in found.items() if number) or "no findings"
        return (
            f"<Result of {made.study.name} {made.study.version}: "
            f"{_count(len(made.applied.facts.subjects), 'patient')}, {_count(self.facts, 'fact')}, "
            f"{balance['loaded']:,} of {_count(balance['cells'], 'cell')} loaded, {told}>"
        )

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "A Result can't be pickled or copied: the project's key is part of it.",
            way_out="Hand on what it gives, as result.omop and result.findings, or convert where it is needed.",
        )

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
        return omop_tables(self._conversion)

    @cached_property
    def fhir(self) -> FhirResources:
        """FHIR resources as dicts, by type."""
        return fhir_resources(self._conversion)

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
        >>> result.deliver("caseweave-breast").exit_code  # doctest: +SKIP
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
        folder = arguments.a_path(workspace, "workspace")
        arguments.a_text(stream, "stream")
        arguments.a_text(omop_schema, "omop_schema")
        for name, text in (("fhir", fhir), ("omop", omop), ("vocabulary_schema", vocabulary_schema)):
            if text is not None:
                arguments.a_text(text, name)
        if as_of is not None:
            arguments.a_moment(as_of, "as_of")
        arguments.one_of(retract, "retract", ("", "all"))
        arguments.switches({"increment": increment, "complete": complete, "force": force, "dry_run": dry_run})
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
        done = deliver(given.study, given.sources, folder, options, fhir=fhir, dry_run=dry_run)
        return Delivery(done.manifest, done.exit_code)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
