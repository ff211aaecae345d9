"""Where to deliver and how: the address of a server, the form of what it is sent, and how patient to be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from caseweave.errors import UsageError

FORMATS = {"json": "application/fhir+json", "xml": "application/fhir+xml"}
BUNDLES = ("transaction", "batch", "message")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Server:
    """A FHIR server and how to speak with it.

    >>> Server("https://fhir.example.org/r4/").url
    'https://fhir.example.org/r4'

    Arguments: `format`, json or xml; `bundle`, transaction, batch or message; `size`, how many resources a bundle holds
    (a patient's stay together where they are no more); `connections` in parallel; `gzip`, auto, always or never;
    `confirm`, what is read back of what was stored: quick (counts and versions) or contents; `timeout` of one request
    and `give_up`, how long a bundle is tried, in seconds. Raises UsageError for an address that isn't one, or that
    holds a password.
    """

    url: str
    format: str = "json"
    bundle: str = "transaction"
    size: int = 400
    connections: int = 4
    gzip: str = "auto"
    confirm: str = "quick"
    timeout: float = 120.0
    give_up: float = 600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", checked_url(self.url))

    @property
    def mime(self) -> str:
        """The media type of what is sent and asked for."""
        return FORMATS[self.format]

    @property
    def is_near(self) -> bool:
        """Whether the server is on this machine."""
        return is_near(self.url)

    @property
    def digest(self) -> str:
        """The server's name in ledgers and folders."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]


def is_near(url: str) -> bool:
    """Whether an address is one of this machine.

    >>> is_near("http://localhost:8080/fhir")
    True
    """
    try:
        return (urlsplit(url).hostname or "") in LOOPBACK
    except ValueError:  # no address at all
        return False


def is_below(base: str, url: str) -> bool:
    """Whether an address is the server's own or below it, as the next page of a search must be.

    >>> is_below("https://fhir.example.org", "https://fhir.example.org?_getpages=1")
    True
    >>> is_below("https://fhir.example.org", "https://fhir.example.org.evil.example/")
    False
    """
    return url.startswith(base) and url[len(base) :][:1] in ("", "/", "?")


def checked_url(text: str) -> str:
    """The base address of a server, without a slash at its end.

    >>> checked_url("http://localhost:8080/fhir/")
    'http://localhost:8080/fhir'

    Raises UsageError, and never quotes a password that stands in the address.
    """
    way_out = "Give the server's base address, as https://fhir.example.org/r4."
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageError("The address of the FHIR server can't be read.", way_out=way_out) from None
    if "@" in parts.netloc:
        raise UsageError(
            "The address of the FHIR server holds a name or password.",
            way_out="Set CASEWEAVE_FHIR_USER and CASEWEAVE_FHIR_PASSWORD instead.",
        )
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
        raise UsageError("The address of the FHIR server must be http(s)://host/path.", way_out=way_out)
    return text.strip().rstrip("/")
