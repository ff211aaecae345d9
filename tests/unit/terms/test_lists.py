"""The lists of systems, displays, answers and conventions: what is shipped, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from caseweave.errors import MappingError
from caseweave.terms import conventions, displays, systems
from caseweave.terms.conventions import read_conventions
from caseweave.terms.presence import presence
from caseweave.terms.subset import COLUMNS, load_subset
from caseweave.values.types import Coding


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_shipped_systems() -> None:
    found = systems()
    assert (found.systems["SCT"].url, found.systems["SCT"].omop) == ("http://snomed.info/sct", "SNOMED")
    assert found.systems["CM"].url == "" and found.systems["DAR"].omop == ""
    assert all(url.startswith(("http://", "https://", "urn:")) for url in found.profiles.values())
    assert all(url.startswith(("http://", "https://", "urn:")) for url in found.extensions.values())


def test_a_study_adds_systems(tmp_path: Path) -> None:
    path = write(
        tmp_path / "systems.yaml",
        "systems:\n  LOCAL: {url: 'urn:local'}\n  SCT: {url: 'http://snomed.info/sct', omop: SNOMED}\n",
    )
    assert systems([path]).systems["LOCAL"].url == "urn:local"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("system: {}\n", 1, "unknown key 'system'"),
        ("systems: [SCT]\n", 1, "isn't a mapping"),
        ("systems:\n  X: http://example.org\n", 2, "isn't described"),
        ("systems:\n  X: {uri: http://example.org}\n", 2, "isn't described"),
        ("systems:\n  SCT: {url: 'http://example.org'}\n", 2, "means something else already"),
        ("profiles:\n  mcode-tumor: somewhere\n", 2, "isn't a url"),
        ("extensions:\n  data-absent-reason: http://example.org\n", 2, "means something else already"),
    ],
)
def test_systems_that_are_refused(tmp_path: Path, text: str, line: int, problem: str) -> None:
    with pytest.raises(MappingError, match=problem) as raised:
        systems([write(tmp_path / "systems.yaml", text)])
    assert raised.value.data["line"] == line and raised.value.way_out


def test_shipped_displays_name_known_systems() -> None:
    known = systems().systems
    assert {alias for alias, _ in displays()} <= set(known)


def test_displays(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "system,code,display,source\nX,1,Positive (qualifier value),here\n")
    write(tmp_path / "b.csv", "system,code,display,source\nX,1,positive,there\n")
    found = displays([tmp_path])["X", "1"]
    assert (found.text, found.source) == ("Positive (qualifier value)", "here")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("system,code,display,source\nX,1,Negative,there\n", r"X\|1 is 'Negative' here and 'Positive' in \S*a\.csv:2"),
        ("system,code,display\nX,1,Positive\n", "not a list of codes"),
        ("system,code,display,source\nX,2,Two,\n", "a row isn't complete"),
        ("system,code,display,source\nX,2\n", "a row isn't complete"),
        ("system,code,display,source\nX,2,Two,there,more\n", "a row isn't complete"),
    ],
)
def test_displays_that_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path / "a.csv", "system,code,display,source\nX,1,Positive,here\n")
    write(tmp_path / "b.csv", text)
    with pytest.raises(MappingError, match=problem):
        displays([tmp_path])


def test_shipped_presence() -> None:
    found = presence()
    assert Coding("SCT", "373066001") in found.yes and Coding("SCT", "373067005") in found.no
    assert Coding("SCT", "261665006") in found.unknown


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("maybe: [SCT|1]\n", 1, "'maybe' isn't a list of codes"),
        ("yes: SCT|1\n", 1, "'yes' isn't a list of codes"),
        ("yes:\n  - SCT|1\n  - '1'\n", 3, "isn't a code"),
        ("yes: [SCT|1]\nno: [SCT|1]\n", 2, "means two things"),
    ],
)
def test_presence_that_is_refused(tmp_path: Path, text: str, line: int, problem: str) -> None:
    with pytest.raises(MappingError, match=problem) as raised:
        presence(write(tmp_path / "presence.yaml", text))
    assert raised.value.data["line"] == line


def test_shipped_conventions() -> None:
    found = conventions()
    assert found["event-field-condition"] == 1147127 and found["case-report-form"] == 32809
    assert found["disease-episode"] == 32533 and 32528 not in found.values()
    assert all("not verified" in one.source for one in read_conventions() if one.concept_id in (1147165, 756290))


@pytest.mark.parametrize(
    "row", ["a,1,", "a,x,here", ",1,here", "a,1,here\na,2,there", "a", "a,-1,here"], ids=["", "x", "n", "2", "a", "-"]
)
def test_conventions_that_are_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(MappingError, match="incomplete, or stands here twice"):
        conventions(write(tmp_path / "c.csv", f"name,concept_id,source\n{row}\n"))
    with pytest.raises(MappingError, match="not a list of conventions"):
        conventions(write(tmp_path / "c.csv", "name,concept_id\n"))


ROW = "1,Breast cancer,Condition,SNOMED,Disorder,S,B1,"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (f"{ROW},,,here\n{ROW},,,here", "concept 1 stands here twice"),
        (f"{ROW},1;2,,here", "an id isn't a number"),
        (f"x{ROW},,,here", "an id isn't a number"),
    ],
)
def test_a_subset_that_is_refused(tmp_path: Path, rows: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem):
        load_subset(write(tmp_path / "s.csv", f"{','.join(COLUMNS)}\n{rows}\n"))
    with pytest.raises(MappingError, match="not the columns"):
        load_subset(write(tmp_path / "s.csv", "concept_id,concept_name\n"))
