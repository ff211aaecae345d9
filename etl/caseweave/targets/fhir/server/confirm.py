"""What the server really holds after it said yes: counted where resources are new, version by version elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import Issue, Node, many, next_page, number, one, parse, reference, resources
from caseweave.targets.fhir.server.bundles import resource
from caseweave.targets.fhir.server.capability import Capability
from caseweave.targets.fhir.server.client import NOT_THERE, Client, Rejected, TooLarge
from caseweave.targets.fhir.server.parcels import Lines
from caseweave.targets.fhir.server.retry import Patience
from caseweave.targets.fhir.server.settings import is_below

IDS = 400
PAGE = 100
NOBODY = "caseweave-nobody"
# what an address may hold for sure
IN_AN_ADDRESS = 50
# what a server says of its own copy; the rest is ours
COMPARED = ("profile", "security", "tag")
SUBSETTED = "SUBSETTED"
# a form isn't what it reads
UNSUITED = {406, 415}
T = TypeVar("T")


@dataclass
class Reader:
    """Reads back from a server.

    >>> Reader(client, capability).missing(["Patient/a"])  # doctest: +SKIP
    ['Patient/a']

    Arguments: `most`, how many ids the server takes in one search, as far as it is known.
    """

    client: Client
    capability: Capability
    most: int = IDS

    def count(self, type_: str, parameters: Mapping[str, str], patience: Patience) -> int | None:
        """How many resources a search finds; None where the server doesn't tell."""
        bundle = self.client.search(type_, {**parameters, "_summary": "count"}, patience)
        return number(one(bundle, "total"))

    def finds(self, type_: str, parameters: Mapping[str, str], patience: Patience) -> bool:
        """Whether a search finds anything."""
        total = self.count(type_, parameters, patience)
        if total is None:
            return next(self.pages(type_, parameters, patience, 1), None) is not None
        return total > 0

    def pages(self, type_: str, parameters: Mapping[str, str], patience: Patience, size: int = PAGE) -> Iterator[Node]:
        """The resources that a search finds, page by page."""
        bundle = self.client.search(type_, {**parameters, "_count": str(size)}, patience, pages="_id" not in parameters)
        seen = {""}
        while True:
            yield from resources(bundle)
            url = next_page(bundle)
            if not url:
                return
            url = here(self.client.server.url, type_, url)
            if url in seen:
                raise Rejected(508, (Issue("error", "incomplete", "The pages of a search go round in a circle."),))
            seen.add(url)
            bundle = self.client.get(url, patience)

    def learn(self, type_: str, patience: Patience) -> None:
        """Find out whether the server takes searches as forms: some refuse them, some find everything whatever they
        say (Google's Healthcare API takes none)."""
        try:
            self.client.by_get = self.finds(type_, {"_id": NOBODY}, patience)
        except (Rejected, TooLarge, TargetError):
            self.client.by_get = True

    def _ask(self, refs: Iterable[str], size: int, ask: Callable[[str, list[str]], T]) -> Iterator[T]:
        """Ask of resources by type and ids, of fewer at once where the server won't have so many."""
        todo = list(_by_type(refs, size))[::-1]
        while todo:
            type_, ids = todo.pop()
            most = min(self.most, IN_AN_ADDRESS) if self.client.by_get else self.most
            if len(ids) > most:
                todo += [(type_, ids[start : start + most]) for start in range(0, len(ids), most)][::-1]
                continue
            try:
                yield ask(type_, ids)
            except (Rejected, TooLarge, TargetError) as refusal:
                status = refusal.data.get("status") if isinstance(refusal, TargetError) else refusal.status
                if isinstance(refusal, TargetError) and status not in NOT_THERE | UNSUITED:
                    raise
                if not self.client.by_get:
                    self.client.by_get = True
                elif len(ids) > 1:
                    self.most = len(ids) // 2
                else:
                    raise Rejected(int(status or 400), ()) from None
                todo.append((type_, ids))

    def _found(self, type_: str, ids: Sequence[str], patience: Patience, **more: str) -> list[Node]:
        """The resources with some ids; raises Rejected where the server finds others: it didn't look at them."""
        wanted = set(ids)
        found = []
        for node in self.pages(type_, {"_id": ",".join(ids), **more}, patience):
            if one(node, "id") not in wanted:
                raise Rejected(400, (Issue("error", "not-supported", "It finds others than those with the ids."),))
            found.append(node)
        return found

    def versions(self, refs: Iterable[str], patience: Patience) -> dict[str, str]:
        """The version that the server holds of each resource; those that it lacks aren't there."""
        found = self._ask(refs, PAGE, lambda type_, ids: self._found(type_, ids, patience, _elements="id"))
        return {reference(node): str(one(node, "meta", "versionId") or "") for nodes in found for node in nodes}

    def whole(self, refs: Iterable[str], patience: Patience) -> Iterator[Node]:
        """The resources themselves, as far as the server holds them."""
        for nodes in self._ask(refs, PAGE, lambda type_, ids: self._found(type_, ids, patience)):
            yield from nodes

    def missing(self, refs: Sequence[str], patience: Patience) -> list[str]:
        """Those that the server lacks: counted first, named only where the count is wrong."""

        def lacking(type_: str, ids: list[str]) -> list[str]:
            if self.count(type_, {"_id": ",".join(ids)}, patience) == len(ids):
                return []
            there = {one(node, "id") for node in self._found(type_, ids, patience, _elements="id")}
            return [f"{type_}/{own}" for own in ids if own not in there]

        return [ref for found in self._ask(refs, IDS, lacking) for ref in found]

    def differing(self, refs: Sequence[str], line: Lines, patience: Patience) -> dict[str, bool]:
        """Those whose content the server holds differently, and those that it lacks: whether it holds them at all."""
        there = ((reference(node), self.same(line(reference(node)), node)) for node in self.whole(refs, patience))
        same = dict(there)
        return {ref: ref in same for ref in refs if not same.get(ref)}

    def same(self, line: bytes, node: Node) -> bool:
        """Whether a resource of the server has the content of one of ours."""
        if self.client.server.format == "json":
            own: Any = orjson.loads(line)
        else:
            own = parse(resource(self.client.server, line))
        mine, its = _content(own), _content(node)
        # a server may keep tags of others: another study's, of a patient whom both have; and its own security labels
        labels = [[set(found["meta"].pop(name, [])) for name in ("tag", "security")] for found in (mine, its)]
        return mine == its and all(ours <= theirs for ours, theirs in zip(*labels, strict=True))

    def unconfirmed(
        self, put: Mapping[str, str], created: set[str], deleted: Sequence[str], line: Lines, patience: Patience
    ) -> list[str]:
        """Those of what was sent that the server doesn't hold as it was sent, or still holds.

        Arguments: `put` gives the versions that the server told, by reference; `created`, those that it said are new;
        `deleted`, what must be gone.
        """
        known = [ref for ref in [*put, *deleted] if self._can(ref, self.capability.searches)]
        try:
            doubtful = self._doubtful({ref: put[ref] for ref in known if ref in put}, created, line, patience)
            doubtful += self._still_there([ref for ref in known if ref not in put], patience)
        except (Rejected, TooLarge):
            # it searches by no ids at all
            doubtful = known
        looked_for = set(known)
        doubtful += [ref for ref in [*put, *deleted] if ref not in looked_for and self._can(ref, self.capability.reads)]
        # an index may lag behind, so that a search doesn't find what a moment ago was stored: reading does
        quick = self.client.server.confirm == "quick"
        wrong = []
        for ref in doubtful:
            node = self.client.read(ref, patience)
            if ref not in put:
                as_sent = node is None
            elif node is None:
                as_sent = False
            else:
                version = str(one(node, "meta", "versionId") or "")
                sure = quick and (ref in created or (version and version == put[ref]))
                as_sent = bool(sure) or self.same(line(ref), node)
            if not as_sent:
                wrong.append(ref)
        return wrong

    def _can(self, ref: str, able: Callable[[str], bool]) -> bool:
        return able(ref.partition("/")[0])

    def _doubtful(self, put: Mapping[str, str], created: set[str], line: Lines, patience: Patience) -> list[str]:
        """Those of what was put that searches don't find as they were sent."""
        if self.client.server.confirm == "contents":
            return list(self.differing(sorted(put), line, patience))
        told = [ref for ref in put if ref not in created]
        there = self.versions(told, patience) if told else {}
        unlike = [ref for ref in told if not put[ref] or there.get(ref) != put[ref]]
        wrong = self.missing([ref for ref in put if ref in created], patience)
        return [*wrong, *(self.differing(unlike, line, patience) if unlike else [])]

    def _still_there(self, deleted: Sequence[str], patience: Patience) -> list[str]:
        """Those of what was deleted that searches still find."""

        def kept(type_: str, ids: list[str]) -> list[str]:
            if self.count(type_, {"_id": ",".join(ids)}, patience) == 0:
                return []
            return [reference(node) for node in self._found(type_, ids, patience, _elements="id")]

        return [ref for found in self._ask(deleted, IDS, kept) for ref in found]


