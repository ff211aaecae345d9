"""What a server says that it can do, read before anything is sent; what it lacks is said in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import Node, many, one
from caseweave.targets.fhir.server.client import Client, Rejected, TooLarge, Unreachable
from caseweave.targets.fhir.server.settings import FORMATS, Server

# R4B equals R4 for the resources that are sent
RELEASES = ("4.0.", "4.3.")
# a server that doesn't answer at all is said to be away soon: nothing has begun; one that is busy may take its time
FIRST_CONTACT = 60.0
PROCESS_MESSAGE = "process-message"
EMPTY_BATCH = {
    "json": b'{"resourceType":"Bundle","type":"batch"}',
    "xml": b'<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/></Bundle>',
}


@dataclass(frozen=True)
class Capability:
    """What a capability statement says.

    Arguments: `formats` as it names them; `system`, what it does as a whole; `types`, what it does with each type;
    `operations`, by their names; `refuses_ids`, types of which it won't take our ids;
    `profiles` that it knows.
    """

    release: str
    formats: frozenset[str]
    system: frozenset[str]
    types: dict[str, frozenset[str]]
    operations: frozenset[str]
    refuses_ids: frozenset[str]
    profiles: frozenset[str] = frozenset()

    def searches(self, type_: str) -> bool:
        """Whether a type can be searched."""
        return "search-type" in self.types.get(type_, ())

    def reads(self, type_: str) -> bool:
        """Whether a resource can be read by its id."""
        return "read" in self.types.get(type_, ())


def read(client: Client) -> Capability:
    """Read a server's capability statement.

    Raises TargetError where there is none, or the server can't be reached.
    """
    try:
        node = client.get("metadata", silence=FIRST_CONTACT)
    except Unreachable as error:
        raise TargetError(
            f"The FHIR server can't be reached: {error}.",
            way_out="Look at its address and whether it runs, then run `caseweave deliver`.",
        ) from None
    except (Rejected, TooLarge) as error:
        status = error.status if isinstance(error, Rejected) else 413
        raise TargetError(
            f"The FHIR server answers {status} when asked what it can do.",
            way_out=f"Look whether --fhir is its base address: {client.server.url}/metadata must be there.",
        ) from None
    if node["resourceType"] != "CapabilityStatement":
        raise TargetError(
            "What answers at --fhir is no FHIR server: it has no capability statement.",
            way_out=f"Look at the address: {client.server.url}/metadata must be there.",
        )
    return capability(node)


def capability(node: Node) -> Capability:
    """A capability statement's content."""
    rest: Node = next((part for part in many(node, "rest") if one(part, "mode") in (None, "server")), {})
    described = many(rest, "resource")
    messaging = {PROCESS_MESSAGE} if many(node, "messaging") else set()
    return Capability(
        release=str(one(node, "fhirVersion") or ""),
        formats=frozenset(map(str, many(node, "format"))),
        system=_codes(rest),
        types={str(one(part, "type")): _codes(part) for part in described},
        operations=frozenset(str(one(part, "name")).lstrip("$") for part in many(rest, "operation")) | messaging,
        refuses_ids=frozenset(
            str(one(part, "type")) for part in described if str(one(part, "updateCreate")).lower() == "false"
        ),
        profiles=frozenset(str(url) for part in described for url in many(part, "supportedProfile")),
    )


def _codes(part: Node) -> frozenset[str]:
    return frozenset(str(one(inner, "code")) for inner in many(part, "interaction"))


def require(found: Capability, server: Server, put: Collection[str], deleted: Collection[str]) -> None:
    """Refuse a server that can't take what is to be sent.

    Arguments: the types that are `put` and `deleted`. Raises TargetError that says everything that is missing.
    """
    missing = list(_missing(found, server, sorted(put), sorted(deleted)))
    if missing:
        raise TargetError(
            f"The FHIR server can't take this: {'; '.join(missing)}. Nothing was sent.",
            way_out="Its capability statement says so: change the server, or --fhir-format and --bundle.",
            missing=missing,
        )


def _missing(found: Capability, server: Server, put: list[str], deleted: list[str]) -> list[str]:
    missing = []
    if not found.release.startswith(RELEASES):
        missing.append(f"it speaks FHIR {found.release or 'of an unknown release'}, not R4 (4.0.1)")
    if found.formats and not {one.partition(";")[0].strip() for one in found.formats} & _names(server):
        missing.append(f"it has no {server.format}, only {', '.join(sorted(found.formats))}")
    if server.bundle == "message":
        if PROCESS_MESSAGE not in found.operations:
            missing.append("it has no operation $process-message")
        return missing
    # who does transactions does batches, whether it says so or not
    needed = {"transaction"} if server.bundle == "transaction" else {"transaction", "batch"}
    # who lists nothing that it does as a whole may do it all the same, and says so when it is asked
    if found.system and not found.system & needed:
        missing.append(f"it takes no {server.bundle} bundles")
    if found.types:
        missing += [f"it has no {name}" for name in {*put, *deleted} - found.types.keys()]
        missing += [f"{name} can't be updated" for name in put if _lacks(found, name, "update")]
        missing += [f"{name} can't be deleted" for name in deleted if _lacks(found, name, "delete")]
    missing += [f"it takes no ids of ours for {name}" for name in put if name in found.refuses_ids]
    return missing


def _lacks(found: Capability, name: str, interaction: str) -> bool:
    return name in found.types and interaction not in found.types[name]


def _names(server: Server) -> set[str]:
    old = {"json": "application/json+fhir", "xml": "application/xml+fhir"}
    return {server.format, FORMATS[server.format], f"application/{server.format}", old[server.format]}


def takes_gzip(client: Client) -> bool:
    """Whether the server reads what is sent compressed: asked with a batch of nothing, where compressing pays."""
    server = client.server
    if server.gzip != "auto":
        return server.gzip == "always"
    if server.is_near or server.bundle == "message":
        return False
    client.zipped = True
    try:
        client.post("", EMPTY_BATCH[server.format], client.patience())
    except (Rejected, TooLarge, Unreachable, TargetError):
        return False
    finally:
        zipped, client.zipped = client.zipped, False
    return zipped
