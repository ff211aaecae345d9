"""What can go wrong between us and a server: what happens, to which requests, and how a delivery must end."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.services.proxy import Behaviour, Exchange, Rule, Wanted, entries, good, with_entries

CONFIRMED, WAITING, REFUSED, STOPPED = "confirmed", "waiting", "refused", "stopped"
SECONDS = 3600.0


@dataclass(frozen=True)
class Victim:
    """The fact that a server won't have: its reference, its patient's, and the cell it comes from."""

    ref: str
    patient: str
    cell: str


@dataclass(frozen=True)
class Case:
    """One misbehaviour.

    Arguments: `rules` of the proxy; `ends`, how the delivery must; `second`, whether it comes with a correction, after
    a first delivery that went well; `how` is given to the server's settings; `sheets` are those that lie in quarantine.
    """

    name: str
    rules: Callable[[Victim], list[Rule]]
    ends: str = CONFIRMED
    second: bool = False
    how: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    sheets: tuple[str, ...] = ("visits",)


def outcome(code: str, text: str, *where: str) -> dict[str, Any]:
    """An OperationOutcome."""
    issue = {"severity": "error", "code": code, "diagnostics": text, "expression": list(where)}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def status(code: int, content: Any = None, **headers: str) -> Behaviour:
    """Answer so without asking the server."""

    async def behave(exchange: Exchange) -> None:
        await exchange.say(code, content, **headers)

    return behave


def after(behave: Behaviour) -> Behaviour:
    """Let the server commit first, and throw its answer away."""

    async def both(exchange: Exchange) -> None:
        await exchange.forward()
        await behave(exchange)

    return both


def late(seconds: float) -> Behaviour:
    """Answer late."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await good(exchange)

    return behave


async def reset(exchange: Exchange) -> None:
    """Break off without an answer."""
    exchange.reset()


async def close(exchange: Exchange) -> None:
    """End the connection politely, without an answer."""
    exchange.writer.close()


async def hole(exchange: Exchange) -> None:
    """Never answer."""
    await asyncio.sleep(SECONDS)


async def garbage(exchange: Exchange) -> None:
    """Speak no HTTP."""
    await exchange.raw(b"\x00\x01\x02 this is no answer\r\n\r\n")
    exchange.writer.close()


async def truncated(exchange: Exchange) -> None:
    """Half of the answer, then the end."""
    code, _, body = await exchange.forward()
    head = f"HTTP/1.1 {code} OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    await exchange.raw(head + body[: len(body) // 2])
    exchange.writer.close()