def here(base: str, type_: str, url: str) -> str:
    """A search's next page at the address that we were given: behind a proxy, servers name one of their own.

    >>> here("https://fhir.example.org/r4", "Patient", "http://inside:8080/fhir/Patient?page=2")
    'https://fhir.example.org/r4/Patient?page=2'
    """
    if is_below(base, url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all
        return base
    steps = parts.path.split("/")
    kept = "/".join(steps[steps.index(type_) :]) if type_ in steps else ""
    return f"{base}{'/' if kept else ''}{kept}{'?' if parts.query else ''}{parts.query}"


def _by_type(refs: Iterable[str], size: int) -> Iterator[tuple[str, list[str]]]:
    """References by type, so many ids at a time."""
    found: dict[str, list[str]] = {}
    for ref in refs:
        type_, _, own = ref.partition("/")
        found.setdefault(type_, []).append(own)
    for type_, ids in found.items():
        for start in range(0, len(ids), size):
            yield type_, ids[start : start + size]


def _content(node: Node) -> dict[str, Any]:
    """A resource without what the server adds; tags and profiles in any order."""
    found = {name: value for name, value in node.items() if name not in ("meta", "text")}
    meta = one(node, "meta") or {}
    kept: dict[str, Any] = {}
    for name in COMPARED:
        items = many(meta, name)
        kept[name] = sorted(orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in items if _own(item))
    return {**found, "meta": {name: value for name, value in kept.items() if value}}


def _own(item: Any) -> bool:
    return not (isinstance(item, dict) and one(item, "code") == SUBSETTED)
