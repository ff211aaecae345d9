"""OAuth2 access tokens by client credentials: a secret, or a signed assertion (SMART Backend Services)."""

from __future__ import annotations

import re
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.retry import TRANSIENT
from caseweave.targets.fhir.server.settings import is_near
from caseweave.targets.fhir.server.signing import load_key, sign
from caseweave.targets.fhir.server.transport import TimedTransport, read_at_most

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "system/*.cruds"
ASSERTION_SECONDS = 240  # SMART allows five minutes at most
LEEWAY = 30.0
TIMEOUT = 30.0
LONGEST_ANSWER = 1 << 20
BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass
class TokenSource:
    """Gets tokens and keeps one until it is about to expire; many threads may ask.

    Arguments: `values` are the variables without their prefix: CLIENT_ID, CLIENT_SECRET or CLIENT_KEY_FILE, TOKEN_URL,
    SCOPE, CLIENT_KEY_ID. Without TOKEN_URL the server's own SMART configuration tells it.
    """

    base: str
    values: Mapping[str, str] = field(repr=False)
    verify: ssl.SSLContext | bool = True
    _token: str = field(default="", init=False, repr=False)
    _until: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def token(self, *, instead_of: str = "") -> str:
        """A valid token; a new one where the server refused that which is given.

        Raises TargetError where the authorization server gives none.
        """
        with self._lock:
            if not self._token or self._token == instead_of or time.monotonic() >= self._until:
                self._token, self._until = self._fetch()
            return self._token

    def _fetch(self) -> tuple[str, float]:
        started = time.monotonic()
        try:
            url = self.values.get("TOKEN_URL") or self._discover()
            form = {"grant_type": "client_credentials", "scope": self.values.get("SCOPE", SCOPE)}
            auth = httpx.Auth()
            if "CLIENT_KEY_FILE" in self.values:
                form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self._assertion(url)}
            else:
                # each part encoded as in a form (RFC 6749, 2.3.1)
                name, secret = (quote(self.values[one], safe="") for one in ("CLIENT_ID", "CLIENT_SECRET"))
                auth = httpx.BasicAuth(name, secret)
            status, found = self._ask("POST", url, data=form, auth=auth)
        except httpx.TransportError as error:
            # it is tried again as the request itself would be
            raise httpx.ConnectError(f"authorization server: {type(error).__name__}: {error}") from None
        except httpx.InvalidURL:
            raise _failed("has an address that can't be read") from None
        if status in TRANSIENT:
            raise httpx.ConnectError(f"authorization server: status {status}")
        token = found.get("access_token") if status == 200 else ""
        try:
            lasts = float(found.get("expires_in", 300))
        except (ValueError, TypeError, OverflowError):
            token = ""
        # what can't stand in a header is no token (RFC 6750, 2.1)
        if not isinstance(token, str) or not BEARER.fullmatch(token):
            raise _failed(f"gives no token (status {status})")
        return token, started + max(lasts - LEEWAY, lasts / 2)

    def _ask(self, method: str, url: str, **content: Any) -> tuple[int, dict[str, Any]]:
        """The status of an answer and the object that it holds, {} where it holds none; small, and soon."""
        transport = TimedTransport(url, self.verify, 1)
        headers = {"Accept": "application/json", "User-Agent": "caseweave"}
        with (
            httpx.Client(transport=transport) as client,
            transport.within(TIMEOUT),
            client.stream(method, url, headers=headers, timeout=TIMEOUT, **content) as response,
        ):
            try:
                found = orjson.loads(read_at_most(response, LONGEST_ANSWER))
            except ValueError:
                found = {}
        return response.status_code, found if isinstance(found, dict) else {}

    def _discover(self) -> str:
        status, found = self._ask("GET", f"{self.base}/.well-known/smart-configuration")
        url = found.get("token_endpoint") if status == 200 else ""
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise _failed("isn't named by the server's .well-known/smart-configuration")
        if not (url.startswith("https://") or (is_near(self.base) and is_near(url))):
            raise _failed("is named without https")
        return url

    def _assertion(self, url: str) -> str:
        key, name = load_key(Path(self.values["CLIENT_KEY_FILE"]))
        now = int(time.time())
        client = self.values["CLIENT_ID"]
        claims = {
            "iss": client,
            "sub": client,
            "aud": url,
            "exp": now + ASSERTION_SECONDS,
            "iat": now,
            "jti": secrets.token_urlsafe(24),
        }
        return sign(claims, key, self.values.get("CLIENT_KEY_ID") or name)


def _failed(what: str) -> TargetError:
    return TargetError(
        f"The authorization server of the FHIR server {what}.",
        way_out="Look at CASEWEAVE_FHIR_CLIENT_ID, its secret or key, _TOKEN_URL and _SCOPE (docs/operators.md).",
    )
