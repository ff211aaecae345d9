"""`caseweave omop`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from caseweave.run.workspace import Workspace


class Action(StrEnum):
    """What is done with a database."""

    INIT = "init"
    CHECK = "check"


class Version(StrEnum):
    """The CDMs."""

    V5_4 = "5.4"
    V5_3 = "5.3"


def omop(
    action: Annotated[
        Action,
        typer.Argument(
            metavar="init|check",
            show_default=False,
            help="What to do: init makes an empty CDM, check asks a filled one whether it is sound.",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DSN",
            show_default=False,
            help="The PostgreSQL database, as postgresql://USER@HOST/DATABASE; check takes a workspace or an SQLite "
            "file too.",
        ),
    ],
    cdm: Annotated[
        Version | None,
        typer.Option(
            "--cdm",
            show_default="5.4; check: what the tables show",
            help="The version; 5.3 comes with the oncology extension.",
        ),
    ] = None,
    imaging: Annotated[bool, typer.Option("--imaging", help="With IMAGE_OCCURRENCE and IMAGE_FEATURE.")] = False,
    schema: Annotated[
        str, typer.Option("--schema", metavar="SCHEMA", help="Where the CDM is; init makes it where it isn't there.")
    ] = "public",
    vocabulary_schema: options.VocabularySchema = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            "--thresholds",
            metavar="FILE",
            show_default=False,
            help="check: a csv of check, table, field and threshold (percent of rows that may fail; * is any).",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", show_default=False, help="check: write all checks with their figures."),
    ] = None,
    junit: options.Junit = None,
) -> int:
    """Make an OMOP CDM on PostgreSQL for `caseweave run --omop DSN`, or check the quality of one that is filled.

    init: in a schema that holds this CDM already, only the tables are made that Caseweave keeps for itself: so its
    owner prepares it for a user who may not create tables. check: some two thousand questions in the manner of OHDSI's
    DataQualityDashboard; of a workspace, rows that fail are traced to their cells. Nothing is changed.
    The password comes from PGPASSWORD, .pgpass or a service file.
    """
    vocabulary = vocabulary_schema.lower() if vocabulary_schema else None
    if action is Action.CHECK:
        from caseweave.cli.omopcheck import check

        return check(
            target, cdm.value if cdm else "", imaging, schema.lower(), vocabulary, thresholds, json_file, junit
        )
    from caseweave.cli.show import count, say
    from caseweave.errors import UsageError
    from caseweave.shapes.omop import omop_shapes
    from caseweave.targets.omop.connect import place
    from caseweave.targets.omop.server import create_cdm

    if json_file or junit or thresholds:
        raise UsageError("`caseweave omop init` checks nothing.", way_out="Leave out --json, --junit and --thresholds.")
    version = cdm or Version.V5_4
    shapes = omop_shapes(version.value, oncology=version is Version.V5_3, imaging=imaging)
    made = create_cdm(target, shapes, schema.lower(), vocabulary)
    say(f"{count(len(made), 'table')} made in schema {schema.lower()} of the {place(target)}.")
    return 0


def transfer_to(
    workspace: Workspace,
    dsn: str,
    schema: str,
    vocabulary_schema: str | None,
    *,
    dry_run: bool,
    verify: bool,
    as_json: bool,
) -> None:
    """Bring a CDM on PostgreSQL to what a workspace holds, and say what that took."""
    from caseweave.cli.progress import clock
    from caseweave.cli.show import count, counts, entry, number, say, say_json
    from caseweave.run.database import OmopServer
    from caseweave.run.transfer import transfer

    with clock() as timer, timer.step("deliver"):
        found = transfer(workspace, OmopServer(dsn, schema, vocabulary_schema), dry_run=dry_run, verify=verify)
    if as_json:
        say_json(found)
        return
    lines = [entry("OMOP", f"{found['database']}{', nothing was written' if dry_run else ''}")]
    lines += [
        entry(name.capitalize(), f"{number(sum(found[name].values()))}: {counts(found[name])}")
        for name in ("new", "changed", "retracted")
        if found[name]
    ]
    lines.append(entry("Unchanged", count(found["unchanged"], "row")))
    if verify:
        lines.append(entry("Verified", _verified(found["verified"], dry_run)))
    say("\n".join(lines))


def _verified(found: Mapping[str, Any], dry_run: bool) -> str:
    """What was compared, and what others had done to it."""
    from caseweave.cli.show import count, counts

    done = "to be repaired" if dry_run else "repaired"
    words = (("changed", f"changed by others, {done}"), ("gone", f"deleted by others, {done}"))
    harm = [f"{said}: {counts(found[name])}" for name, said in words if found[name]]
    return "; ".join([count(found["compared"], "row"), *(harm or ["all as they should be"])])