async def cut_chunks(exchange: Exchange) -> None:
    """A chunk of the answer, and never the last."""
    code, _, body = await exchange.forward()
    part = body[: len(body) // 2]
    head = f"HTTP/1.1 {code} OK\r\ntransfer-encoding: chunked\r\n\r\n{len(part):x}\r\n".encode()
    await exchange.raw(head + part + b"\r\n")
    exchange.writer.close()


async def half_json(exchange: Exchange) -> None:
    """Half of the answer, as if it were all."""
    code, headers, body = await exchange.forward()
    await exchange.reply(code, headers, body[: len(body) // 2])


async def drip(exchange: Exchange) -> None:
    """An answer that comes byte by byte, each in time, for ever."""
    await exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(100000):
        await exchange.raw(b" ")
        await asyncio.sleep(0.2)


async def drip_head(exchange: Exchange) -> None:
    """Headers that never end."""
    await exchange.raw(b"HTTP/1.1 200 OK\r\nx-slow: ")
    for _ in range(100000):
        await exchange.raw(b"x")
        await asyncio.sleep(0.2)


def lie(version: int, made: str) -> Behaviour:
    """Say that everything was stored, as a server would, and store nothing."""

    async def behave(exchange: Exchange) -> None:
        told = []
        for entry in exchange.bundle()["entry"]:
            how = made if entry["request"]["method"] == "PUT" else "204 No Content"
            location = f"{entry['request']['url']}/_history/{version}"
            told.append({"response": {"status": how, "location": location, "etag": f'W/"{version}"'}})
        await exchange.say(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": told})

    return behave


new = lie(1, "201 Created")
update = lie(2, "200 OK")
EMPTY = {"resourceType": "Bundle", "type": "transaction-response"}


def answered(change: Callable[[list[Any]], list[Any]]) -> Behaviour:
    """Store it, and change the entries of the answer."""

    async def behave(exchange: Exchange) -> None:
        code, headers, body = await exchange.forward()
        if code == 200:
            body = with_entries(body, change(entries(body)))
        await exchange.reply(code, headers, body)

    return behave


def without(*names: str) -> Callable[[list[Any]], list[Any]]:
    """Entries that don't tell something."""
    return lambda found: [
        {"response": {name: value for name, value in one["response"].items() if name not in names}} for one in found
    ]


def of_others(found: list[Any]) -> list[Any]:
    """Entries that speak of resources that nobody sent."""
    return [{"response": {**one["response"], "location": f"Basic/{n}/_history/1"}} for n, one in enumerate(found)]


def count_says(number: int) -> Behaviour:
    """A search that finds so many, whatever there is."""
    return status(200, {"resourceType": "Bundle", "type": "searchset", "total": number})


def concerning(victim: Victim) -> Wanted:
    """Bundles with the victim's fact."""
    return lambda exchange: exchange.is_bundle and victim.ref.encode() in exchange.body


def refuses(victim: Victim, code: int, content: Any = None) -> list[Rule]:
    """Every bundle with the victim's fact is refused."""
    return [Rule(status(code, content), concerning(victim), 0)]


def points_at(victim: Victim) -> list[Rule]:
    """Refuse the victim's fact, and say in which entry it stands."""

    async def behave(exchange: Exchange) -> None:
        refs = [entry["request"]["url"] for entry in exchange.bundle()["entry"]]
        where = f"Bundle.entry[{refs.index(victim.ref)}].resource.value"
        await exchange.say(422, outcome("invariant", "the value is too large", where))

    return [Rule(behave, concerning(victim), 0)]


def larger_than(limit: int) -> Wanted:
    """Bundles with more entries."""
    return lambda exchange: exchange.is_bundle and len(exchange.bundle()["entry"]) > limit


def searches(exchange: Exchange) -> bool:
    """Reading back what was sent."""
    return exchange.is_search and bool(exchange.proxy.bundles)


def metadata(exchange: Exchange) -> bool:
    """The capability statement."""
    return exchange.path.endswith("/metadata")


def zipped(exchange: Exchange) -> bool:
    """What comes compressed."""
    return exchange.headers.get("content-encoding") == "gzip"


def once(behaviour: Behaviour, wanted: Wanted | None = None, times: int = 1) -> Callable[[Victim], list[Rule]]:
    """The first requests fare so."""
    return lambda victim: [Rule(behaviour, wanted, times) if wanted else Rule(behaviour, times=times)]


def ever(behaviour: Behaviour, wanted: Wanted | None = None) -> Callable[[Victim], list[Rule]]:
    """All requests fare so."""
    return once(behaviour, wanted, 0)


def in_a_second() -> str:
    """The date for Retry-After."""
    return email.utils.formatdate(time.time() + 1, usegmt=True)


async def until_a_date(exchange: Exchange) -> None:
    """503 with a date."""
    await exchange.say(503, retry_after=in_a_second())


def dies_after(times: int) -> Callable[[Victim], list[Rule]]:
    """Well for some bundles, then never again."""
    return lambda victim: [Rule(reset, lambda exchange: len(exchange.proxy.bundles) > times, 0)]


IMPATIENT = {"timeout": 4.0, "give_up": 6.0}
PATIENT = {"timeout": 6.0, "give_up": 90.0}
BATCH = {"bundle": "batch"}


def entry_says(victim: Victim, code: int) -> list[Rule]:
    """In a batch, only the victim's entry fails, with this status, and isn't stored."""

    async def behave(exchange: Exchange) -> None:
        sent = exchange.bundle()["entry"]
        kept = [one for one in sent if one["request"]["url"] != victim.ref]
        told = {"status": f"{code} no", "outcome": outcome("processing", "not this one")}
        stored: list[Any] = []
        if kept:
            exchange.body = with_entries(exchange.body, kept)
            stored = entries((await exchange.forward())[2])
        place = next(n for n, one in enumerate(sent) if one["request"]["url"] == victim.ref)
        stored.insert(place, {"response": told})
        await exchange.say(200, {"resourceType": "Bundle", "type": "batch-response", "entry": stored})

    return [Rule(behave, concerning(victim), 1 if code == 503 else 0)]


CASES = [
    Case("every answer a little late", ever(late(0.3))),
    Case("the capability statement late", once(late(1.0), metadata)),
    Case("an answer later than the timeout, once", once(late(8.0)), how=PATIENT),
    Case("reset before the server has it", once(reset, times=3)),
    Case("reset after the server has it", once(after(reset), times=3)),
    Case("closed without an answer", once(close)),
    Case("closed without an answer, after the server has it", once(after(close))),
    Case("every second bundle reset", lambda victim: [Rule(one) for one in (reset, good) * 4]),
    Case("an answer cut in half", once(truncated)),
    Case("an answer without its last chunk", once(cut_chunks)),
    Case("half an answer as if it were whole", once(half_json)),
    Case("no answer, once", once(hole), how=PATIENT),
    Case("no answer, once, after the server has it", once(after(hole)), how=PATIENT),
    Case("never an answer", ever(hole), WAITING, how=IMPATIENT),
    Case("never an answer to anything after the first bundle", dies_after(1), WAITING, how=IMPATIENT),
    Case("an answer that drips", once(drip), how=PATIENT),
    Case("headers that drip", once(drip_head), how=PATIENT),
    Case("always headers that drip", ever(drip_head), WAITING, how=IMPATIENT),
    Case("no HTTP at all, once", once(garbage)),
    Case("429 with Retry-After", once(status(429, retry_after="1"), times=2)),
    Case("503 with Retry-After", once(status(503, retry_after="1"))),
    Case("503 until a date", once(until_a_date)),
    Case("503 with Retry-After of an hour", ever(status(503, retry_after="3600")), WAITING, how=IMPATIENT),
    Case("503 without a word", once(status(503), times=2)),
    Case("503 for ever", ever(status(503)), WAITING, how=IMPATIENT),
    Case("502 with a page", once(status(502, "<html>"))),
    Case("504 after the server has it", once(after(status(504)))),
    Case("408", once(status(408))),
    Case("500 twice", once(status(500), times=2)),
    Case("413 for more than five entries", ever(status(413), larger_than(5))),
    Case("413 for more than one entry", ever(status(413), larger_than(1))),
    Case("413 once", once(status(413))),
    Case(
        "413 for one fact alone",
        lambda v: [Rule(status(413), concerning(v), 0)],
        REFUSED,
    ),
    Case("401 for good", ever(status(401)), STOPPED, environment={"CASEWEAVE_FHIR_TOKEN": "stale"}),
    Case("403 after two bundles", lambda v: [Rule(good, times=2), Rule(status(403), times=0)], STOPPED),
    Case("sent elsewhere", ever(status(302, location="http://127.0.0.1:9/fhir")), STOPPED),
    Case("415 for what is compressed", ever(status(415), zipped), how={"gzip": "always"}),
    Case("compressed", lambda v: [], how={"gzip": "always"}),
    Case("a lying 200 without a body", once(status(200))),
    Case(
        "a lying 200 with an empty bundle",
        once(status(200, EMPTY)),
    ),
    Case("a lying 200 with an outcome", once(status(200, outcome("informational", "all is well")))),
    Case("a lying 200 for every new resource, once", once(new)),
    Case("a lying 200, always", ever(new), WAITING),
    Case("a lying 200 for a correction", once(update), second=True),
    Case("a lying 200 for every correction", ever(update), WAITING, second=True),
    Case("entries in another order", ever(answered(lambda found: found[::-1]))),
    Case("entries in another order, for a correction", ever(answered(lambda found: found[::-1])), second=True),
    Case("entries without versions", ever(answered(without("etag"))), second=True),
    Case("entries without locations", ever(answered(without("location")))),
    Case("an entry too few, once", once(answered(lambda found: found[1:]))),
    Case("an entry too many, once", once(answered(lambda found: [*found, found[0]]))),
    Case("entries of others, once", once(answered(of_others))),
    Case("422 with the place in the bundle", points_at, REFUSED),
    Case("400 that names the resource", lambda v: refuses(v, 400, outcome("value", f"{v.ref} is wrong")), REFUSED),
    Case("400 without a word", lambda v: refuses(v, 400), REFUSED),
    Case("412", lambda v: refuses(v, 412, outcome("conflict", "not now")), REFUSED),
    Case("409 once", once(status(409, outcome("conflict", "somebody else writes")))),
    Case("409 for one fact", lambda v: refuses(v, 409, outcome("conflict", v.ref)), REFUSED),
    Case("500 for one fact", lambda v: refuses(v, 500, outcome("exception", v.ref)), REFUSED),
    Case("422 for a correction", points_at, REFUSED, second=True),
    Case("reset after a correction is stored", once(after(reset)), second=True),
    Case("reading back is reset", once(reset, searches, 2)),
    Case("reading back isn't possible", ever(status(503), searches), WAITING, how=IMPATIENT),
    Case("reading back finds nothing, once", once(count_says(0), searches)),
    Case("the capability statement fails twice", once(status(503), metadata, 2)),
    Case("a batch", lambda v: [], how=BATCH),
    Case("a batch, reset", once(after(reset), times=2), how=BATCH),
    Case("a batch's entry with 503", lambda v: entry_says(v, 503), how=BATCH),
    Case("a batch's entry with 422", lambda v: entry_says(v, 422), REFUSED, how=BATCH),
]
