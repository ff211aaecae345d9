"""Who we are to a server: nothing, a password, a token, OAuth2 client credentials, a certificate.

Secrets come from the environment or from files of their owner alone, never from a command line, and are never shown.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from caseweave.errors import TargetError, UsageError
from caseweave.targets.fhir.server.secretfiles import read_secret, require_private
from caseweave.targets.fhir.server.settings import Server, is_near
from caseweave.targets.fhir.server.tokens import TokenSource

PREFIX = "CASEWEAVE_FHIR_"
NAMES = (
    "USER", "PASSWORD", "PASSWORD_FILE", "TOKEN", "TOKEN_FILE", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_SECRET_FILE",
    "CLIENT_KEY_FILE", "CLIENT_KEY_ID", "TOKEN_URL", "SCOPE", "CERT_FILE", "CERT_KEY_FILE", "CA_FILE",
)  # fmt: skip


@dataclass(frozen=True)
class Credentials:
    """What the environment gives for a server; its secrets aren't in its repr.

    >>> Credentials.of({"CASEWEAVE_FHIR_TOKEN": "abc"}, Server("https://fhir.example.org")).kind
    'bearer'

    Raises UsageError where two ways are given at once, one is given by half, a secret file is open to others, or a
    secret would go over an open line.
    """

    kind: str
    values: Mapping[str, str] = field(repr=False)
    server: Server

    @classmethod
    def of(cls, environment: Mapping[str, str], server: Server) -> Credentials:
        """The credentials that an environment holds."""
        found = {name: environment[PREFIX + name] for name in NAMES if environment.get(PREFIX + name)}
        for name in ("PASSWORD", "TOKEN", "CLIENT_SECRET"):
            if f"{name}_FILE" in found and name not in found:
                found[name] = read_secret(Path(found[f"{name}_FILE"]))
        kind = _kind(found)
        if kind not in ("none", "certificate"):
            for url in (server.url, found.get("TOKEN_URL", server.url)):
                if not url.startswith("https:") and not is_near(url):
                    raise UsageError(
                        "A secret would travel unencrypted to the FHIR server or its authorization server.",
                        way_out="Give https addresses with --fhir and CASEWEAVE_FHIR_TOKEN_URL.",
                    )
        return cls(kind, found, server)

    def verify(self) -> ssl.SSLContext | bool:
        """What the connection is secured with: the system's authorities or one's own, and a client certificate."""
        files = {name: self.values[name] for name in ("CA_FILE", "CERT_FILE", "CERT_KEY_FILE") if name in self.values}
        if not files:
            return True
        try:
            context = ssl.create_default_context(cafile=files.get("CA_FILE"))
            if "CERT_FILE" in files:
                key = files.get("CERT_KEY_FILE")
                require_private(Path(key or files["CERT_FILE"]))
                # no prompt: a key with a password of its own is refused instead
                context.load_cert_chain(files["CERT_FILE"], key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError):
            raise UsageError(
                "A certificate or key for the FHIR server can't be read.",
                way_out="Give PEM files with CASEWEAVE_FHIR_CERT_FILE, _CERT_KEY_FILE and _CA_FILE; a key has no "
                "password, only mode 0600.",
            ) from None
        return context

    def auth(self) -> httpx.Auth | None:
        """What signs each request."""
        values = self.values
        if self.kind == "basic":
            return httpx.BasicAuth(values["USER"], values["PASSWORD"])
        if self.kind == "bearer":
            return Bearer(values["TOKEN"], values.get("TOKEN_FILE", ""))
        if self.kind == "oauth2":
            return OAuth2(TokenSource(self.server.url, values, self.verify()))
        return None


class Bearer(httpx.Auth):
    """A token that was given from outside; whoever keeps it in a file may renew it there meanwhile."""

    def __init__(self, token: str, file: str = "") -> None:
        self._token, self._file = token, file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, and again after a 401 where the file holds another token."""
        token = self._token
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and self._file:
            with contextlib.suppress(UsageError):  # then the 401 stands, and is told
                self._token = read_secret(Path(self._file))
            if self._token != token:
                request.headers["Authorization"] = f"Bearer {self._token}"
                yield request


class OAuth2(httpx.Auth):
    """Tokens of the client credentials grant; one that the server refuses is renewed once."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, and again with a new token after a 401."""
        token = self._source.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._source.token(instead_of=token)}"
            yield request


def _kind(found: Mapping[str, str]) -> str:
    ways = {
        "basic": "USER" in found or "PASSWORD" in found,
        "bearer": "TOKEN" in found,
        "oauth2": "CLIENT_ID" in found or "CLIENT_SECRET" in found or "CLIENT_KEY_FILE" in found,
    }
    given = [name for name, there in ways.items() if there]
    whole = {
        "basic": {"USER", "PASSWORD"} <= found.keys(),
        "bearer": True,
        "oauth2": "CLIENT_ID" in found and ("CLIENT_SECRET" in found) != ("CLIENT_KEY_FILE" in found),
    }
    if len(given) > 1 or not all(whole[name] for name in given):
        raise UsageError(
            "The environment names a FHIR server's credentials by half, or two kinds of them.",
            way_out="Set one of: CASEWEAVE_FHIR_USER and _PASSWORD; _TOKEN; _CLIENT_ID and either _CLIENT_SECRET or "
            "_CLIENT_KEY_FILE. A secret can lie in a file of mode 0600: _PASSWORD_FILE, _TOKEN_FILE, "
            "_CLIENT_SECRET_FILE.",
        )
    return given[0] if given else "certificate" if "CERT_FILE" in found else "none"


def _no_password() -> str:
    raise ValueError("the key has a password")


def not_allowed(status: int) -> TargetError:
    """The server knows us not, or lets us not."""
    return TargetError(
        f"The FHIR server answers {status}: it doesn't let this client in.",
        way_out="Look at the CASEWEAVE_FHIR_ variables (docs/operators.md), then run `caseweave deliver`.",
        status=status,
    )
