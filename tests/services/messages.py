"""A small receiver of FHIR messages on loopback: HAPI has no $process-message. It keeps what it was told, once."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

F = "{http://hl7.org/fhir}"


@dataclass
class Receiver:
    """What has been received: resources by reference, message ids in their order, and what is to be said next.

    Arguments: `answers` are response codes for the next messages, `ok` when there are none; `lost`, whether the
    receiver takes a message and breaks off, so many times.
    """

    held: dict[str, Any] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    lost: int = 0
    knows_messages: bool = True
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    def capability(self) -> dict[str, Any]:
        """The capability statement: messages and nothing else."""
        messaging = [{"supportedMessage": [{"mode": "receiver", "definition": "urn:caseweave:message"}]}]
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "format": ["json", "xml"],
            "rest": [{"mode": "server"}],
            **({"messaging": messaging} if self.knows_messages else {}),
        }

    def take(self, name: str, event: str, focus: list[str], resources: dict[str, Any]) -> str:
        """Take one message; the same again changes nothing. Returns the response code."""
        code = self.answers.pop(0) if self.answers else "ok"
        if code == "ok" and name not in self.messages:
            self.messages.append(name)
            self.events.append(event)
            if event == "retract":
                for ref in focus:
                    self.held.pop(ref, None)
            else:
                assert set(focus) == resources.keys()
                self.held.update(resources)
        return code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._say(200, self.receiver.capability())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.endswith("/$process-message"):
            self._say(404, {"resourceType": "OperationOutcome", "issue": []})
            return
        name, event, focus, resources = read(body)
        code = self.receiver.take(name, event, focus, resources)
        if self.receiver.lost:
            self.receiver.lost -= 1
            self.close_connection = True
            return
        header = {"resourceType": "MessageHeader", "response": {"identifier": name, "code": code}}
        told: list[Any] = [{"resource": header}]
        if code != "ok":
            issue = {"severity": "error", "code": "business-rule", "diagnostics": f"{focus[0]} isn't wanted"}
            told.append({"resource": {"resourceType": "OperationOutcome", "issue": [issue]}})
        self._say(200, {"resourceType": "Bundle", "type": "message", "entry": told})

    def _say(self, status: int, content: Any) -> None:
        """Answer in the format that was asked for."""
        wants_xml = "xml" in self.headers.get("accept", "")
        body = write(content) if wants_xml else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/fhir+xml" if wants_xml else "application/fhir+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def read(body: bytes) -> tuple[str, str, list[str], dict[str, Any]]:
    """A message: its id, event, focus and resources; MessageHeader must be the first."""
    if body.lstrip().startswith(b"<"):
        bundle = ElementTree.fromstring(body)
        assert value(bundle, "type") == "message"
        header, *rest = [one[0] for one in bundle.iterfind(f"{F}entry/{F}resource")]
        assert header.tag == f"{F}MessageHeader"
        focus = [one.get("value", "") for one in header.iterfind(f"{F}focus/{F}reference")]
        named = {f"{one.tag.removeprefix(F)}/{value(one, 'id')}": _tree(one) for one in rest}
        return value(header, "id"), value(header, f"eventCoding/{F}code"), focus, named
    found = json.loads(body)
    assert found["type"] == "message"
    first, *others = [entry["resource"] for entry in found["entry"]]
    assert first["resourceType"] == "MessageHeader"
    focus = [one["reference"] for one in first["focus"]]
    by_ref = {f"{one['resourceType']}/{one['id']}": one for one in others}
    return first["id"], first["eventCoding"]["code"], focus, by_ref


def value(element: Element, path: str) -> str:
    """The value of a primitive."""
    found = element.find(f"{F}{path}")
    assert found is not None, path
    return found.get("value", "")


def _tree(element: Element) -> Any:
    return element.tag.removeprefix(F), element.get("value"), [_tree(one) for one in element]


def write(node: Any) -> bytes:
    """JSON as XML, for the few resources that are answered here."""

    def inside(value: Any) -> str:
        return "".join(part(name, one) for name, one in value.items() if name != "resourceType")

    def part(name: str, value: Any) -> str:
        if isinstance(value, list):
            return "".join(part(name, one) for one in value)
        if isinstance(value, dict):
            inner = inside(value)
            kind = value.get("resourceType")
            return f"<{name}><{kind}>{inner}</{kind}></{name}>" if kind else f"<{name}>{inner}</{name}>"
        return f'<{name} value="{value}"/>'

    return f'<{node["resourceType"]} xmlns="http://hl7.org/fhir">{inside(node)}</{node["resourceType"]}>'.encode()


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
