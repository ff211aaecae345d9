"""Credentials for a FHIR server: from the environment or private files, whole, never shown, renewed in time."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from caseweave.errors import TargetError, UsageError
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.client import Client
from caseweave.targets.fhir.server.settings import Server

FAR = Server("https://fhir.example.org/r4")
SECRET = "s3cret-öäü/+="


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, "none"),
        ({"CASEWEAVE_FHIR_USER": "u", "CASEWEAVE_FHIR_PASSWORD": SECRET}, "basic"),
        ({"CASEWEAVE_FHIR_TOKEN": SECRET}, "bearer"),
        ({"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": SECRET}, "oauth2"),
        ({"CASEWEAVE_FHIR_CERT_FILE": "cert.pem"}, "certificate"),
    ],
)
def test_kinds(environment: dict[str, str], kind: str) -> None:
    found = Credentials.of(environment, FAR)
    assert found.kind == kind
    assert SECRET not in repr(found)
    assert SECRET not in repr(vars(found.auth() or object)) if kind == "none" else True


@pytest.mark.parametrize(
    "environment",
    [
        {"CASEWEAVE_FHIR_USER": "u"},
        {"CASEWEAVE_FHIR_PASSWORD": "p"},
        {"CASEWEAVE_FHIR_TOKEN": "t", "CASEWEAVE_FHIR_USER": "u", "CASEWEAVE_FHIR_PASSWORD": "p"},
        {"CASEWEAVE_FHIR_CLIENT_ID": "c"},
        {"CASEWEAVE_FHIR_CLIENT_SECRET": "s"},
        {"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": "s", "CASEWEAVE_FHIR_CLIENT_KEY_FILE": "k"},
    ],
)
def test_by_half_or_twice_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="by half, or two kinds"):
        Credentials.of(environment, FAR)


def test_no_secret_over_an_open_line() -> None:
    token = {"CASEWEAVE_FHIR_TOKEN": "t"}
    with pytest.raises(UsageError, match="unencrypted"):
        Credentials.of(token, Server("http://fhir.example.org/r4"))
    assert Credentials.of(token, Server("http://localhost/r4")).kind == "bearer"
    client = {"CASEWEAVE_FHIR_CLIENT_ID": "c", "CASEWEAVE_FHIR_CLIENT_SECRET": "s"}
    with pytest.raises(UsageError, match="unencrypted"):
        Credentials.of({**client, "CASEWEAVE_FHIR_TOKEN_URL": "http://login.example.org/token"}, FAR)


@pytest.mark.parametrize("url", ["https://user:pa55@host/fhir", "https://user@host/fhir"])
def test_an_address_with_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match="CASEWEAVE_FHIR_USER") as error:
        Server(url)
    assert "pa55" not in str(error.value)


@pytest.mark.parametrize("url", ["", "fhir", "ftp://host/fhir", "https://", "http://host:port/", "https://h/fhir?a=b"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError):
        Server(url)


def test_secrets_in_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(SECRET + "\n", encoding="utf-8")
    path.chmod(0o640)
    environment = {"CASEWEAVE_FHIR_TOKEN_FILE": str(path)}
    with pytest.raises(UsageError, match="chmod 600") as error:
        Credentials.of(environment, FAR)
    assert SECRET not in str(error.value)
    path.chmod(0o600)
    assert Credentials.of(environment, FAR).values["TOKEN"] == SECRET
    # nothing there, and the folder that Docker mounts instead of a file that isn't there
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            Credentials.of({"CASEWEAVE_FHIR_TOKEN_FILE": str(path)}, FAR)


@dataclass
class Site:
    """A server with an authorization server in one: counts its tokens, refuses the old ones."""

    port: int = 0
    tokens: int = 0
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    basics: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    lasts: float = 300
    down: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.endswith("/smart-configuration"):
            self._say(200, {"token_endpoint": f"http://127.0.0.1:{self.site.port}/token"})
            return
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.site.asked.append(token)
        good = token and token not in self.site.refuse
        self._say(200 if good else 401, {"resourceType": "CapabilityStatement"} if good else {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        if self.site.down:
            self.site.down -= 1
            self._say(503, {})
            return
        self.site.forms.append(form)
        self.site.basics.append(self.headers.get("authorization", ""))
        self.site.tokens += 1
        self._say(200, {"access_token": f"token-{self.site.tokens}", "expires_in": self.site.lasts})

    def _say(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": found}))
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(10)


def client_of(site: Site, **environment: str) -> Client:
    server = Server(site.url, timeout=5, give_up=10)
    return Client(server, Credentials.of({f"CASEWEAVE_FHIR_{name}": one for name, one in environment.items()}, server))


def test_client_credentials_with_a_secret(site: Site) -> None:
    with client_of(site, CLIENT_ID="us", CLIENT_SECRET=SECRET, SCOPE="system/*.*") as client:
        for _ in range(3):
            client.get("metadata")
    assert site.tokens == 1
    assert site.asked == ["token-1"] * 3
    assert site.forms[0] == {"grant_type": ["client_credentials"], "scope": ["system/*.*"]}
    decoded = base64.b64decode(site.basics[0].removeprefix("Basic ")).decode()
    assert decoded == "us:s3cret-%C3%B6%C3%A4%C3%BC%2F%2B%3D"


def test_a_refused_token_is_renewed_once(site: Site) -> None:
    with client_of(site, CLIENT_ID="us", CLIENT_SECRET="s") as client:
        client.get("metadata")
        site.refuse.add("token-1")
        client.get("metadata")
        assert site.asked == ["token-1", "token-1", "token-2"]
        site.refuse.update(f"token-{n}" for n in range(9))
        with pytest.raises(TargetError, match="401") as error:
            client.get("metadata")
        assert "token-" not in str(error.value)
    assert site.asked[3:] == ["token-2", "token-3"]


def test_a_token_that_is_renewed_in_its_file_is_read_again(site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n", encoding="ascii")
    token.chmod(0o600)
    with client_of(site, TOKEN_FILE=str(token)) as client:
        client.get("metadata")
        site.refuse.add("first")
        token.write_text("second\n", encoding="ascii")
        client.get("metadata")
        assert site.asked == ["first", "first", "second"]
        site.refuse.add("second")
        with pytest.raises(TargetError, match="401"):
            client.get("metadata")
    assert site.asked[3:] == ["second"]


def test_many_threads_renew_a_token_together(site: Site) -> None:
    with client_of(site, CLIENT_ID="us", CLIENT_SECRET="s") as client:
        client.get("metadata")
        site.refuse.add("token-1")
        threads = [threading.Thread(target=client.get, args=("metadata",)) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert site.tokens == 2


def test_a_token_is_renewed_before_it_expires(site: Site) -> None:
    site.lasts = 0.2
    with client_of(site, CLIENT_ID="us", CLIENT_SECRET="s") as client:
        client.get("metadata")
        time.sleep(0.25)
        client.get("metadata")
    assert site.asked == ["token-1", "token-2"]


def test_an_authorization_server_that_is_busy_is_asked_again(site: Site) -> None:
    site.down = 1
    with client_of(site, CLIENT_ID="us", CLIENT_SECRET="s") as client:
        client.get("metadata")
    assert site.tokens == 1


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_signed_assertion(site: Site, tmp_path: Path, kind: str, form: str) -> None:
    key: Any = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    path = tmp_path / "key"
    path.write_text(pem(key) if form == "pem" else json.dumps(jwk(key)), encoding="ascii")
    path.chmod(0o600)
    with client_of(site, CLIENT_ID="us", CLIENT_KEY_FILE=str(path)) as client:
        client.get("metadata")
    form_sent = site.forms[0]
    assert form_sent["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert form_sent["scope"] == ["system/*.cruds"]
    assert site.basics == [""]
    head, claims, signature = form_sent["client_assertion"][0].split(".")
    told, said = (json.loads(plain(part)) for part in (head, claims))
    assert told["typ"] == "JWT"
    assert told["kid"] == ("mine" if form == "jwk" else told["kid"]) and told["kid"]
    assert said["iss"] == said["sub"] == "us"
    assert said["aud"] == f"http://127.0.0.1:{site.port}/token"
    assert 0 < said["exp"] - time.time() <= 300
    assert len(said["jti"]) > 20
    data, raw = f"{head}.{claims}".encode(), plain(signature)
    if kind == "rsa":
        assert told["alg"] == "RS384"
        key.public_key().verify(raw, data, padding.PKCS1v15(), hashes.SHA384())
    else:
        assert told["alg"] == "ES384"
        both = int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big")
        key.public_key().verify(encode_dss_signature(*both), data, ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("text", ["", "no key", "{}", '{"kty": "oct"}'])
def test_what_is_no_key(site: Site, tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    with client_of(site, CLIENT_ID="us", CLIENT_KEY_FILE=str(path)) as client, pytest.raises(UsageError, match="key"):
        client.get("metadata")


def test_a_weak_key_is_refused(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(pem(rsa.generate_private_key(65537, 1024)), encoding="ascii")
    path.chmod(0o600)
    with client_of(site, CLIENT_ID="us", CLIENT_KEY_FILE=str(path)) as client, pytest.raises(UsageError, match="SMART"):
        client.get("metadata")


def pem(key: Any) -> str:
    form, whole = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, whole).decode())


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk(key: Any) -> dict[str, str]:
    def number(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

    if isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        names = {"p": private.p, "q": private.q, "d": private.d, "dp": private.dmp1, "dq": private.dmq1}
        public = private.public_numbers
        names |= {"qi": private.iqmp, "n": public.n, "e": public.e}
        return {"kty": "RSA", "kid": "mine", **{name: number(value) for name, value in names.items()}}
    point = key.private_numbers()
    numbers = {"d": point.private_value, "x": point.public_numbers.x, "y": point.public_numbers.y}
    return {"kty": "EC", "crv": "P-384", "kid": "mine", **{name: number(value) for name, value in numbers.items()}}
