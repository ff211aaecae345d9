"""The line to a server: pooled, signed, tried again where that helps, never longer than it may take."""

from __future__ import annotations

import gzip
import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin

import httpx

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import Issue, Node, errors, issues, parse
from caseweave.targets.fhir.server.auth import Credentials, not_allowed
from caseweave.targets.fhir.server.retry import TRANSIENT, Patience, retry_after
from caseweave.targets.fhir.server.settings import Server, is_below
from caseweave.targets.fhir.server.transport import TimedTransport, read_at_most

REJECTED = frozenset({400, 409, 412, 422})
# of a place or a resource that isn't there: with an outcome a server speaks of what was asked, else of the address
NOT_THERE = frozenset({404, 405, 410, 501})
GONE = frozenset({404, 410})
TOO_LARGE = frozenset({413, 414, 431})
MOVED = frozenset({301, 307, 308})
MAX_ANSWER = 256 << 20
LONGEST_CONNECT = 30.0
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
# a fault inside the server may be luck or may come from what was sent: it is tried so often before that is looked for
MOST_FAULTS = 3
# servers that say 400 for too many entries say so in words of their own: both have to fit
TOO_MANY = re.compile(r"too many|more \D{0,40}than allowed|exceed|limit|maximum", re.IGNORECASE)
OF_A_BUNDLE = re.compile(r"\b(bundle|batch|transaction|entries|entities|operations)\b", re.IGNORECASE)


class Unreachable(Exception):
    """The server didn't take it in the time there was; nothing says that it is wrong."""


class TooLarge(Exception):
    """Less of it may pass.

    Arguments: `status` and `issues` of the server's answer.
    """

    def __init__(self, status: int = 413, found: tuple[Issue, ...] = ()) -> None:
        super().__init__(status, found)
        self.status, self.issues = status, found


class Rejected(Exception):
    """The server won't have it as it is.

    Arguments: `status` and `issues` of its answer.
    """

    def __init__(self, status: int, found: tuple[Issue, ...]) -> None:
        super().__init__(status, found)
        self.status, self.issues = status, found


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Counters:
    """How much was said; threads add to it under the client's lock."""

    requests: int = 0
    retries: int = 0
    sent: int = 0


