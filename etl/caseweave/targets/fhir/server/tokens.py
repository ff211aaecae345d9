"""OAuth2 access tokens by client credentials: a secret, or a signed assertion (SMART Backend Services)."""

from __future__ import annotations

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

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.retry import TRANSIENT
from caseweave.targets.fhir.server.signing import load_key, sign

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "system/*.cruds"
ASSERTION_SECONDS = 240  # SMART allows five minutes at most
LEEWAY = 30.0
TIMEOUT = 30.0


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
        with httpx.Client(verify=self.verify, timeout=TIMEOUT) as client:
            try:
                url = self.values.get("TOKEN_URL") or self._discover(client)
                form = {"grant_type": "client_credentials", "scope": self.values.get("SCOPE", SCOPE)}
                auth = httpx.Auth()
                if "CLIENT_KEY_FILE" in self.values:
                    form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self._assertion(url)}
                else:
                    # each part encoded as in a form (RFC 6749, 2.3.1)
                    name, secret = (quote(self.values[one], safe="") for one in ("CLIENT_ID", "CLIENT_SECRET"))
                    auth = httpx.BasicAuth(name, secret)
                response = client.post(url, data=form, auth=auth, headers={"Accept": "application/json"})
            except httpx.TransportError as error:
                # it is tried again as the request itself would be
                raise httpx.ConnectError(f"authorization server: {type(error).__name__}: {error}") from None
        if response.status_code in TRANSIENT:
            raise httpx.ConnectError(f"authorization server: status {response.status_code}")
        try:
            found: Any = response.json() if response.status_code == 200 else {}
            token = found.get("access_token", "")
            lasts = float(found.get("expires_in", 300))
        except (ValueError, AttributeError, TypeError):
            token = ""
        if not isinstance(token, str) or not token:
            raise _failed(f"gives no token (status {response.status_code})")
        return token, started + max(lasts - LEEWAY, lasts / 2)

    def _discover(self, client: httpx.Client) -> str:
        response = client.get(f"{self.base}/.well-known/smart-configuration", headers={"Accept": "application/json"})
        try:
            url = response.json()["token_endpoint"] if response.status_code == 200 else ""
        except (ValueError, KeyError, TypeError):
            url = ""
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise _failed("isn't named by the server's .well-known/smart-configuration")
        if self.base.startswith("https://") and not url.startswith("https://"):
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
