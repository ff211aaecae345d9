"""`caseweave explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from caseweave.cli import options

if TYPE_CHECKING:
    from caseweave.plan.explain import Explained
    from caseweave.spec.models import Study


def explain(
    study: Annotated[str, typer.Argument(metavar="STUDY", show_default=False, help="The study: its name or folder.")],
    field: Annotated[
        str | None,
        typer.Argument(metavar="[FIELD]", show_default=False, help="One field, as er_status or diagnosis.er_status."),
    ] = None,
    language: options.Language = "en",
    studies: options.Studies = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what each field of a study holds, what it means, and where in FHIR and OMOP it goes."""
    from dataclasses import asdict

    from caseweave.cli.show import say, say_json
    from caseweave.errors import UsageError
    from caseweave.plan.explain import explain as rows_of
    from caseweave.spec.loader import load_study
    from caseweave.spec.words import names_here

    found = load_study(study, studies=studies or ())
    rows = rows_of(found, field or "")
    if not rows:
        names = [name for sheet in found.sheets for name in sheet.fields]
        raise UsageError(f"Study {found.name} has no field '{field}'.", way_out=names_here(field or "", names))
    if as_json:
        say_json([{**asdict(one), "label": _label(found, one, language)} for one in rows])
    else:
        say("\n\n".join(_block(one, _label(found, one, language)) for one in rows))


def _label(study: Study, row: Explained, language: str) -> str:
    return study.sheet(row.sheet).fields[row.field].label.get(language) or row.label


def _block(row: Explained, label: str) -> str:
    from caseweave.cli.show import entry

    codes = [" ".join(filter(None, (one.local, one.code, one.display or one.label))) for one in row.codes]
    parts = (
        ("Holds", [", ".join(filter(None, (row.holds, row.part)))]),
        ("Ignored", [row.ignored] if row.ignored else []),
        ("Means", [f"{one.statement}: {one.slot} of {one.pattern}. {one.about}" for one in row.means]),
        ("FHIR", row.fhir),
        ("OMOP", row.omop),
        ("Codes", codes),
        ("Mapping", [f"{row.file}:{row.line}"]),
    )
    lines = [f"{row.sheet}.{row.field}{'  ' + label if label else ''}"]
    lines.extend(entry("" if n else name, text) for name, texts in parts for n, text in enumerate(texts))
    return "\n".join(lines)