@dataclass
class Client:
    """Requests to one server, by any number of threads.

    >>> with Client(Server("http://localhost:8080/fhir"), Credentials.of({}, server)) as client:  # doctest: +SKIP
    ...     client.get("metadata")

    Arguments: `stop`, when set, ends all waiting; what the server was found to want: `zipped` bodies, a `slash` behind
    its base address, searches `by_get`.
    """

    server: Server
    credentials: Credentials
    stop: threading.Event = field(default_factory=threading.Event)
    counters: Counters = field(default_factory=Counters)
    zipped: bool = False
    slash: str = ""
    by_get: bool = False

    def __post_init__(self) -> None:
        server = self.server
        self._lock = threading.Lock()
        self._transport = TimedTransport(server.url, self.credentials.verify(), server.connections + 1)
        # only what was named is spoken to: no redirect takes a secret or a patient elsewhere
        self._http = httpx.Client(
            auth=self.credentials.auth(),
            transport=self._transport,
            follow_redirects=False,
            headers={"Accept": server.mime, "User-Agent": "caseweave"},
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def patience(self) -> Patience:
        """The time for one piece of work."""
        return Patience(self.server.give_up, self.stop)

    def get(self, path: str, patience: Patience | None = None, silence: float = math.inf) -> Node:
        """Read something; `path` is below the server's address, or a whole address of it.

        Arguments: `silence`, how many seconds a server may not answer at all.
        """
        return self.exchange("GET", path, patience=patience, silence=silence)

    def read(self, ref: str, patience: Patience) -> Node | None:
        """A resource by its type and id, None where there is none."""
        try:
            return self.get(ref, patience)
        except Rejected as refusal:
            if refusal.status not in GONE:
                raise
        except TargetError as error:
            if error.data.get("status") not in GONE:
                raise
        return None

    def search(self, type_: str, parameters: Mapping[str, str], patience: Patience, *, pages: bool = False) -> Node:
        """Search by POST, so that the address stays short, or by GET at servers that take no form.

        Arguments: `pages`, whether more than a page may be found; what fits on one needn't be kept by the server. What
        it found a moment ago it mustn't say again: HAPI does for a minute.
        """
        words = urlencode(parameters, safe=",")
        headers = {"Cache-Control": "no-cache" if pages else "no-store"}
        if self.by_get:
            return self.exchange("GET", f"{type_}?{words}", None, patience, headers)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.exchange("POST", f"{type_}/_search", words.encode(), patience, headers)

    def post(self, path: str, body: bytes, patience: Patience) -> Node:
        """Send a resource, and return what is answered."""
        return self.exchange("POST", path, body, patience)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        patience: Patience | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float = math.inf,
    ) -> Node:
        """One request and its answer, tried again while there is time.

        Arguments: `silence`, how many seconds a server may not answer at all. Raises Rejected, TooLarge, Unreachable;
        TargetError where no other request would fare better.
        """
        patience = patience or self.patience()
        faults, moved = 0, False
        while True:
            problem, asked, within = "", 0.0, math.inf
            zipped = self.zipped and body is not None and headers is None
            try:
                answer = self._once(method, path, body, patience, headers, zipped)
            except httpx.TransportError as error:
                if UNTRUSTED in str(error):
                    raise _untrusted() from None
                problem, within = type(error).__name__, silence
            except httpx.InvalidURL:
                raise Unreachable("the server names an address that can't be read") from None
            else:
                if 200 <= answer.status < 300:
                    try:
                        return parse(answer.body)
                    except ValueError:
                        problem = f"an answer {answer.status} that isn't whole"
                elif answer.status in TRANSIENT:
                    problem = f"status {answer.status}"
                    asked = retry_after(answer.headers.get("retry-after"), time.time())
                elif answer.status >= 500 and answer.status not in NOT_THERE and faults + 1 < MOST_FAULTS:
                    faults += 1
                    problem = f"status {answer.status}"
                elif answer.status == 415 and zipped:
                    self.zipped = False
                    continue
                elif answer.status in MOVED and not moved and self._moved_by_a_slash(path, answer):
                    self.slash, moved = "/", True
                    continue
                else:
                    raise _final(answer)
            with self._lock:
                self.counters.retries += 1
            if not patience.pause(asked, within):
                raise Unreachable(f"{problem}, after {patience.attempts} attempts")

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        patience: Patience,
        headers: Mapping[str, str] | None,
        zipped: bool,
    ) -> Answer:
        """One attempt, ended by its own clock."""
        allowed = min(self.server.timeout, max(patience.left, 1.0))
        extra = dict(headers or {})
        if body is not None and headers is None:
            extra["Content-Type"] = self.server.mime
            if zipped:
                body = gzip.compress(body, 1)
                extra["Content-Encoding"] = "gzip"
        url = path if is_below(self.server.url, path) else self._address(path)
        with self._lock:
            self.counters.requests += 1
            self.counters.sent += len(body or b"")
        timeout = httpx.Timeout(allowed, connect=min(allowed, LONGEST_CONNECT))
        with (
            self._transport.within(allowed),
            self._http.stream(method, url, content=body, headers=extra, timeout=timeout) as response,
        ):
            return Answer(response.status_code, response.headers, read_at_most(response, MAX_ANSWER))

    def _address(self, path: str) -> str:
        return f"{self.server.url}/{path}" if path else f"{self.server.url}{self.slash}"

    def _moved_by_a_slash(self, path: str, answer: Answer) -> bool:
        """Whether the server only wants its own base address with a slash at the end."""
        there = urljoin(self.server.url, answer.headers.get("location", ""))
        return not path and there == f"{self.server.url}/"


def _of_size(found: tuple[Issue, ...]) -> bool:
    """Whether a refusal is about how much came together, not about what it was."""
    return any(
        issue.code == "too-costly" or (TOO_MANY.search(issue.text) and OF_A_BUNDLE.search(issue.text))
        for issue in errors(found)
    )


def _untrusted() -> TargetError:
    return TargetError(
        "The certificate of the FHIR server or its authorization server isn't one that is trusted here.",
        way_out="Name the file with its authority's certificate in CASEWEAVE_FHIR_CA_FILE.",
    )


def _final(answer: Answer) -> Exception:
    """The error of a status that trying again won't change."""
    try:
        told = issues(parse(answer.body))
    except ValueError:
        told = ()
    if answer.status in TOO_LARGE or (answer.status in REJECTED and _of_size(told)):
        return TooLarge(answer.status, told)
    if answer.status in REJECTED or answer.status >= 500 or (answer.status in NOT_THERE and told):
        return Rejected(answer.status, told)
    if answer.status in (401, 403):
        return not_allowed(answer.status)
    where = answer.headers.get("location")
    moved = f" and points to {where.partition('?')[0]}" if where and answer.status < 400 else ""
    return TargetError(
        f"The FHIR server answers {answer.status}{moved}.",
        way_out="Look whether --fhir is its base address, then run `caseweave deliver`.",
        status=answer.status,
    )
