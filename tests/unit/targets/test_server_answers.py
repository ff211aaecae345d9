"""Answers of servers, JSON and XML alike; when to try again; what a capability statement lacks."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import EntryAnswer, Issue, entries, issues, next_page, parse
from caseweave.targets.fhir.server.capability import capability, require
from caseweave.targets.fhir.server.parcels import Change
from caseweave.targets.fhir.server.retry import Patience, retry_after
from caseweave.targets.fhir.server.send import tell
from caseweave.targets.fhir.server.settings import Server

JSON = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "link": [{"relation": "self", "url": "a"}, {"relation": "next", "url": "b"}],
    "entry": [
        {"response": {"status": "201 Created", "location": "http://h/fhir/Patient/p/_history/3", "etag": 'W/"3"'}},
        {
            "response": {
                "status": "422",
                "outcome": {
                    "resourceType": "OperationOutcome",
                    "issue": [{"severity": "error", "code": "value", "details": {"text": "no"}, "expression": ["x"]}],
                },
            }
        },
    ],
}
XML = b"""<Bundle xmlns="http://hl7.org/fhir"><type value="transaction-response"/>
<link><relation value="self"/><url value="a"/></link><link><relation value="next"/><url value="b"/></link>
<entry><response><status value="201 Created"/><location value="http://h/fhir/Patient/p/_history/3"/>
<etag value='W/"3"'/></response></entry>
<entry><response><status value="422"/><outcome><OperationOutcome><issue><severity value="error"/><code value="value"/>
<details><text value="no"/></details><expression value="x"/></issue></OperationOutcome></outcome></response></entry>
</Bundle>"""


@pytest.mark.parametrize("body", [json.dumps(JSON).encode(), XML], ids=["json", "xml"])
def test_a_bundle_says_the_same_in_both_formats(body: bytes) -> None:
    found = parse(body)
    assert list(entries(found)) == [
        EntryAnswer(201, "Patient/p", "3", ()),
        EntryAnswer(422, "", "", (Issue("error", "value", "no", ("x",)),)),
    ]
    assert next_page(found) == "b"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"<html", b"<Bundle>", b'{"resourceType":"Bundle"', b"\xff"])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(body)


def test_xml_resolves_nothing(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("treasure", encoding="ascii")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a xmlns="http://hl7.org/fhir"><b>&x;</b></a>'
    with pytest.raises(ValueError, match="document type"):
        parse(text.encode())


def test_issues_of_what_has_none() -> None:
    assert issues(None) == issues({"resourceType": "Patient"}) == ()


CHANGES = [Change("Patient/p", False, ()), Change("Condition/c", True, ())]


def answer(*told: dict[str, str]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"response": one} for one in told]}


def test_tell_by_location_in_any_order_and_by_place() -> None:
    put, gone = {"status": "200", "location": "Patient/p/_history/1"}, {"status": "204"}
    assert {ref: one.status for ref, one in tell(answer(put, gone), CHANGES).items()} == {
        "Patient/p": 200, "Condition/c": 204,
    }  # fmt: skip
    both = answer({"status": "204", "location": "Condition/c/_history/2"}, put)
    assert {ref: one.status for ref, one in tell(both, CHANGES).items()} == {"Patient/p": 200, "Condition/c": 204}
    # moved away from its place, a nameless entry tells nothing
    assert tell(answer(gone, put), CHANGES).keys() == {"Patient/p"}


@pytest.mark.parametrize(
    "told",
    [
        {"resourceType": "OperationOutcome"},
        answer(),
        answer({"status": "200", "location": "Patient/p"}),
        answer({"status": "200", "location": "Patient/other"}, {"status": "204"}),
    ],
)
def test_an_answer_that_does_not_fit_tells_nothing(told: dict[str, Any]) -> None:
    assert tell(told, CHANGES) == {}


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, 0), ("", 0), ("12", 12), ("-3", 0), ("soon", 0), ("Thu, 01 Jan 1970 00:01:40 GMT", 60),
     ("Thu, 01 Jan 1970 00:00:01 GMT", 0), ("Fri, 99 Foo 2020", 0)],
)  # fmt: skip
def test_retry_after(header: str | None, expected: float) -> None:
    assert retry_after(header, 40.0) == expected


def test_patience_grows_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda seconds: waits.append(seconds))
    patience = Patience(3600.0, stop)
    assert all(patience.pause() for _ in range(10))
    assert all(low <= wait <= high for wait, low, high in zip(waits, [0.25, 0.5, 1, 2], [0.5, 1, 2, 4], strict=False))
    assert max(waits) <= 30
    assert patience.pause(asked=50) and waits[-1] == 50
    assert not patience.pause(asked=4000)
    assert len(waits) == 11


def test_patience_stops_at_once() -> None:
    stop = threading.Event()
    patience = Patience(60.0, stop)
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()
    assert not patience.pause(asked=30)
    assert time.monotonic() - started < 5
    assert not patience.pause()


STATEMENT: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [
        {
            "mode": "server",
            "interaction": [{"code": "transaction"}],
            "resource": [
                {"type": "Patient", "interaction": [{"code": "update"}, {"code": "delete"}, {"code": "search-type"}]},
                {"type": "Condition", "interaction": [{"code": "update"}], "updateCreate": False},
                {"type": "Observation", "interaction": [{"code": "read"}]},
            ],
        }
    ],
}


def lacks(statement: dict[str, Any], server: Server, put: list[str], deleted: list[str]) -> str:
    try:
        require(capability(statement), server, put, deleted)
    except TargetError as error:
        return str(error)
    return ""


def test_a_server_that_can_do_it() -> None:
    assert lacks(STATEMENT, Server("http://localhost/fhir"), ["Patient"], ["Patient"]) == ""
    assert lacks(STATEMENT, Server("http://localhost/fhir", bundle="batch"), ["Patient"], []) == ""
    assert capability(STATEMENT).searches("Patient")
    assert not capability(STATEMENT).searches("Condition")


@pytest.mark.parametrize(
    ("change", "how", "put", "deleted", "said"),
    [
        ({"fhirVersion": "5.0.0"}, {}, [], [], "it speaks FHIR 5.0.0, not R4"),
        ({"fhirVersion": "3.0.2"}, {}, [], [], "it speaks FHIR 3.0.2, not R4"),
        ({}, {"format": "xml"}, [], [], "it has no xml, only json"),
        ({"rest": [{"interaction": [{"code": "batch"}]}]}, {}, [], [], "it takes no transaction bundles"),
        (
            {"rest": [{"interaction": [{"code": "search-system"}]}]},
            {"bundle": "batch"},
            [],
            [],
            "it takes no batch bundles",
        ),
        ({}, {}, ["Observation"], [], "Observation can't be updated"),
        ({}, {}, [], ["Observation"], "Observation can't be deleted"),
        ({}, {}, ["Condition"], [], "it takes no ids of ours for Condition"),
        ({}, {}, ["Specimen"], [], "it has no Specimen"),
        ({}, {"bundle": "message"}, ["Patient"], [], "it has no operation $process-message"),
    ],
)
def test_what_is_lacking_is_said(
    change: dict[str, Any], how: dict[str, Any], put: list[str], deleted: list[str], said: str
) -> None:
    found = lacks({**STATEMENT, **change}, Server("http://localhost/fhir", **how), put, deleted)
    assert said in found
    assert "Nothing was sent" in found
