"""Changes as the bytes of a bundle, JSON or XML: lines that were rendered already are put between frames."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

import orjson

from caseweave.shapes.fhir import fhir_shapes
from caseweave.targets.fhir.server.parcels import Change, Lines
from caseweave.targets.fhir.server.settings import Server
from caseweave.targets.fhir.xml import to_xml

XML_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
EVENTS = "urn:caseweave:message"
KEEP, RETRACT = "record", "retract"
SENDER, ENDPOINT = "Caseweave", "urn:caseweave"
NAMESPACE = uuid.UUID("6f0c1f0e-5f5c-5a52-9b1b-6d6a1c1a0c5e")


def assemble(server: Server, changes: Sequence[Change], line: Lines) -> bytes:
    """A transaction or batch: what is put with its own id, then what is deleted.

    Raises ValueError where one identity stands in it twice.
    """
    if len({one.ref for one in changes}) != len(changes):
        raise ValueError("one identity stands twice in a bundle")
    inner = [_entry(server, one, line) for one in changes]
    return _frame(server, server.bundle, inner)


def message(server: Server, changes: Sequence[Change], line: Lines) -> tuple[bytes, str]:
    """A message and its id, which comes from its content: the same again has the same id, so that it counts once.

    The header's event is `record`, and the resources follow; for what is deleted it is `retract`, and the focus
    names them. One message is one or the other.
    """
    kinds = {one.delete for one in changes}
    if len(kinds) != 1:
        raise ValueError("a message either records or retracts")
    event = RETRACT if kinds.pop() else KEEP
    bodies = [] if event == RETRACT else [line(one.ref) for one in changes]
    refs = [one.ref for one in changes]
    digest = hashlib.sha256(b"\n".join([event.encode(), *(ref.encode() for ref in refs), *bodies])).hexdigest()
    name = str(uuid.uuid5(NAMESPACE, digest))
    inner = [_wrap(server, f"urn:uuid:{name}", _header(server, name, event, refs))]
    for ref, body in zip(refs, bodies, strict=False):
        inner.append(_wrap(server, f"{server.url}/{ref}", resource(server, body)))
    return _frame(server, "message", inner, name), name


def _header(server: Server, name: str, event: str, refs: Sequence[str]) -> bytes:
    if server.format == "xml":  # it isn't among the shapes, which are those of the clinical resources
        focus = "".join(f"<focus><reference value={quoteattr(ref)}/></focus>" for ref in refs)
        return (
            f'<MessageHeader xmlns="http://hl7.org/fhir"><id value="{name}"/><eventCoding><system value="{EVENTS}"/>'
            f'<code value="{event}"/></eventCoding><source><name value="{SENDER}"/><endpoint value="{ENDPOINT}"/>'
            f"</source>{focus}</MessageHeader>"
        ).encode()
    header = {
        "resourceType": "MessageHeader",
        "id": name,
        "eventCoding": {"system": EVENTS, "code": event},
        "source": {"name": SENDER, "endpoint": ENDPOINT},
        "focus": [{"reference": ref} for ref in refs],
    }
    return orjson.dumps(header)


def resource(server: Server, line: bytes) -> bytes:
    """One resource in the server's format."""
    return line if server.format == "json" else to_xml(line, fhir_shapes())


def _entry(server: Server, change: Change, line: Lines) -> bytes:
    ref = change.ref.encode()
    url = f"{server.url}/{change.ref}"
    if server.format == "json":
        if change.delete:
            return b'{"request":{"method":"DELETE","url":"%b"}}' % ref
        return b'{"fullUrl":%b,"resource":%b,"request":{"method":"PUT","url":"%b"}}' % (
            orjson.dumps(url),
            line(change.ref),
            ref,
        )
    method = b"DELETE" if change.delete else b"PUT"
    request = b'<request><method value="%b"/><url value="%b"/></request>' % (method, ref)
    if change.delete:
        return b"<entry>" + request + b"</entry>"
    return _xml(url, resource(server, line(change.ref)), request)


def _wrap(server: Server, url: str, body: bytes) -> bytes:
    if server.format == "json":
        return b'{"fullUrl":%b,"resource":%b}' % (orjson.dumps(url), body)
    return _xml(url, body, b"")


def _xml(url: str, body: bytes, request: bytes) -> bytes:
    return b"<entry><fullUrl value=%b/><resource>%b</resource>%b</entry>" % (quoteattr(url).encode(), body, request)


def _frame(server: Server, kind: str, inner: Sequence[bytes], name: str = "") -> bytes:
    if server.format == "json":
        head = b'"id":"%b",' % name.encode() if name else b""
        return b'{"resourceType":"Bundle",%b"type":"%b","entry":[%b]}' % (head, kind.encode(), b",".join(inner))
    head = b'<id value="%b"/>' % name.encode() if name else b""
    entries = b"".join(inner)
    return XML_HEAD + b'<Bundle xmlns="http://hl7.org/fhir">%b<type value="%b"/>%b</Bundle>' % (
        head,
        kind.encode(),
        entries,
    )
