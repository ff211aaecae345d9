"""What one patient lacks, put in order: references before what refers, sheets apart, bundles with no identity twice."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from defusedxml import ElementTree

from caseweave.targets.fhir.server.answers import Issue
from caseweave.targets.fhir.server.bundles import assemble, message
from caseweave.targets.fhir.server.parcels import Change, Parcel, UnitName, levels, ordered, pack, unit_groups
from caseweave.targets.fhir.server.quarantine import culprits
from caseweave.targets.fhir.server.send import Refused
from caseweave.targets.fhir.server.settings import Server

MAIN: UnitName = ("main", "main")
VISITS: UnitName = ("visits", "main")
OTHER: UnitName = ("other", "main")


def put(ref: str, *units: UnitName) -> Change:
    return Change(ref, False, units or (MAIN,))


def gone(ref: str, *units: UnitName) -> Change:
    return Change(ref, True, units or (MAIN,), True)


class Lines(dict[str, bytes]):
    """Resources that refer to others."""

    def __init__(self, links: Mapping[str, list[str]]) -> None:
        super().__init__()
        for ref, targets in links.items():
            kind, _, own = ref.partition("/")
            found = {"resourceType": kind, "id": own, "of": [{"reference": one} for one in targets]}
            self[ref] = json.dumps(found, separators=(",", ":")).encode()

    def __call__(self, ref: str) -> bytes:
        return self[ref]


LINES = Lines({
    "Observation/a": ["Patient/p", "Condition/c"], "Observation/b": ["Observation/a"], "Condition/c": ["Patient/p"],
    "Patient/p": [], "Observation/far": ["Condition/elsewhere"],
})  # fmt: skip


def test_levels_put_first_what_is_referred_to_and_delete_it_last() -> None:
    changes = [
        put("Observation/b"), put("Observation/a"), gone("Patient/x"), gone("Condition/y"), gone("Observation/z"),
        put("Condition/c"), put("Patient/p"), put("Observation/far"),
    ]  # fmt: skip
    found = [[one.ref for one in wave] for wave in levels(changes, LINES)]
    assert found == [
        ["Patient/p", "Observation/far"], ["Condition/c"], ["Observation/a"], ["Observation/b"],
        ["Observation/z"], ["Condition/y"], ["Patient/x"],
    ]  # fmt: skip


def test_a_circle_of_references_comes_to_an_end() -> None:
    lines = Lines({"Basic/a": ["Basic/b"], "Basic/b": ["Basic/c"], "Basic/c": ["Basic/a"], "Basic/d": ["Basic/d"]})
    changes = [put(ref) for ref in lines]
    assert {one.ref for one in ordered(changes, lines)} == set(lines)


def test_pack_keeps_patients_whole() -> None:
    sizes = [3, 3, 3, 9, 1]
    parcels = [
        Parcel(str(n), (MAIN,), tuple(put(f"Basic/{n}-{i}") for i in range(size))) for n, size in enumerate(sizes)
    ]
    found = [[len(one.changes) for one in bundle] for bundle in pack(parcels, lambda: 6)]
    assert found == [[3, 3], [3], [9], [1]]


def test_unit_groups_come_in_an_order_that_holds() -> None:
    changes = (put("Observation/b", VISITS), put("Observation/a", OTHER), put("Condition/c"), put("Patient/p"))
    parcel = Parcel("p", (MAIN, OTHER, VISITS), changes)
    found = [(sorted(units), sorted(needs)) for units, needs in unit_groups(parcel, LINES)]
    assert found == [([MAIN], []), ([OTHER], [MAIN]), ([VISITS], [MAIN, OTHER])]


def test_units_that_need_each_other_stay_together() -> None:
    lines = Lines({"Basic/a": ["Basic/b"], "Basic/b": ["Basic/a"], "Basic/c": []})
    parcel = Parcel("p", (MAIN, OTHER, VISITS), (put("Basic/a"), put("Basic/b", OTHER), put("Basic/c", VISITS, OTHER)))
    assert unit_groups(parcel, lines) == [(frozenset({MAIN, OTHER, VISITS}), frozenset())]


def test_one_identity_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        assemble(Server("http://localhost/fhir"), [put("Patient/p"), gone("Patient/p")], LINES)


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_bundle_as_json(kind: str) -> None:
    server = Server("http://localhost/fhir", bundle=kind)
    found = json.loads(assemble(server, [put("Patient/p"), gone("Observation/z")], LINES))
    assert found == {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {
                "fullUrl": "http://localhost/fhir/Patient/p",
                "resource": {"resourceType": "Patient", "id": "p", "of": []},
                "request": {"method": "PUT", "url": "Patient/p"},
            },
            {"request": {"method": "DELETE", "url": "Observation/z"}},
        ],
    }


def test_a_bundle_as_xml() -> None:
    lines = {"Patient/p": b'{"resourceType":"Patient","id":"p","gender":"female"}'}
    server = Server("http://localhost/fhir?".rstrip("?"), "xml")
    root = ElementTree.fromstring(assemble(server, [put("Patient/p"), gone("Observation/z")], lines.__getitem__))
    f = "{http://hl7.org/fhir}"
    assert [one.tag for one in root] == [f"{f}type", f"{f}entry", f"{f}entry"]
    first, second = root.findall(f"{f}entry")
    assert [one.tag for one in first] == [f"{f}fullUrl", f"{f}resource", f"{f}request"]
    gender = first.find(f"{f}resource/{f}Patient/{f}gender")
    assert gender is not None and gender.get("value") == "female"
    assert [one.get("value") for one in second[0]] == ["DELETE", "Observation/z"]


def test_a_message_has_the_id_of_its_content() -> None:
    server = Server("http://localhost/fhir", bundle="message")
    body, name = message(server, [put("Patient/p"), put("Condition/c")], LINES)
    assert message(server, [put("Patient/p"), put("Condition/c")], LINES) == (body, name)
    assert message(server, [put("Patient/p")], LINES)[1] != name
    assert message(server, [gone("Patient/p")], LINES)[1] != message(server, [put("Patient/p")], LINES)[1]
    first, *rest = [entry["resource"] for entry in json.loads(body)["entry"]]
    assert first["resourceType"] == "MessageHeader"
    assert first["id"] == name
    assert [one["id"] for one in rest] == ["p", "c"]
    with pytest.raises(ValueError, match="either"):
        message(server, [put("Patient/p"), gone("Condition/c")], LINES)


ALL = ["Patient/p", "Condition/c", "Observation/a", "Observation/far"]


@pytest.mark.parametrize(
    ("issue", "expected"),
    [
        (Issue("error", "value", "", ("Bundle.entry[1].resource.ofType(Condition).code",)), ["Condition/c"]),
        (Issue("error", "value", "", ("/f:Bundle/f:entry[1]/f:resource",)), ["Patient/p"]),
        (Issue("error", "value", "Observation/a is wrong"), ["Observation/a"]),
        (Issue("error", "processing", "Resource Condition/elsewhere not found"), ["Observation/far"]),
        (Issue("error", "processing", "no"), ALL),
        (Issue("error", "value", "", ("Bundle.entry[99]",)), ALL),
    ],
)  # fmt: skip
def test_culprits(issue: Issue, expected: list[str]) -> None:
    changes = tuple(put(ref) for ref in ALL)
    assert culprits(Refused("p", (MAIN,), 422, (issue,), changes), LINES) == expected
