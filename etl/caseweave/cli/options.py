"""Options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

PASSWORD = "CASEWEAVE_WORKBOOK_PASSWORD"

Sources: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE...",
        show_default=False,
        help="Filled forms: .xlsx .xlsm .xltx .xltm .xls .xlsb .ods .csv .tsv, or folders of them.",
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
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Language: TypeAlias = Annotated[
    str,
    typer.Option("--language", metavar="CODE", help="The language of labels, as the study has them: en, es, ..."),
]
