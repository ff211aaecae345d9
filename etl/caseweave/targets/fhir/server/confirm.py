"""What the server really holds after it said yes: counted where resources are new, version by version elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from caseweave.targets.fhir.server.answers import Node, next_page, one, parse, reference, resources
from caseweave.targets.fhir.server.bundles import resource
from caseweave.targets.fhir.server.capability import Capability
from caseweave.targets.fhir.server.client import Client
from caseweave.targets.fhir.server.parcels import Lines
from caseweave.targets.fhir.server.retry import Patience

IDS = 400
PAGE = 100
# what a server says of its own copy; the rest is ours
SERVERS_OWN = ("versionId", "lastUpdated", "source")
SUBSETTED = "SUBSETTED"


@dataclass(frozen=True)
class Reader:
    """Reads back from a server.

    >>> Reader(client, capability).missing(["Patient/a"])  # doctest: +SKIP
    ['Patient/a']
    """

    client: Client
    capability: Capability

    def count(self, type_: str, parameters: Mapping[str, str], patience: Patience) -> int | None:
        """How many resources a search finds; None where the server doesn't tell."""
        bundle = self.client.search(type_, {**parameters, "_summary": "count"}, patience)
        total = one(bundle, "total")
        return int(total) if str(total).isdigit() else None

    def pages(self, type_: str, parameters: Mapping[str, str], patience: Patience, size: int = PAGE) -> Iterator[Node]:
        """The resources that a search finds, page by page."""
        bundle = self.client.search(type_, {**parameters, "_count": str(size)}, patience, pages="_id" not in parameters)
        while True:
            yield from resources(bundle)
            url = next_page(bundle)
            if not url:
                return
            bundle = self.client.get(url, patience)

    def versions(self, refs: Iterable[str], patience: Patience) -> dict[str, str]:
        """The version that the server holds of each resource; those that it lacks aren't there."""
        found: dict[str, str] = {}
        for type_, ids in _by_type(refs, PAGE):
            for node in self.pages(type_, {"_id": ",".join(ids), "_elements": "id"}, patience):
                found[reference(node)] = str(one(node, "meta", "versionId") or "")
        return found

    def whole(self, refs: Iterable[str], patience: Patience) -> Iterator[Node]:
        """The resources themselves, as far as the server holds them."""
        for type_, ids in _by_type(refs, PAGE):
            yield from self.pages(type_, {"_id": ",".join(ids)}, patience)

    def missing(self, refs: Sequence[str], patience: Patience) -> list[str]:
        """Those that the server lacks: counted first, named only where the count is wrong."""
        lacking: list[str] = []
        for type_, ids in _by_type(refs, IDS):
            if self.count(type_, {"_id": ",".join(ids)}, patience) != len(ids):
                here = [f"{type_}/{own}" for own in ids]
                there = self.versions(here, patience)
                lacking += [ref for ref in here if ref not in there]
        return lacking

    def differing(self, refs: Sequence[str], line: Lines, patience: Patience) -> dict[str, bool]:
        """Those whose content the server holds differently, and those that it lacks: whether it holds them at all."""
        found: dict[str, bool] = {}
        for type_, ids in _by_type(refs, PAGE):
            here = [f"{type_}/{own}" for own in ids]
            there = {reference(node): node for node in self.whole(here, patience)}
            for ref in here:
                node = there.get(ref)
                if node is None or not self.same(line(ref), node):
                    found[ref] = node is not None
        return found

    def same(self, line: bytes, node: Node) -> bool:
        """Whether a resource of the server has the content of one of ours."""
        if self.client.server.format == "json":
            ours: Any = orjson.loads(line)
        else:
            ours = parse(resource(self.client.server, line))
        mine, its = _content(ours), _content(node)
        # a server may keep tags of others: another study's, of a patient whom both have
        tags = [found["meta"].pop("tag", []) for found in (mine, its)]
        return mine == its and set(tags[0]) <= set(tags[1])

    def unconfirmed(
        self, put: Mapping[str, str], created: set[str], deleted: Sequence[str], line: Lines, patience: Patience
    ) -> list[str]:
        """Those of what was sent that the server doesn't hold as it was sent, or still holds.

        Arguments: `put` gives the versions that the server told, by reference; `created`, those that it said are new;
        `deleted`, what must be gone.
        """
        if self.client.server.confirm == "contents":
            held = {ref for ref in put if self.capability.searches(ref.partition("/")[0])}
            return [*self.differing(sorted(held), line, patience), *self.unconfirmed_gone(deleted, patience)]
        readable = {ref for ref in put if self.capability.searches(ref.partition("/")[0])}
        new = [ref for ref in put if ref in created and ref in readable]
        wrong = self.missing(new, patience)
        told = [ref for ref in put if ref not in created and ref in readable]
        there = self.versions(told, patience) if told else {}
        doubtful = [ref for ref in told if not put[ref] or there.get(ref) != put[ref]]
        wrong += self.differing(doubtful, line, patience) if doubtful else []
        return wrong + self.unconfirmed_gone(deleted, patience)

    def unconfirmed_gone(self, deleted: Sequence[str], patience: Patience) -> list[str]:
        """Those of what was deleted that the server still holds."""
        gone = [ref for ref in deleted if self.capability.searches(ref.partition("/")[0])]
        wrong: list[str] = []
        for type_, ids in _by_type(gone, IDS):
            if self.count(type_, {"_id": ",".join(ids)}, patience) != 0:
                wrong += self.versions([f"{type_}/{own}" for own in ids], patience)
        return wrong


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
    for name, value in meta.items():
        if name in SERVERS_OWN:
            continue
        items = value if isinstance(value, list) else [value]
        kept[name] = sorted(orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in items if _own(item))
    return {**found, "meta": {name: value for name, value in kept.items() if value}}


def _own(item: Any) -> bool:
    return not (isinstance(item, dict) and one(item, "code") == SUBSETTED)
