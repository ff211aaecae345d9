"""JSON and BSON through the whole run: the same facts as from a workbook, findings and traces by JSON pointer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caseweave.errors import MappingError
from caseweave.run.trace import trace
from caseweave.run.workspace import Workspace
from caseweave.spec.loader import load_study

SHEETS = {
    "main.yaml": ("grain: one row per patient", 'grain: one row per patient\njson: {each: "patients[]"}'),
    "visits.yaml": ("key: [n]", 'key: [n]\njson: {each: "patients[].visits[]"}'),
}


@pytest.fixture
def documents(bench: Any) -> Any:
    """The small study, which reads documents too."""
    for name, (old, new) in SHEETS.items():
        edit(bench, name, old, new)
    edit(bench, "visits.yaml", "  pid: {", "  pid: {alias: ../pid, ")
    return bench


def edit(bench: Any, name: str, old: str, new: str) -> None:
    path = bench.studies / "mini" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def as_document(rows: Any) -> dict[str, Any]:
    from tests.unit.cli.conftest import HEADS

    def objects(tab: str) -> list[dict[str, Any]]:
        return [dict(zip(HEADS[tab], row, strict=True)) for row in rows[tab]]

    visits = objects("Visits")
    return {
        "patients": [
            {**one, "visits": [{k: v for k, v in visit.items() if k != "pid"} for visit in visits
                               if visit["pid"] == one["pid"]]}
            for one in objects("Main")
        ]
    }  # fmt: skip


def written(bench: Any, content: Any, name: str = "export.json") -> Path:
    path: Path = bench.folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def fhir(workspace: Path) -> list[str]:
    return sorted(line for path in (workspace / "fhir").glob("*.ndjson") for line in path.read_text().splitlines())


def test_a_document_gives_what_the_workbook_gives(documents: Any, clean: Any) -> None:
    assert documents.run(documents.form(clean)).code == 0
    from_workbook = fhir(documents.workspace)
    said = documents.run(written(documents, as_document(clean)), "--json")
    assert said.code == 0, said.err
    assert said.json["targets"]["fhir"]["new"] == said.json["targets"]["fhir"]["changed"] == 0
    assert said.json["targets"]["omop"]["new"] == said.json["targets"]["omop"]["changed"] == 0
    assert fhir(documents.workspace) == from_workbook
    balance = said.json["balance"]
    assert balance["cells"] == balance["loaded"] + balance["ignored"] + balance["missing"] + balance["rejected"]


def test_findings_and_traces_speak_in_pointers_and_name_nobody(
    documents: Any, dirty: Any, secrets: Any, public_bytes: Any
) -> None:
    content = as_document(dirty)
    content["patients"][0]["visits"][1]["Maria Lopez"] = {"said": "Maria"}
    assert documents.run(written(documents, content)).code == 1
    findings = json.loads((documents.workspace / "findings.json").read_text())
    places = {(one["rule"], one["cell"]) for one in findings}
    assert ("unknown-column", "/patients/0/visits/1") in places
    assert ("not-a-date", "/patients/2/birth") in places
    assert ("not-in-value-set", "/patients/2/sex") in places
    for name, content in public_bytes(documents.workspace).items():
        if name != "state.json":
            assert [one for one in secrets if one.encode() in content] == [], name

    workspace = Workspace(documents.workspace)
    found = trace(workspace, "Visits!/patients/0/visits/1/ki67")
    assert [(one.field, one.cell) for one in found.cells] == [("ki67", "/patients/0/visits/1/ki67")]
    (way,) = found.ways
    assert ("n", "/patients/0/visits/1/n") in {(one.field, one.cell) for one in way.cells}
    assert trace(workspace, way.fhir[0]).ways[0].cells == way.cells
    assert len(trace(workspace, "visits!/patients/0/pid").ways) == 2


def test_documents_need_a_study_that_says_where(bench: Any, documents: Any) -> None:
    path = written(documents, {"patients": []})
    said = documents("run", path, "-o", documents.workspace)
    assert said.code == 2 and "Name a study whose sheets have `json: {each: ...}`" in said.err
    for name, (old, new) in SHEETS.items():
        edit(documents, name, new, old)
    said = documents.run(path)
    assert said.code == 2 and "study mini doesn't say where its rows stand" in said.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("patients[].visits[]", "patients[]visits", "keys with . between them"),
        ("patients[].visits[]", "", "keys with . between them"),
        ("{each: ", "{every: ", "unknown key 'every'"),
        ("alias: ../pid", "alias: ../../../pid", "field 'pid' lies outside the document"),
    ],
)
def test_a_place_that_cannot_be(documents: Any, old: str, new: str, said: str) -> None:
    edit(documents, "visits.yaml", old, new)
    with pytest.raises(MappingError, match=r"mini/visits\.yaml:\d+: .*" + said):
        load_study(documents.studies / "mini")
