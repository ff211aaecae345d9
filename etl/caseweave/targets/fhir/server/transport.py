"""A transport for httpx that ends each request by one clock: a line that drips, head or body, can't keep us."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from caseweave.targets.fhir.server.settings import is_near

# what httpcore calls it -> what httpx does; the more special first
ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
)


class Clock(threading.local):
    """When the request of this thread ends."""

    end = float("inf")

    def left(self, timeout: float | None, late: type[Exception]) -> float | None:
        """The time for one step; raises where there is none left."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise late("the time of the request is over")
        if left == float("inf"):
            return timeout
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, clock: Clock) -> None:
        self._backend, self._clock = httpcore.SyncBackend(), clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options), self._clock)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Any) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._parts

    def close(self) -> None:
        self._parts.close()


class TimedTransport(httpx.BaseTransport):
    """Pooled connections to one server, through the proxy of the environment where there is one.

    >>> TimedTransport("http://localhost:8080/fhir", True, 4).close()

    Arguments: `verify` as httpx takes it; `connections` at most. `within(seconds)` sets the clock of the requests
    that are made inside.
    """

    def __init__(self, url: str, verify: ssl.SSLContext | bool, connections: int) -> None:
        self._clock = Clock()
        context = verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(verify)
        options: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": connections,
            "max_keepalive_connections": connections,
            "keepalive_expiry": 15.0,
            "network_backend": _Backend(self._clock),
        }
        proxy = _proxy(url)
        self._pool = httpcore.HTTPProxy(proxy, **options) if proxy else httpcore.ConnectionPool(**options)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what this thread asks inside end after so many seconds."""
        self._clock.end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._clock.end = float("inf")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        raw = request.url
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=raw.raw_scheme, host=raw.raw_host, port=raw.port, target=raw.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            got = self._pool.handle_request(sent)
        return httpx.Response(got.status, headers=got.headers, stream=_Body(got.stream), extensions=got.extensions)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def read_at_most(response: httpx.Response, size: int) -> bytes:
    """The body of an answer; raises httpx.ReadError where it is longer, or isn't packed as it says."""
    parts, read = [], 0
    try:
        for part in response.iter_bytes():
            parts.append(part)
            read += len(part)
            if read > size:
                raise httpx.ReadError("the answer is too long")
    except httpx.DecodingError as error:
        raise httpx.ReadError(str(error)) from error
    return b"".join(parts)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except tuple(theirs for theirs, _ in ERRORS) as error:
        ours = next(ours for theirs, ours in ERRORS if isinstance(error, theirs))
        raise ours(str(error)) from error


def _proxy(url: str) -> str:
    """The proxy that the environment names for an address, "" where there is none."""
    found = httpx.URL(url)
    if is_near(url) or urllib.request.proxy_bypass(found.host):
        return ""
    return urllib.request.getproxies().get(found.scheme, "")
