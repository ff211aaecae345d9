"""Certificates: the server's is held against the authorities that are named, ours is shown where it is asked for."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from caseweave.errors import TargetError, UsageError
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.client import Client, Unreachable
from caseweave.targets.fhir.server.settings import Server


class Authority:
    """A certificate authority of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.signed("authority", self.key, None)
        self.path = folder / "authority.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def signed(self, name: str, key: Any, issuer: x509.Certificate | None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(own, critical=False)
            .add_extension(address, critical=False)
        )
        if issuer:
            theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(theirs, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def make(self, name: str, password: bytes = b"") -> tuple[Path, Path]:
        """A certificate and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        cert, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(self.signed(name, key, self.certificate).public_bytes(serialization.Encoding.PEM))
        secret.touch(0o600)
        pem, whole = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        secret.write_bytes(key.private_bytes(pem, whole, form))
        return cert, secret


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        body = json.dumps({"resourceType": "CapabilityStatement"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that fails is what is tested."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    """A server that wants to see a certificate of its authority."""
    cert, key = authority.make("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/fhir"
    server.shutdown()
    server.server_close()
    thread.join(10)


def ask(url: str, **files: Path) -> Any:
    server = Server(url, timeout=5, give_up=2)
    environment = {f"CASEWEAVE_FHIR_{name}": str(path) for name, path in files.items()}
    with Client(server, Credentials.of(environment, server)) as client:
        return client.get("metadata")


def test_a_client_certificate_is_shown(url: str, authority: Authority) -> None:
    cert, key = authority.make("us")
    found = ask(url, CA_FILE=authority.path, CERT_FILE=cert, CERT_KEY_FILE=key)
    assert found == {"resourceType": "CapabilityStatement"}
    both = authority.folder / "both.pem"
    both.touch(0o600)
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    assert ask(url, CA_FILE=authority.path, CERT_FILE=both) == found


def test_without_one_there_is_no_answer(url: str, authority: Authority) -> None:
    with pytest.raises(Unreachable):
        ask(url, CA_FILE=authority.path)


def test_an_unknown_authority_is_said_at_once(url: str) -> None:
    with pytest.raises(TargetError, match="CASEWEAVE_FHIR_CA_FILE"):
        ask(url)


def test_a_key_that_others_can_read_is_refused(url: str, authority: Authority) -> None:
    cert, key = authority.make("us")
    key.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        ask(url, CA_FILE=authority.path, CERT_FILE=cert, CERT_KEY_FILE=key)


def test_a_key_with_a_password_asks_nobody(url: str, authority: Authority) -> None:
    cert, key = authority.make("us", b"pa55")
    with pytest.raises(UsageError, match="no password"):
        ask(url, CA_FILE=authority.path, CERT_FILE=cert, CERT_KEY_FILE=key)


def test_what_is_no_certificate(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing", encoding="ascii")
    with pytest.raises(UsageError, match="can't be read"):
        ask(url, CA_FILE=wrong)
