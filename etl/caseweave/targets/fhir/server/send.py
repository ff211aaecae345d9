"""Parcels to the server: a bundle that is refused is cut until it is known whose fault it was, the rest goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.answers import EntryAnswer, Issue, Node, entries, issues, many, one
from caseweave.targets.fhir.server.bundles import assemble, message
from caseweave.targets.fhir.server.client import GONE, NOT_THERE, Client, Rejected, TooLarge, Unreachable
from caseweave.targets.fhir.server.parcels import Change, Lines, Parcel, UnitName, levels, ordered, pack, unit_groups
from caseweave.targets.fhir.server.retry import TRANSIENT, Patience

DONE = frozenset({200, 201, 202, 204})
CREATED, CONFLICT = 201, 409
PATIENT = "Patient"
# a refusal in words: no resource is made by PUT, or none with such an id
OF_IDS = re.compile(r"client.assigned|only assign ids|(update.as.create|create.as.update)", re.IGNORECASE)
A_LOT = (Issue("error", "too-long", "A single resource is larger than the server allows."),)


@dataclass(frozen=True, slots=True)
class Refused:
    """Units of one patient that the server won't have.

    Arguments: `because`, its complaints; `changes`, what was sent of these units.
    """

    subject: str
    units: tuple[UnitName, ...]
    status: int
    because: tuple[Issue, ...]
    changes: tuple[Change, ...]


def blocked(part: Parcel, status: int, by: Iterable[UnitName]) -> Refused:
    """Units that refer to what was refused."""
    names = ", ".join(sorted(sheet for sheet, _ in by))
    because = Issue("error", "not-found", f"It refers to what was refused: {names}.")
    return Refused(part.subject, part.units, status, (because,), part.changes)


@dataclass
class Outcome:
    """What became of some parcels.

    Arguments: `stored`, what the server says that it holds now, with versions where it tells them; `created`, those of
    them that it didn't hold before; `kept`, what should have been deleted, and others refer to.
    """

    stored: list[Parcel] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    waiting: list[tuple[Parcel, str]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Put another outcome's parts to this one's."""
        self.stored += other.stored
        self.versions |= other.versions
        self.created |= other.created
        self.kept |= other.kept
        self.refused += other.refused
        self.waiting += other.waiting


