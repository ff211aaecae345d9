"""JSON, NDJSON and BSON: rows where the study says, digits kept, every cell with its pointer, broken files refused."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caseweave.errors import SourceDamaged, SourceError, SourceTooLarge, SourceUnsupported
from caseweave.sources import Limits, read_sources
from caseweave.sources.child import Reader
from caseweave.sources.jsonplan import JsonSheet
from caseweave.sources.reading import read_file
from caseweave.values.grid import Grid
from caseweave.values.types import Digits

PATIENTS = JsonSheet("Patients", "patients[]", ("id", "Birth Year", "tumour.grade", "whole"))
VISITS = JsonSheet("Visits", "patients[].visits[]", ("../id", "ki67", "lesions.0.size", "when"))
MANY = JsonSheet("Visits", "[].visits[]", ("../id", "ki67"))
SMALL = Limits(seconds=10, memory=1 << 30, depth=8, nodes=1000, document=10_000)


def read(path: Path, *sheets: JsonSheet, kind: str = "json", limits: Limits = SMALL) -> dict[str, Grid]:
    return {grid.name: grid for grid in read_file(path, kind, None, limits, sheets).grids}


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def table(grid: Grid) -> list[dict[str, Any]]:
    head = [grid.cell(0, column) for column in range(grid.width)]
    rows = ([grid.cell(row, column) for column in range(grid.width)] for row in range(1, grid.height))
    return [{str(name): value for name, value in zip(head, row, strict=True) if value is not None} for row in rows]


def places(grid: Grid) -> dict[str, list[str]]:
    return {
        str(grid.cell(0, column)): [grid.address(row, column) for row in range(1, grid.height)]
        for column in range(grid.width)
    }


DOCUMENT = """{"exported": "2021-01-01", "patients": [
  {"id": "007", "birth  year": 1960, "tumour": {"grade": 2, "size": 4.30}, "visits": [
     {"ki67": 20.50, "lesions": [{"size": 12}, {"size": 7}]}, {"ki67": null, "when": "2021-03"}]},
  {"id": "a/b", "visits": [{"ki67": true}], "whole": [1, 2.50]},
  {"id": "none"}]}"""


def test_rows_stand_where_the_sheets_say_and_parents_are_reached(tmp_path: Path) -> None:
    found = read(saved(tmp_path / "a.json", DOCUMENT), PATIENTS, VISITS)
    assert table(found["Visits"]) == [
        {"../id": "007", "ki67": Digits("20.50"), "lesions.0.size": 12, "lesions.1": '{"size": 7}'},
        {"../id": "007", "when": "2021-03"},
        {"../id": "a/b", "ki67": True},
    ]
    assert table(found["Patients"])[0] == {
        "../exported": "2021-01-01", "id": "007", "birth  year": 1960, "tumour.grade": 2, "tumour.size": Digits("4.30"),
    }  # fmt: skip
    assert table(found["Patients"])[1]["whole"] == '[1, "2.50"]'


def test_every_cell_knows_its_pointer_and_unmapped_keys_are_not_told(tmp_path: Path) -> None:
    found = places(read(saved(tmp_path / "a.json", DOCUMENT), PATIENTS, VISITS)["Visits"])
    assert found["ki67"] == [f"/patients/{at}/ki67" for at in ("0/visits/0", "0/visits/1", "1/visits/0")]
    assert found["../id"] == ["/patients/0/id", "/patients/0/id", "/patients/1/id"]
    assert found["lesions.0.size"][0] == "/patients/0/visits/0/lesions/0/size"
    assert found["lesions.1"][0] == "/patients/0/visits/0"


def test_keys_that_need_it_are_escaped_in_pointers(tmp_path: Path) -> None:
    sheet = JsonSheet("S", "a/b[]", ("x~y",))
    (grid,) = read(saved(tmp_path / "a.json", {"a/b": [{"x~y": 1}]}), sheet).values()
    assert grid.address(1, 0) == "/a~1b/0/x~0y"


@pytest.mark.parametrize(("name", "kind"), [("a.ndjson", "ndjson"), ("a.jsonl", "ndjson"), ("a.json", "json")])
def test_a_document_per_line(tmp_path: Path, name: str, kind: str) -> None:
    lines = '{"id": "1", "visits": [{"ki67": 1}]}\n\n{"id": "2", "visits": []}\n{"id": "3", "visits": [{"ki67": 3}]}\n'
    (grid,) = read(saved(tmp_path / name, lines), MANY, kind=kind).values()
    assert [row["../id"] for row in table(grid)] == ["1", "3"]
    assert places(grid)["ki67"] == ["/0/visits/0/ki67", "/2/visits/0/ki67"]


def test_what_mongodb_writes_for_its_own_types(tmp_path: Path) -> None:
    row = {
        "_id": {"$oid": "5f"}, "d": {"$date": "2021-03-02T23:30:00Z"}, "e": {"$date": {"$numberLong": "86400000"}},
        "n": {"$numberDecimal": "4.30"}, "i": {"$numberInt": "3"}, "bad": {"$date": "soon"},
    }  # fmt: skip
    (grid,) = read(saved(tmp_path / "a.json", [row]), JsonSheet("S", "[]", tuple(row))).values()
    assert table(grid) == [
        {
            "_id": "5f", "d": datetime.datetime(2021, 3, 2, 23, 30), "e": datetime.datetime(1970, 1, 2),
            "n": Digits("4.30"), "i": Digits("3"), "bad": "soon",
        }
    ]  # fmt: skip


def test_bson(tmp_path: Path) -> None:
    bson = pytest.importorskip("bson", reason="pymongo isn't installed")
    from bson.decimal128 import Decimal128

    day = datetime.datetime(2021, 3, 2)
    document = {
        "_id": bson.ObjectId("5f5f5f5f5f5f5f5f5f5f5f5f"), "n": Decimal128("4.30"), "f": 0.5, "i": 7, "at": day,
        "nan": float("nan"), "big": bson.Int64(2**40), "raw": b"\x01\xff",
    }  # fmt: skip
    path = tmp_path / "a.bson"
    path.write_bytes(bson.encode(document) * 2)
    (grid,) = read(path, JsonSheet("S", "[]", tuple(document)), kind="bson").values()
    assert table(grid) == 2 * [
        {"_id": "5f" * 12, "n": Digits("4.30"), "f": 0.5, "i": 7, "at": day, "nan": "nan", "big": 2**40, "raw": "01ff"}
    ]
    assert grid.address(2, 1) == "/1/n"
    with Reader() as reader:
        assert reader.read(path, "bson", None, (JsonSheet("S", "[]", ("n",)),)).grids[0].cell(1, 1) == Digits("4.30")
    path.write_bytes(bson.encode(document)[:-3])
    with pytest.raises(SourceDamaged, match="cut off"):
        read(path, JsonSheet("S", "[]", ("n",)), kind="bson")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", SourceDamaged, "Expecting value"),
        ('{"patients": [', SourceDamaged, "line 1, column 15"),
        ('{"patients": [{"id": NaN}]}', SourceDamaged, "NaN is no JSON number"),
        ('{"patients": [{"id": 1, "id": 2}]}', SourceDamaged, "a key stands twice"),
        ('{"patients": [{"id": "\\ud800"}]}', SourceDamaged, "half of a character"),
        ('{"patients": [{"id": 1}]} x', SourceDamaged, "Expecting value"),
        ('{"patients": {"id": 1}}', SourceUnsupported, "/patients holds an object where the study expects a list"),
        ('{"patients": [5]}', SourceUnsupported, "/patients/0 holds a number where the study expects an object"),
        ('{"people": [{"id": 1}]}', SourceUnsupported, r"nothing where the rows .* should stand \(patients\[\]\)"),
        ('"patients"', SourceUnsupported, "holds a text where the study expects an object"),
        ('{"patients": [{"id": ' + "[" * 9 + "]" * 9 + "}]}", SourceTooLarge, "nested deeper than 8"),
        ("[" * 5000, SourceTooLarge, "nested deeper than 8"),
        ('{"patients": [' + "1," * 1000 + "1]}", SourceTooLarge, "more than 1,000 values"),
        ('{"patients": ["' + "x" * 10_000 + '"]}', SourceTooLarge, "one JSON document of more than"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, error: type[SourceError], said: str) -> None:
    with pytest.raises(error, match=said) as told:
        read(saved(tmp_path / "a.json", text), JsonSheet("Patients", "patients[]", ("id",)))
    assert told.value.way_out and told.value.data["file"] == "a.json"


def test_bytes_that_are_no_utf8_and_lines_that_hold_two(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"visits": []}\n{"id": "caf\xe9"}\n')
    with pytest.raises(SourceDamaged, match="line 2: byte 12 is no UTF-8"):
        read(path, MANY, kind="ndjson")
    with pytest.raises(SourceDamaged, match="line 1 holds more than one"):
        read(saved(path, "{} {}"), MANY, kind="ndjson")


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.bson"])
def test_a_study_that_does_not_say_where_refuses_with_the_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceUnsupported, match=r"no study says where its rows stand\. Name a study .*`json: \{each"):
        read_sources(saved(tmp_path / name, "{}"))


def test_a_folder_without_such_a_study_is_read_past_its_documents(tmp_path: Path) -> None:
    saved(tmp_path / "a.json", "{}")
    saved(tmp_path / "b.csv", "id\n1\n")
    assert [Path(one.path).name for one in read_sources(tmp_path)] == ["b.csv"]


SHEETS = (PATIENTS, VISITS, JsonSheet("One", "meta.site", ("name", "../x")), JsonSheet("Marks", "marks[][]", (".",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["patients", "visits", "id", "ki67", "tumour", "grade", "meta", "site", "marks", "$date", "x/"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=VALUES, cut=st.integers(0, 400), flip=st.integers(0, 400), broken=st.booleans())
def test_any_document_is_read_or_refused(tmp_path: Path, document: Any, cut: int, flip: int, broken: bool) -> None:
    content = json.dumps(document).encode()
    if broken and content:
        content = bytearray(content[: len(content) - cut % len(content)])
        content[flip % len(content)] ^= 1 + flip % 255
    path = tmp_path / "a.json"
    path.write_bytes(bytes(content))
    for kind in ("json", "ndjson"):
        try:
            grids = read(path, *SHEETS, kind=kind)
        except SourceError:
            continue
        for grid in grids.values():
            assert len(grid.at) == grid.height and len(grid.keys) == grid.width
            for row in range(1, grid.height):
                for column in range(grid.width):
                    assert grid.address(row, column)[:1] in ("/", "")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_bson_or_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("bson", reason="pymongo isn't installed")
    path = tmp_path / "a.bson"
    path.write_bytes(len(content).to_bytes(4, "little") + content[4:])
    with pytest.raises(SourceError):
        read(path, JsonSheet("S", "[].x[]", ("n",)), kind="bson")


def test_objects_without_rows_are_counted(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.json", '[{"id": 1, "site": "x", "visits": []}, {"id": 2}, {"id": 3, "visits": [{"ki67": 1}]}]'
    )
    assert read_file(path, "json", None, SMALL, (MANY,)).notes == (
        "2 objects hold no rows of any sheet; what else stands in them was not read",
    )
