"""Real studies on a real server: everything stored as it was made, found, linked, valid; again nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.eucanimage.published import USE_CASES, records_path
from tests.live.fhir import forget, ours, references, run_into, send, sent, theirs, versions
from tests.services.hapi import Hapi

from caseweave.cli.app import run

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("hapi")]
HCC = "data/tcia/HCC-TACE-Seg_clinical_data-V2.xlsx"
FORMS = ("json", "xml")
# of each resource type, so many are judged by the server's own $validate
JUDGED = 12


@pytest.fixture(scope="module")
def hcc(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_into(tmp_path_factory.mktemp("hcc") / "out", "hcc-tace", shared / HCC).root


@pytest.fixture(scope="module")
def breast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("breast")
    assert run(["template", "breast", "--example", "-o", str(folder / "form.xlsx")]) == 0
    return run_into(folder / "out", "breast", folder / "form.xlsx").root


@pytest.fixture(scope="module")
def eucanimage(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("eucanimage")
    return [run_into(folder / one.study, one.study, records_path(one, shared)).root for one in USE_CASES]


def stored_found_linked(hapi: Hapi, *folders: Path) -> None:
    """The server holds exactly what workspaces tell, finds each patient by identifier, and no reference dangles."""
    here = {name: one for folder in folders for name, one in ours(folder).items()}
    there = {name: one for folder in folders for name, one in theirs(folder, hapi).items()}
    assert there.keys() == here.keys()
    assert [name for name, one in here.items() if there[name] != one] == []
    patients = {name: one["identifier"][0] for name, one in here.items() if name.startswith("Patient/")}
    asked = [f"{one['system']}|{one['value']}" for one in patients.values()]
    found = [
        one for n in range(0, len(asked), 50) for one in hapi.all("Patient", identifier=",".join(asked[n : n + 50]))
    ]
    assert {f"Patient/{one['id']}": one["identifier"][0] for one in found} == patients
    assert {ref for one in there.values() for ref in references(one)} <= there.keys()


def again_nothing(folder: Path, hapi: Hapi, form: str) -> None:
    before = versions(folder, hapi)
    again = send(folder, hapi, format=form)
    assert sent(again) == (0, 0, 0)
    assert again.summary["requests"] == 1  # the capability statement
    assert versions(folder, hapi) == before
    assert set(before.values()) == {"1"}


@pytest.mark.parametrize("form", ["json", pytest.param("xml", marks=pytest.mark.torture)])
def test_hcc_tace(hcc: Path, hapi: Hapi, form: str) -> None:
    forget(hcc)
    first = send(hcc, hapi, format=form)
    assert first.exit_code == 0, first
    assert sent(first) == (len(ours(hcc)), 0, 0)
    stored_found_linked(hapi, hcc)
    again_nothing(hcc, hapi, form)


@pytest.mark.parametrize("form", FORMS)
def test_breast_example(breast: Path, hapi: Hapi, form: str) -> None:
    forget(breast)
    assert sent(send(breast, hapi, format=form)) == (len(ours(breast)), 0, 0)
    stored_found_linked(hapi, breast)
    again_nothing(breast, hapi, form)


@pytest.mark.parametrize("form", FORMS)
def test_eucanimage(eucanimage: list[Path], hapi: Hapi, form: str) -> None:
    patients = 0
    for folder in eucanimage:
        forget(folder)
        first = send(folder, hapi, format=form)
        assert first.exit_code == 0, (folder.name, first)
        assert sent(first) == (len(ours(folder)), 0, 0)
        patients += sum(name.startswith("Patient/") for name in ours(folder))
    assert hapi.count("Patient") == patients == 29
    stored_found_linked(hapi, *eucanimage)
    for folder in eucanimage:
        again_nothing(folder, hapi, form)


@pytest.mark.parametrize("most", [JUDGED, pytest.param(10**6, marks=pytest.mark.torture, id="all")])
def test_the_server_itself_finds_no_error(
    hcc: Path, breast: Path, eucanimage: list[Path], hapi: Hapi, most: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, judged = [], 0
    for folder in (hcc, breast, *eucanimage):
        by_type: dict[str, list[str]] = {}
        here = ours(folder)
        for name in here:
            by_type.setdefault(name.partition("/")[0], []).append(name)
        for names in by_type.values():
            for name in names[:: max(1, len(names) // most)]:
                judged += 1
                wrong += [(folder.name, name, text) for text in hapi.validate(here[name])]
    with capsys.disabled():
        print(f"\n{judged} resources judged by the server's $validate")
    assert judged > 100
    assert wrong == []
    # it would find one: R4 forbids a value beside a reason why there is none
    broken = next(one for one in ours(breast).values() if "valueQuantity" in one)
    assert hapi.validate({**broken, "dataAbsentReason": {"text": "none"}}) != []
