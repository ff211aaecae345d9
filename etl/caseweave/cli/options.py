"""Options that several commands share, each said once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

PASSWORD = "CASEWEAVE_WORKBOOK_PASSWORD"

WorkspaceFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="The workspace of a run.")
]
Sources: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help="Filled forms: .xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv, or folders of them; .json .ndjson .bson "
        "where the study says so.",
    ),
]
StudyName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="STUDY",
        show_default=False,
        help="The study: its name or folder. A template of Caseweave names its own.",
    ),
]
Studies: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--studies",
        metavar="DIR",
        show_default=False,
        help="A folder of studies of your own, asked before those that Caseweave ships. Can be given again.",
    ),
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        show_default="caseweave-STUDY",
        help="The workspace. The first run makes it; with a later run the same forms may come again, corrected.",
    ),
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        show_default=False,
        help="The project's key, from which pseudonyms are made. Default: CASEWEAVE_KEY_FILE, else the key "
        "in your configuration folder, made on first use.",
    ),
]
Vocabulary: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        metavar="FOLDER",
        show_default=False,
        help="An Athena download with the OMOP concepts, unpacked or as the zip. Default: the concepts that the "
        "shipped studies need.",
    ),
]
Site: TypeAlias = Annotated[
    str,
    typer.Option(
        "--site", metavar="SITE", show_default=False, help="The site of all patients, where the form is mute."
    ),
]
Stream: TypeAlias = Annotated[
    str,
    typer.Option(
        "--stream",
        metavar="NAME",
        help="The stream of sources this one belongs to. A run replaces only what its own stream said before.",
    ),
]


class Retraction(StrEnum):
    """What may be retracted beyond the usual."""

    ALL = "all"


AsOf: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        show_default=False,
        help="How old the forms are, as 2021-03-31 or 2021-03-31T18:00. Default: the time the workbook was saved; "
        "a csv counts as of now. Older forms after newer ones are refused.",
    ),
]
Increment: TypeAlias = Annotated[
    bool,
    typer.Option("--increment", help="The forms hold only what is new or corrected: nothing is retracted."),
]
Complete: TypeAlias = Annotated[
    bool,
    typer.Option("--complete", help="The forms hold everybody: patients who stand in none are retracted."),
]
Retract: TypeAlias = Annotated[
    Retraction | None,
    typer.Option(
        "--retract",
        show_default=False,
        help="Allow a run to empty a sheet, or to retract more than 20 facts and more than 5 % of one.",
    ),
]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Load forms that are older than what was loaded last, or superseded.")
]


Verify: TypeAlias = Annotated[
    bool, typer.Option("--verify", help="Compare the database's rows one by one, and repair what others did to them.")
]
Omop: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--omop",
        metavar="DSN",
        show_default=False,
        help="A PostgreSQL database with a CDM, written instead of DIR/omop.sqlite, now and in later runs: "
        "postgresql://USER@HOST/DATABASE or service=NAME. The password comes from PGPASSWORD, .pgpass or the service "
        "file.",
    ),
]
OmopToo: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--omop",
        metavar="DSN",
        show_default=False,
        help="A PostgreSQL database with a CDM: it is brought to what DIR/omop.sqlite holds.",
    ),
]
OmopSchema: TypeAlias = Annotated[str, typer.Option("--omop-schema", metavar="SCHEMA", help="The schema of the CDM.")]
VocabularySchema: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--vocabulary-schema",
        metavar="SCHEMA",
        show_default=False,
        help="The schema of CONCEPT, where it isn't the CDM's own or the one that the CDM's keys point to.",
    ),
]


Fhir: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--fhir",
        metavar="URL",
        show_default=False,
        help="A FHIR server to bring to what the workspace holds: its base address. Credentials come from the "
        "CASEWEAVE_FHIR_ variables.",
    ),
]


class Format(StrEnum):
    """How FHIR travels."""

    JSON = "json"
    XML = "xml"


class BundleKind(StrEnum):
    """What a FHIR server is sent."""

    TRANSACTION = "transaction"
    BATCH = "batch"
    MESSAGE = "message"


class Gzip(StrEnum):
    """Whether what is sent is compressed."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Confirm(StrEnum):
    """What is read back of what was stored."""

    QUICK = "quick"
    CONTENTS = "contents"


FhirFormat: TypeAlias = Annotated[Format, typer.Option("--fhir-format", help="What the FHIR server is sent.")]
Bundle: TypeAlias = Annotated[
    BundleKind,
    typer.Option("--bundle", help="How: a patient whole or not at all, each resource by itself, or messages."),
]


class Depth(StrEnum):
    """What of the FHIR output is validated before it is written."""

    NONE = "none"
    TEMPLATES = "templates"
    ALL = "all"


Validate: TypeAlias = Annotated[
    Depth,
    typer.Option(
        "--validate",
        help="Hold FHIR output against R4 and mCODE before anything is written: one resource of each kind, or every "
        "resource and where each reference leads (some thousands a second). A run stops, a check names the cells.",
    ),
]
Junit: TypeAlias = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", show_default=False, help="Write the checks as JUnit XML, for pipelines."),
]
CheckOmop: TypeAlias = Annotated[
    bool,
    typer.Option("--check-omop", help="Then ask the OMOP database what `caseweave omop check` asks; omop-check.json."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
AnswerLanguage: TypeAlias = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="CODE",
        show_default="that of the template",
        help="The language of report, comments and queries: en, es.",
    ),
]
Language: TypeAlias = Annotated[
    str,
    typer.Option("--language", metavar="CODE", help="The language of labels, as the study has them: en, es, ..."),
]