@dataclass
class Sender:
    """Sends parcels; safe for many threads.

    >>> Sender(client, line).send([parcel]).stored == [parcel]  # doctest: +SKIP
    True

    Arguments: `line` gives the JSON of a resource by its reference; `size`, how many resources the server takes
    at once, as far as it is known.
    """

    client: Client
    line: Lines
    size: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or self.client.server.size

    def send(self, parcels: Sequence[Parcel]) -> Outcome:
        """Bring patients to the server; what becomes of each is told, nothing is raised but TargetError."""
        done = Outcome()
        self._send(list(parcels), self.client.patience(), done)
        return done

    def _send(self, parcels: list[Parcel], patience: Patience, done: Outcome) -> None:
        changes = [one for parcel in parcels for one in parcel.changes]
        try:
            if len(parcels) == 1 and len(changes) > self.size:
                self._in_pieces(changes, self.size, patience, done)
            else:
                self._exchange(changes, patience, done)
        except Unreachable as problem:
            done.waiting += [(parcel, str(problem)) for parcel in parcels]
        except TooLarge as refusal:
            # the bundles that follow needn't find it out again
            self.size = max(1, min(self.size, len(changes) // 2))
            if len(parcels) > 1:
                smaller = pack(parcels, lambda: self.size) if len(changes) > 1 else [[one] for one in parcels]
                self._each(smaller, patience, done)
            else:
                self._apart(parcels[0], refusal, patience, done)
        except Rejected as refusal:
            if len(parcels) > 1:
                middle = len(parcels) // 2
                self._each([parcels[:middle], parcels[middle:]], patience, done)
            else:
                self._apart(parcels[0], refusal, patience, done)
        else:
            done.stored += parcels

    def _each(self, parts: Iterable[list[Parcel]], patience: Patience, done: Outcome) -> None:
        # what passes proves that the server is well: the others have the full time again
        for part in parts:
            if done.waiting:
                done.waiting += [(parcel, done.waiting[-1][1]) for parcel in part]
            else:
                self._send(part, Patience(patience.seconds, patience.stop), done)

    def _shrinking(self, changes: Sequence[Change], patience: Patience, done: Outcome) -> None:
        """Changes that are too large together: halves, quarters, down to single resources, in an order that holds."""
        size = len(changes)
        while True:
            try:
                self._in_pieces(changes, size, patience, done)
                return
            except TooLarge as refusal:
                if size == 1:
                    raise Rejected(refusal.status, refusal.issues or A_LOT) from None
                size = (size + 1) // 2

    def _in_pieces(self, changes: Sequence[Change], size: int, patience: Patience, done: Outcome) -> None:
        sorted_ = ordered(changes, self.line)
        for start in range(0, len(sorted_), size):
            self._exchange(sorted_[start : start + size], patience, done)

    def _apart(self, parcel: Parcel, refusal: Rejected | TooLarge, patience: Patience, done: Outcome) -> None:
        """One patient was refused: sheet by sheet, so that only those are held back that must be."""
        groups = unit_groups(parcel, self.line)
        # what is too large gets smaller; two writers at once conflict, which passes by itself
        again = isinstance(refusal, TooLarge) or (refusal.status == CONFLICT and patience.pause())
        if len(groups) == 1 and not again:
            done.refused.append(Refused(parcel.subject, parcel.units, refusal.status, refusal.issues, parcel.changes))
            return
        failed: set[UnitName] = set()
        for units, needed in groups:
            part = parcel.only(units)
            if blocking := needed & failed:
                failed |= units
                done.refused.append(blocked(part, refusal.status, blocking))
                continue
            try:
                self._shrinking(part.changes, patience, done)
            except Rejected as error:
                failed |= units
                done.refused.append(Refused(part.subject, part.units, error.status, error.issues, part.changes))
            except Unreachable as problem:
                failed |= units
                done.waiting.append((part, str(problem)))
            else:
                done.stored.append(part)

    def _exchange(self, changes: Sequence[Change], patience: Patience, done: Outcome) -> None:
        """Send some changes, together as far as the kind of bundle allows, until the answer accounts for each."""
        kind = self.client.server.bundle
        if kind == "message":
            for part in ([one for one in changes if not one.delete], [one for one in changes if one.delete]):
                if part:
                    self._message(part, patience)
            return
        patients = [one for one in changes if one.delete and one.type == PATIENT]
        rest = [one for one in changes if not (one.delete and one.type == PATIENT)]
        for together in [rest] if kind == "transaction" else levels(rest, self.line):
            try:
                self._until_told(together, patience, done)
            except Rejected as refusal:
                deleted = [one for one in together if one.delete]
                if any(OF_IDS.search(issue.text) for issue in refusal.issues):
                    raise _hopeless(refusal.status) from None
                if refusal.status not in NOT_THERE:
                    raise
                if not deleted:
                    raise _hopeless(refusal.status) from None
                # one of them is gone already, and the server doesn't say which
                self._exchange([one for one in together if not one.delete], patience, done)
                for one in ordered(deleted, self.line):
                    self._take_out(one, patience, done)
        for patient in patients:
            self._take_out(patient, patience, done)

    def _take_out(self, change: Change, patience: Patience, done: Outcome) -> None:
        """Delete alone: a Patient when all else is gone; one to whom another study's facts belong stays.

        Together with the facts, HAPI doesn't look whether others refer to it.
        """
        try:
            self._until_told([change], patience, done)
        except Rejected as refusal:
            if refusal.status in GONE:
                return
            if refusal.status != CONFLICT or change.type != PATIENT:
                raise
            done.kept.add(change.ref)

    def _until_told(self, changes: Sequence[Change], patience: Patience, done: Outcome) -> None:
        todo = list(changes)
        while todo:
            answer = self.client.post("", assemble(self.client.server, todo, self.line), patience)
            require_our_ids(answer, todo)
            told = tell(answer, todo)
            untold, final = [], []
            for change in todo:
                entry = told.get(change.ref)
                if entry is None or entry.status in TRANSIENT or not entry.status:
                    untold.append(change)
                elif entry.status in DONE or (change.delete and entry.status in GONE):
                    done.versions[change.ref] = entry.version
                    if entry.status == CREATED:
                        done.created.add(change.ref)
                else:
                    final.append((change, entry))
            if final:
                raise Rejected(final[0][1].status, _say_which(final))
            todo = untold
            if todo and not patience.pause():
                raise Unreachable("the answer doesn't say what became of each resource")

    def _message(self, changes: Sequence[Change], patience: Patience) -> None:
        body, name = message(self.client.server, changes, self.line)
        while True:
            answer = self.client.post("$process-message", body, patience)
            inside = [found for entry in many(answer, "entry") if isinstance(found := one(entry, "resource"), dict)]
            header: Node = next((found for found in inside if found.get("resourceType") == "MessageHeader"), {})
            code = one(header, "response", "code")
            if code == "ok" and one(header, "response", "identifier") == name:
                return
            if code == "fatal-error":
                raise Rejected(422, tuple(issue for found in inside for issue in issues(found)))
            if not patience.pause():
                raise Unreachable("the message wasn't answered with ok")


def tell(answer: Node, changes: Sequence[Change]) -> dict[str, EntryAnswer]:
    """Which entry of an answer speaks of which change: by its location, in any order; the nameless by their place.

    An answer that isn't one to a bundle, has another number of entries, or speaks of other resources, tells nothing.
    """
    found = list(entries(answer)) if answer["resourceType"] == "Bundle" else []
    by_ref = {entry.ref: entry for entry in found if entry.ref}
    if len(found) != len(changes) or not by_ref.keys() <= {change.ref for change in changes}:
        return {}
    for change, entry in zip(changes, found, strict=True):
        if not entry.ref and change.ref not in by_ref:
            by_ref[change.ref] = entry
    return by_ref


def require_our_ids(answer: Node, changes: Sequence[Change]) -> None:
    """Raise TargetError where a server made resources under ids of its own: each repetition would make more of them."""
    found = list(entries(answer)) if answer["resourceType"] == "Bundle" else []
    ours = {change.ref for change in changes}
    for change, entry in zip(changes, found, strict=False):
        if entry.status == CREATED and entry.ref not in ours and entry.ref.startswith(f"{change.type}/"):
            raise TargetError(
                f"The FHIR server stores resources under ids of its own: {change.type} of ours as {entry.ref}.",
                way_out="Let it take the ids of clients (update as create), delete what it made, then run "
                "`caseweave deliver`.",
            )


def _hopeless(status: int) -> TargetError:
    if status == 501:
        return TargetError(
            "The FHIR server answers 501: it doesn't do what it was sent.",
            way_out="Try --bundle batch, or change the server.",
            status=status,
        )
    return TargetError(
        f"The FHIR server answers {status} to resources that it doesn't hold yet: it makes none under ids of clients.",
        way_out="Let it take them (update as create), then run `caseweave deliver`.",
        status=status,
    )


def _say_which(final: Sequence[tuple[Change, EntryAnswer]]) -> tuple[Issue, ...]:
    """The complaints of a batch's entries, each with the reference of its own."""
    return tuple(
        Issue(issue.severity, issue.code, issue.text, (*issue.where, change.ref))
        for change, entry in final
        for issue in entry.issues or (Issue("error", "processing", f"status {entry.status}"),)
    )
