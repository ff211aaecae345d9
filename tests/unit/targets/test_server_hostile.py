"""A server that means harm: bombs, circles, other hosts, answers that are nearly FHIR."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import entries, issues, next_page, parse, reference, resources
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.capability import capability
from caseweave.targets.fhir.server.client import Client, Rejected, Unreachable
from caseweave.targets.fhir.server.confirm import Reader, here
from caseweave.targets.fhir.server.parcels import Change
from caseweave.targets.fhir.server.retry import Patience, retry_after
from caseweave.targets.fhir.server.send import tell
from caseweave.targets.fhir.server.settings import Server, is_below
from caseweave.targets.fhir.server.tokens import LONGEST_ANSWER

TOKEN = "s3cret"
Answers = Callable[["Hostile", str], tuple[int, dict[str, str], bytes]]


@dataclass
class Hostile:
    """A server that answers as it is told, and remembers who came with what."""

    answer: Answers
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"


class _Handler(BaseHTTPRequestHandler):
    hostile: Hostile

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.hostile.seen.append((self.path, self.headers.get("authorization", "")))
        status, headers, body = self.hostile.answer(self.hostile, self.path)
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], Hostile]]:
    """Starts servers of this machine."""
    running: list[ThreadingHTTPServer] = []

    def start(answer: Answers) -> Hostile:
        hostile = Hostile(answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hostile": hostile}))
        hostile.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return hostile

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def client_of(url: str, environment: dict[str, str] | None = None) -> Client:
    server = Server(url, timeout=5.0, give_up=1.0)
    secrets = {"CASEWEAVE_FHIR_TOKEN": TOKEN} if environment is None else environment
    return Client(server, Credentials.of(secrets, server))


def bundle(next_url: str = "") -> bytes:
    links = [{"relation": "next", "url": next_url}] if next_url else []
    return json.dumps({"resourceType": "Bundle", "total": 0, "link": links}).encode()


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://fhir.example.org", "https://fhir.example.org.evil.example/x"),
        ("https://fhir.example.org", "https://fhir.example.org@evil.example/x"),
        ("https://fhir.example.org", "https://fhir.example.org:444/x"),
        ("https://fhir.example.org/r4", "https://fhir.example.org/r4-of-others/x"),
        ("https://fhir.example.org/r4", "file:///etc/hostname"),
        ("https://fhir.example.org/r4", "http://fhir.example.org/r4"),
    ],
)
def test_what_only_begins_like_the_server_isnt_it(base: str, url: str) -> None:
    assert not is_below(base, url)
    assert all(is_below(base, base + rest) for rest in ("", "/Patient?_id=1", "?_getpages=1"))


def test_the_next_page_is_asked_of_the_server_itself() -> None:
    base = "https://fhir.example.org"
    for url in ("https://fhir.example.org.evil.example/x", "https://[evil", "file:///etc/hostname", "//evil.example/x"):
        assert is_below(base, here(base, "Patient", url))


def test_the_next_page_on_another_host_gets_neither_a_request_nor_the_token(
    serve: Callable[[Answers], Hostile],
) -> None:
    evil = serve(lambda _, path: (200, {}, bundle()))
    # the same beginning, another port: all that a text comparison sees is the beginning
    front = str(evil.port)[:-1]
    base = f"http://127.0.0.1:{front}"
    with client_of(base) as client, pytest.raises((Unreachable, TargetError)):
        client.get(f"http://127.0.0.1:{evil.port}/page", Patience(0.5))
    assert evil.seen == []


def test_pages_that_lead_in_a_circle_end(serve: Callable[[Answers], Hostile]) -> None:
    hostile = serve(lambda self, path: (200, {}, bundle(f"{self.url}?page=1")))
    with client_of(hostile.url) as client, pytest.raises(Rejected):
        list(Reader(client, capability({})).pages("Patient", {"_tag": "x"}, Patience(30.0)))
    assert len(hostile.seen) < 5


def test_a_redirect_is_told_and_never_followed(serve: Callable[[Answers], Hostile]) -> None:
    evil = serve(lambda _, path: (200, {}, bundle()))
    for target in (evil.url, "file:///etc/hostname"):
        hostile = serve(lambda _, path, target=target: (302, {"location": target}, b""))  # type: ignore[misc]
        with client_of(hostile.url) as client, pytest.raises(TargetError, match="points to"):
            client.get("metadata")
    assert evil.seen == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-encoding": "gzip"}, b"no gzip at all"),
        ({"content-encoding": "gzip"}, gzip.compress(b"\0" * (8 << 20))),
        ({}, b'{"resourceType": 7}'),
        ({}, b'{"resourceType":"X","a":' + b"[" * 100_000),
        ({}, b"<a>" * 1500 + b"</a>" * 1500),
    ],
    ids=["no gzip", "a gzip bomb", "a type that is no word", "deep JSON", "deep XML"],
)
def test_an_answer_that_is_none_is_waited_for_and_given_up(
    serve: Callable[[Answers], Hostile], headers: dict[str, str], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caseweave.targets.fhir.server.client.MAX_ANSWER", 1 << 20)
    hostile = serve(lambda _, path: (200, headers, body))
    with client_of(hostile.url) as client, pytest.raises(Unreachable):
        client.get("metadata", Patience(0.5))


ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 8))
BOMBS = {
    "entities in an attribute": f'<!DOCTYPE a [<!ENTITY l0 "lol">{ENTITIES}]><a><id value="&l7;"/></a>',
    "entities in a text": f'<!DOCTYPE a [<!ENTITY l0 "lol">{ENTITIES}]><a><id>&l7;</id></a>',
    "a file of this machine": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><id value="a">&x;</id></a>',
    "a small entity": '<!DOCTYPE a [<!ENTITY x "y">]><a><id value="&x;"/></a>',
    "depth": "<a>" + "<b>" * 500 + "</b>" * 500 + "</a>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_xml_that_is_a_weapon_is_no_answer(name: str) -> None:
    with pytest.raises(ValueError):
        parse(BOMBS[name].encode())


@pytest.mark.parametrize(
    "token",
    [
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": "https://[evil"},
        {"token_endpoint": ["https://evil.example"]},
        ["token_endpoint"],
    ],
)
def test_the_secret_goes_to_no_token_endpoint_that_is_open_or_unreadable(
    serve: Callable[[Answers], Hostile], token: Any
) -> None:
    hostile = serve(lambda _, path: (200, {}, json.dumps(token).encode()))
    secrets = {"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": TOKEN}
    with client_of(hostile.url, secrets) as client, pytest.raises((TargetError, Unreachable)):
        client.get("metadata", Patience(0.5))
    assert all(TOKEN not in authorization for _, authorization in hostile.seen)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"access_token": "a\\nX-Evil: 1"}',
        b'{"access_token": "\xc3\xa4"}',
        b'{"access_token": "t", "expires_in": "soon"}',
        b'{"access_token": "t", "expires_in": {}}',
        b"[1]",
    ],
)
def test_a_token_that_cant_be_one(serve: Callable[[Answers], Hostile], answer: bytes) -> None:
    def say(self: Hostile, path: str) -> tuple[int, dict[str, str], bytes]:
        where = {"token_endpoint": f"http://127.0.0.1:{self.port}/token"}
        return 200, {}, json.dumps(where).encode() if path.endswith("smart-configuration") else answer

    hostile = serve(say)
    secrets = {"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": TOKEN}
    with client_of(hostile.url, secrets) as client, pytest.raises(TargetError, match="gives no token"):
        client.get("metadata")


def test_an_endless_token_is_no_token(serve: Callable[[Answers], Hostile]) -> None:
    hostile = serve(lambda _, path: (200, {}, b'{"access_token": "' + b"a" * (2 * LONGEST_ANSWER)))
    secrets = {"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": TOKEN}
    with client_of(hostile.url, secrets) as client, pytest.raises(Unreachable):
        client.get("metadata", Patience(1.0))


@pytest.mark.parametrize("header", ["\u00b2", "9" * 500, "Thu, 01 Jan 0001 00:00:00 +2359", "-1", "1e9"])
def test_any_retry_after(header: str) -> None:
    assert retry_after(header, 0.0) >= 0.0


NAMES = st.sampled_from([
    "resourceType", "entry", "response", "status", "location", "etag", "outcome", "issue", "link",
    "relation", "url", "resource", "search", "mode", "rest", "interaction", "code", "type", "total",
    "format", "next", "id", "Bundle", "OperationOutcome", "details", "text", "supportedProfile",
    "operation", "name", "updateCreate", "messaging",
])  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES | st.just("\u00b2")
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=30
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(NAMES, ANYTHING, max_size=6))
def test_nothing_that_a_server_says_breaks_us(said: dict[str, Any]) -> None:
    said["resourceType"] = "Bundle"
    changes = [Change("Patient/a", False, (), False)]
    assert isinstance(tell(said, changes), dict)
    assert all(entry.status >= 0 for entry in entries(said))
    assert all("/" in reference(one) for one in resources(said))
    assert isinstance(next_page(said), str)
    assert capability(said).types is not None
    assert isinstance(issues({**said, "resourceType": "OperationOutcome"}), tuple)
