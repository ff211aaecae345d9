"""A proxy that misbehaves on purpose, on loopback: every request passes a script before it reaches the real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "accept-encoding", "host"}
FHIR_JSON = "application/fhir+json"


@dataclass
class Exchange:
    """One request on its way, and what can be done to it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    proxy: Proxy
    writer: asyncio.StreamWriter

    @property
    def is_bundle(self) -> bool:
        """Whether it is a bundle, sent to the server's base."""
        return self.method == "POST" and self.path.rstrip("/") == self.proxy.base_path

    @property
    def is_search(self) -> bool:
        """Whether it reads back."""
        return self.path.endswith("/_search")

    def bundle(self) -> Any:
        """What was sent, parsed."""
        return json.loads(self.body)

    async def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Let the server have it; returns what it answers."""
        sent = {name: value for name, value in self.headers.items() if name not in HOP or name == "content-encoding"}
        sent |= {"host": self.headers["host"], "accept-encoding": "identity"}
        known = self.proxy.kept.get(self.path) if self.method == "GET" else None
        if known is None:
            url = f"{self.proxy.origin}{self.path}"
            answer = await self.proxy.upstream.request(self.method, url, content=self.body, headers=sent)
            headers = {name: value for name, value in answer.headers.items() if name not in HOP}
            known = (answer.status_code, headers, answer.content)
        if self.path.endswith("/metadata"):  # a big one, and always the same
            self.proxy.kept[self.path] = known
        return known

    async def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer the client."""
        head = [f"HTTP/1.1 {status} Scripted", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def say(self, status: int, content: Any = None, **headers: str) -> None:
        """Answer with a resource, or nothing."""
        body = b"" if content is None else json.dumps(content).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.reply(status, {"content-type": FHIR_JSON, **told}, body)

    async def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection off, as a crashed host does."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]
Wanted = Callable[[Exchange], bool]


async def good(exchange: Exchange) -> None:
    """Pass it through as it is."""
    await exchange.reply(*await exchange.forward())


@dataclass
class Rule:
    """A behaviour for the requests that are wanted: for the first `times` of them, for all where that is 0."""

    behaviour: Behaviour
    wanted: Wanted = lambda exchange: exchange.is_bundle
    times: int = 1
    met: int = 0


@dataclass
class Proxy:
    """The proxy, on a thread of its own.

    Arguments: `target` is the real server's base address.
    """

    target: str
    rules: list[Rule] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    bundles: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kept: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        url = httpx.URL(self.target)
        self.origin, self.base_path = f"{url.scheme}://{url.host}:{url.port}", url.path.rstrip("/")
        self.loop = asyncio.new_event_loop()
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base address that a client is given."""
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    def script(self, *rules: Rule) -> None:
        """Set what happens from now on; what no rule wants passes."""
        self.rules, self.log, self.bundles, self.faults = list(rules), [], [], []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while (exchange := await self.read(reader, writer)) is not None:
                self.log.append((exchange.method, exchange.path))
                if exchange.is_bundle:
                    self.bundles.append(exchange.body)
                await self.behaviour(exchange)(exchange)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except (OSError, ValueError, KeyError, httpx.HTTPError) as error:
            self.faults.append(f"{type(error).__name__}: {error}")
        finally:
            self.tasks.discard(task)
            writer.close()

    def behaviour(self, exchange: Exchange) -> Behaviour:
        """What happens to a request: the first rule that wants it and isn't used up."""
        for rule in self.rules:
            if rule.wanted(exchange) and (not rule.times or rule.met < rule.times):
                rule.met += 1
                return rule.behaviour
        return good

    async def read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        """The next request of a connection; None at its end."""
        line = await reader.readline()
        if not line:
            return None
        method, path, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Exchange(method, path, headers, body, self, writer)

    def run(self, started: threading.Event) -> None:
        """The thread's work."""
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.start())
        started.set()
        self.loop.run_forever()

    async def start(self) -> None:
        """Listen."""
        self.upstream = httpx.AsyncClient(timeout=120)
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 26)
        self.port = int(self.server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Cut all connections and stop."""
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await self.upstream.aclose()


@contextlib.contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    """A proxy before a server."""
    proxy = Proxy(target)
    started = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(started,), daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), proxy.loop).result(30)
        proxy.loop.call_soon_threadsafe(proxy.loop.stop)
        thread.join(30)


def entries(answer: bytes) -> list[Any]:
    """The entries of a bundle."""
    return list(json.loads(answer)["entry"])


def with_entries(answer: bytes, changed: Sequence[Any]) -> bytes:
    """An answer with other entries."""
    return json.dumps({**json.loads(answer), "entry": list(changed)}).encode()
