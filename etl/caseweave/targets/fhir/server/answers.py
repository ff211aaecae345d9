"""What a server answers, JSON or XML, as plain dicts; what its bundles say of each entry, and its complaints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
from lxml import etree

Node = Mapping[str, Any]
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?/?$")
COUNT = re.compile(r"[0-9]{1,18}")
WORST = ("fatal", "error")
# deeper than any resource; orjson has a limit of its own
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint of an OperationOutcome: `where` are its expressions or locations."""

    severity: str
    code: str
    text: str
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """What the answer to a bundle says of one entry: `ref` as type/id and `version`, "" where it doesn't tell.

    Arguments: `issues` are its complaints where the status isn't one of success.
    """

    status: int
    ref: str
    version: str
    issues: tuple[Issue, ...]


def parse(body: bytes) -> Node:
    """A resource out of a server's answer.

    >>> parse(b'<OperationOutcome xmlns="http://hl7.org/fhir"><issue><code value="x"/></issue></OperationOutcome>')
    {'resourceType': 'OperationOutcome', 'issue': [{'code': ['x']}]}

    Out of XML every part comes as a list: read it with `one` and `many`. Raises ValueError for what is neither, or
    isn't whole.
    """
    if body.lstrip()[:1] == b"<":
        try:
            root = etree.fromstring(body, PARSER)
        except etree.XMLSyntaxError as problem:
            raise ValueError(f"no XML: {problem}") from None
        if root.getroottree().docinfo.internalDTD is not None:  # FHIR allows none; entities are what bombs are made of
            raise ValueError("XML with a document type")
        return {"resourceType": etree.QName(root).localname, **_parts(root)}
    found = orjson.loads(body)
    if not _is_resource(found):
        raise ValueError("no FHIR resource")
    return cast(Node, found)


def _is_resource(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("resourceType"), str)


def _parts(element: Any, depth: int = 0) -> dict[str, Any]:
    if depth > DEEPEST:
        raise ValueError("XML that is nested too deeply")
    parts: dict[str, Any] = {}
    for child in element.iterchildren(etree.Element):
        name = etree.QName(child).localname
        inner: Any = child.get("value") if child.get("value") is not None else _parts(child, depth + 1)
        if name in ("resource", "outcome") and len(child) == 1:
            inner = {"resourceType": etree.QName(child[0]).localname, **_parts(child[0], depth + 2)}
        parts.setdefault(name, []).append(inner)
    return parts


def many(node: Node, name: str) -> list[Any]:
    """A part that repeats, as a list whatever the format; none of what has no parts."""
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, list) else [] if found is None else [found]


def one(node: Node, *names: str) -> Any:
    """A part by its path, None where there is none.

    >>> one({"response": [{"status": ["200"]}]}, "response", "status")
    '200'
    """
    found: Any = node
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            found = found[0] if found else None
    return found


def number(said: Any) -> int | None:
    """A count or a status as a server writes it; None for anything else.

    >>> number("201"), number(7), number("many"), number("\u00b2")
    (201, 7, None, None)
    """
    text = str(said)
    return int(text) if COUNT.fullmatch(text) else None


def issues(node: Node | None) -> tuple[Issue, ...]:
    """The complaints of an OperationOutcome; none where the node is none."""
    if not isinstance(node, dict) or node.get("resourceType") != "OperationOutcome":
        return ()
    return tuple(
        Issue(
            str(one(issue, "severity") or ""),
            str(one(issue, "code") or ""),
            str(one(issue, "diagnostics") or one(issue, "details", "text") or ""),
            tuple(map(str, [*many(issue, "expression"), *many(issue, "location")])),
        )
        for issue in many(node, "issue")
    )


def errors(found: tuple[Issue, ...]) -> tuple[Issue, ...]:
    """Those that are errors."""
    return tuple(issue for issue in found if issue.severity in WORST)


def entries(bundle: Node) -> Iterator[EntryAnswer]:
    """What the answer to a transaction or batch says, entry by entry."""
    for entry in many(bundle, "entry"):
        response: Node = one(entry, "response") or {}
        said = str(one(response, "status") or "")[:3]
        status = number(said) or 0
        place = REFERENCE.search(str(one(response, "location") or ""))
        etag = str(one(response, "etag") or "").removeprefix("W/").strip('"')
        yield EntryAnswer(
            status,
            f"{place[1]}/{place[2]}" if place else "",
            (place[3] if place else None) or etag,
            () if 200 <= status < 300 else issues(one(response, "outcome")),
        )


def resources(bundle: Node) -> Iterator[Node]:
    """The resources of a search's page."""
    for entry in many(bundle, "entry"):
        resource = one(entry, "resource")
        if _is_resource(resource) and one(entry, "search", "mode") in (None, "match"):
            yield resource


def reference(resource: Node) -> str:
    """Type and id of a resource."""
    return f"{resource['resourceType']}/{one(resource, 'id')}"


def next_page(bundle: Node) -> str:
    """The address of a search's next page, "" at its end."""
    return next((str(one(link, "url")) for link in many(bundle, "link") if one(link, "relation") == "next"), "")
