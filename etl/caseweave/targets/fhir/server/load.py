"""The whole difference to a server: many at once, confirmed, then written to the ledger, patient by patient."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from caseweave.errors import TargetError
from caseweave.targets.fhir.server.client import Client, Rejected, TooLarge, Unreachable
from caseweave.targets.fhir.server.confirm import Reader
from caseweave.targets.fhir.server.judge import Judge
from caseweave.targets.fhir.server.parcels import Change, Lines, Parcel, UnitName, pack
from caseweave.targets.fhir.server.send import Outcome, Refused, Sender

# so many resources are read back together: each type among them costs the server a search
CONFIRM = 5000
# ... or what came in so many seconds: a slow server's progress isn't lost either
CONFIRM_SECONDS = 60.0
# so many pieces of work in a row that came to nothing: the server is down, or refuses everything
MOST_WAITING = 2
MOST_REFUSED = 25
UNCONFIRMED = "the server said that it stored it, but doesn't hold it as it was sent"
NOT_TRIED = "not tried, since the server took nothing any more"

Settle = Callable[[Sequence[tuple[str, tuple[UnitName, ...]]]], None]


@dataclass(frozen=True, slots=True)
class Done:
    """A piece of work that came to an end: sent, or read back, which found `wrong`, or couldn't be done and `why`."""

    stage: str
    outcome: Outcome
    wrong: frozenset[str] = frozenset()
    why: str = ""


@dataclass
class Report:
    """What became of a delivery.

    Arguments: `new`, `changed` and `retracted` are what the server now holds, by type; `refused` patients' units lie in
    quarantine; `waiting` patients, with why, are left for the next time; `kept` Patients should have been deleted and
    belong to another study too; `problem`, why it ended early.
    """

    new: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    retracted: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    waiting_resources: int = 0
    repeated: int = 0
    kept: int = 0
    problem: TargetError | None = None

    def count(self, change: Change) -> None:
        """Count a change that is confirmed; what was perhaps there, and is gone for sure, counts for nothing."""
        if change.delete and not change.known:
            return
        which = self.retracted if change.delete else self.changed if change.known else self.new
        which[change.type] += 1


