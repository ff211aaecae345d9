"""What the server's own $validate says of a resource, before or after it is sent."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from caseweave.targets.fhir.server.answers import Issue, errors, issues
from caseweave.targets.fhir.server.bundles import resource
from caseweave.targets.fhir.server.capability import Capability
from caseweave.targets.fhir.server.client import Client, Rejected
from caseweave.targets.fhir.server.parcels import Change, Lines, Parcel, UnitName, unit_groups
from caseweave.targets.fhir.server.send import Refused, blocked

INVALID = (400, 412, 422)


@dataclass(frozen=True)
class Judge:
    """Asks a server whether it finds resources valid.

    >>> Judge(client, capability, lines).errors(change)  # doctest: +SKIP
    ()
    """

    client: Client
    capability: Capability
    line: Lines

    def errors(self, change: Change) -> tuple[Issue, ...]:
        """What is wrong with a resource that is put; claims of profiles that the server doesn't know are left out.

        Raises Unreachable, TooLarge or TargetError where it can't be asked.
        """
        body = resource(self.client.server, self._known(self.line(change.ref)))
        try:
            answer = self.client.post(f"{change.type}/$validate", body, self.client.patience())
        except Rejected as rejection:
            if rejection.status not in INVALID:
                return ()
            return errors(rejection.issues) or (Issue("error", "invalid", f"status {rejection.status}"),)
        return errors(issues(answer))

    def _known(self, line: bytes) -> bytes:
        found = orjson.loads(line)
        claimed = found.get("meta", {}).get("profile", [])
        kept = [url for url in claimed if url in self.capability.profiles]
        if kept == claimed:
            return line
        found["meta"] = (
            {**found["meta"], "profile": kept}
            if kept
            else {name: value for name, value in found["meta"].items() if name != "profile"}
        )
        return orjson.dumps(found)

    def hold_back(self, parcel: Parcel) -> tuple[Parcel, list[Refused]]:
        """What of a parcel may be sent, and the units that hold something invalid, or build on one that does."""
        wrong = {change: told for change in parcel.changes if not change.delete and (told := self.errors(change))}
        if not wrong:
            return parcel, []
        failed: set[UnitName] = set()
        refused: list[Refused] = []
        for units, needed in unit_groups(parcel, self.line):
            part = parcel.only(units)
            found = tuple(
                Issue(issue.severity, issue.code, issue.text, (*issue.where, change.ref))
                for change in part.changes
                for issue in wrong.get(change, ())
            )
            if found:
                refused.append(Refused(part.subject, part.units, 422, found, part.changes))
            elif blocking := needed & failed:
                refused.append(blocked(part, 422, blocking))
            else:
                continue
            failed |= units
        return parcel.only(unit for unit in parcel.units if unit not in failed), refused
