"""`caseweave omop`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from caseweave.run.workspace import Workspace


class Action(StrEnum):
    """What is done with a database."""

    INIT = "init"


class Version(StrEnum):
    """The CDMs."""

    V5_4 = "5.4"
    V5_3 = "5.3"


def omop(
    action: Annotated[Action, typer.Argument(metavar="init", show_default=False, help="What to do: init makes a CDM.")],
    dsn: Annotated[
        str,
        typer.Argument(
            metavar="DSN", show_default=False, help="The PostgreSQL database, as postgresql://USER@HOST/DATABASE."
        ),
    ],
    cdm: Annotated[
        Version, typer.Option("--cdm", help="The version; 5.3 comes with the oncology extension.")
    ] = Version.V5_4,
    imaging: Annotated[bool, typer.Option("--imaging", help="Add IMAGE_OCCURRENCE and IMAGE_FEATURE.")] = False,
    schema: Annotated[
        str, typer.Option("--schema", metavar="SCHEMA", help="Where the CDM goes; made where it isn't there.")
    ] = "public",
    vocabulary_schema: options.VocabularySchema = None,
) -> None:
    """Make an OMOP CDM on PostgreSQL, with all keys, for `caseweave run --omop DSN`.

    In a schema that holds this CDM already, only the tables are made that Caseweave keeps for itself: so its owner
    prepares it for a user who may not create tables. The password comes from PGPASSWORD, .pgpass or a service file.
    """
    from caseweave.cli.show import count, say
    from caseweave.shapes.omop import omop_shapes
    from caseweave.targets.omop.connect import place
    from caseweave.targets.omop.server import create_cdm

    shapes = omop_shapes(cdm.value, oncology=cdm is Version.V5_3, imaging=imaging)
    made = create_cdm(dsn, shapes, schema.lower(), vocabulary_schema.lower() if vocabulary_schema else None)
    say(f"{count(len(made), 'table')} made in schema {schema.lower()} of the {place(dsn)}.")


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