@dataclass
class Loader:
    """Brings parcels to a server.

    >>> Loader(client, reader, lines, intend, settle, refuse).load(parcels)  # doctest: +SKIP

    Arguments: `intend` writes to the ledger what is about to be sent, `settle` what is confirmed, whole or not at all;
    `refuse` is told at once what the server won't have; with a `judge` every resource is validated before it is sent;
    `now`, the seconds of a clock.
    """

    client: Client
    reader: Reader
    line: Lines
    intend: Settle
    settle: Settle
    refuse: Callable[[Refused], None]
    judge: Judge | None = None
    report: Report = field(default_factory=Report)
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.since = self.now()
        self.sender = Sender(self.client, self.line)
        self.unconfirmed = Outcome()
        self.tried: set[str] = set()
        self.in_vain = 0
        self.refused_in_a_row = 0

    def load(self, parcels: Iterator[Parcel], alone: Sequence[Parcel] = ()) -> Report:
        """Send everything; what comes `alone` was refused before, and mustn't take others down with it."""
        work = self._work(parcels, alone)
        connections = self.client.server.connections
        with ThreadPoolExecutor(connections, thread_name_prefix="fhir") as pool:
            running: set[Future[Done]] = set()
            try:
                more = True
                while more or running:
                    while more and len(running) <= connections:
                        bundle = next(work, None)
                        if bundle is None:
                            more = False
                        elif self.client.stop.is_set():
                            self._wait(bundle, NOT_TRIED)
                        else:
                            self.intend([(parcel.subject, parcel.units) for parcel in bundle])
                            running.add(pool.submit(self._send, bundle))
                    if (not more and not running) or self._enough():
                        running |= self._confirmation(pool)
                    if not running:
                        continue
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        running |= self._take(future, pool)
                    if not more and not running:
                        running |= self._confirmation(pool)
            except BaseException:
                self.client.stop.set()
                raise
        return self.report

    def _work(self, parcels: Iterator[Parcel], alone: Sequence[Parcel]) -> Iterator[list[Parcel]]:
        yield from pack(parcels, lambda: 1 if self.client.server.bundle == "message" else self.sender.size)
        for parcel in alone:
            yield [parcel]

    def _send(self, bundle: list[Parcel]) -> Done:
        refused: list[Refused] = []
        try:
            if self.judge:
                judged = [self.judge.hold_back(parcel) for parcel in bundle]
                refused = [one for _, found in judged for one in found]
                bundle = [parcel for parcel, _ in judged if parcel.units]
            done = self.sender.send(bundle)
        except TargetError as error:
            return self._stop(bundle, error)
        except (Unreachable, TooLarge) as error:
            return Done("unread", Outcome(bundle), why=f"the server judges nothing: {error}")
        done.refused += refused
        return Done("sent", done)

    def _stop(self, parcels: list[Parcel], error: TargetError) -> Done:
        """Nothing else would fare better: what is under way ends, the rest isn't begun."""
        self.client.stop.set()
        self.report.problem = self.report.problem or error
        return Done("unread", Outcome(parcels), why="the delivery was stopped")

    def _enough(self) -> bool:
        stored = self.unconfirmed.stored
        late = bool(stored) and self.now() - self.since >= CONFIRM_SECONDS
        return late or sum(len(parcel.changes) for parcel in stored) >= CONFIRM

    def _confirmation(self, pool: ThreadPoolExecutor) -> set[Future[Done]]:
        if not self.unconfirmed.stored:
            return set()
        outcome, self.unconfirmed = self.unconfirmed, Outcome()
        return {pool.submit(self._confirm, outcome)}

    def _confirm(self, outcome: Outcome) -> Done:
        """Read back what was stored."""
        changes = [change for parcel in outcome.stored for change in parcel.changes]
        put = {change.ref: outcome.versions.get(change.ref, "") for change in changes if not change.delete}
        deleted = [change.ref for change in changes if change.delete and change.ref not in outcome.kept]
        try:
            found = self.reader.unconfirmed(put, outcome.created, deleted, self.line, self.client.patience())
        except TargetError as error:
            return self._stop(outcome.stored, error)
        except (Unreachable, Rejected, TooLarge) as error:
            # what can't be read back isn't confirmed, and is sent again the next time
            return Done("unread", outcome, why=str(error) or "the server answers no search")
        return Done("read", outcome, frozenset(found))

    def _take(self, future: Future[Done], pool: ThreadPoolExecutor) -> set[Future[Done]]:
        """Book what a piece of work came to; returns the work that follows from it."""
        done = future.result()
        stored = done.outcome.stored
        if done.stage == "sent":
            self._sent(done.outcome)
            return set()
        if done.stage == "unread":
            self._wait(stored, done.why)
            return set()
        again = [one for one in stored if any(change.ref in done.wrong for change in one.changes)]
        wrong = set(map(id, again))
        self._settle([one for one in stored if id(one) not in wrong], done.outcome.kept)
        repeat = [one for one in again if one.subject not in self.tried]
        self._wait([one for one in again if one.subject in self.tried], UNCONFIRMED)
        self.tried.update(one.subject for one in repeat)
        self.report.repeated += len(repeat)
        return {pool.submit(self._send, [one]) for one in repeat}

    def _sent(self, outcome: Outcome) -> None:
        for refused in outcome.refused:
            self.report.refused.append(refused)
            self.refuse(refused)
        for parcel, why in outcome.waiting:
            self._wait([parcel], why)
        if outcome.stored:
            self.in_vain = self.refused_in_a_row = 0
        else:
            self.in_vain += bool(outcome.waiting)
            self.refused_in_a_row += len({one.subject for one in outcome.refused})
        if not self.unconfirmed.stored:
            self.since = self.now()
        self.unconfirmed.add(Outcome(outcome.stored, outcome.versions, outcome.created, outcome.kept))
        if self.in_vain >= MOST_WAITING or self.refused_in_a_row >= MOST_REFUSED:
            self.client.stop.set()

    def _wait(self, parcels: Sequence[Parcel], why: str) -> None:
        for parcel in parcels:
            self.report.waiting.setdefault(parcel.subject, why)
            self.report.waiting_resources += len(parcel.changes)

    def _settle(self, parcels: Sequence[Parcel], kept: Collection[str]) -> None:
        if not parcels:
            return
        self.settle([(parcel.subject, parcel.units) for parcel in parcels])
        for parcel in parcels:
            for change in parcel.changes:
                if change.ref in kept:
                    self.report.kept += 1
                else:
                    self.report.count(change)
