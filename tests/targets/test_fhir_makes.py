"""Delivery to servers that aren't HAPI: it ends confirmed, or says what is the matter and leaves nothing double."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from caseweave.errors import TargetError
from caseweave.run.deliver import Delivery, deliver
from caseweave.run.workspace import Workspace
from caseweave.targets.fhir.server.auth import Credentials
from caseweave.targets.fhir.server.capability import FIRST_CONTACT, Capability, read
from caseweave.targets.fhir.server.client import Client
from caseweave.targets.fhir.server.load import Loader
from caseweave.targets.fhir.server.settings import Server
from tests.live.fhir import forget, ours, quarantined, sent, without_own
from tests.services import makes
from tests.services.makes import Make
from tests.services.proxy import Proxy, Rule, proxy_to
from tests.unit.run.registry import deliver as run_registry
from tests.unit.run.registry import filled, workbook

PATIENTS = 8
WELL = [
    makes.Make, makes.Microsoft, makes.Medplum, makes.Google, makes.HealthLake, makes.FhirWorks, makes.FewIds,
    makes.NoIds, makes.Paging, makes.Slash,
]  # fmt: skip
NOBODY = "http://127.0.0.1:9/fhir"


@pytest.fixture(scope="module")
def door() -> Iterator[Proxy]:
    """What is asked at this address is answered by the make that was put behind it."""
    with proxy_to(NOBODY) as found:
        yield found


def send(folder: Path, door: Proxy, make: Make, **how: Any) -> Delivery:
    options = {name: how.pop(name) for name in ("verify",) if name in how}
    door.script(Rule(make, lambda exchange: True, 0))
    server = Server(door.url, **{"connections": 2, "timeout": 30.0, "give_up": 60.0, **how})
    found = deliver(Workspace(folder), server, {}, **options)
    assert door.faults == []
    return found


def form(path: Path, corrected: bool) -> Path:
    """Eight patients; corrected, one value is another, one visit is gone and one is new."""
    rows = {name: [row for row in all_ if int(row[0][1:]) < PATIENTS] for name, all_ in filled().items()}
    if corrected:
        rows["Visits"][4][3] = 88.25
        rows["Visits"].pop(0)
        rows["Visits"].append(["P003", 3, "2022-01-01", 12, 61])
    return workbook(path, rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace that nobody was sent yet."""
    run_registry(tmp_path / "workspace", form(tmp_path / "form.xlsx", False))
    return tmp_path / "workspace"


def held(make: Make) -> dict[str, Any]:
    return {ref: without_own(one) for ref, one in make.held.items()}


@pytest.mark.parametrize("kind", WELL, ids=lambda kind: kind.name)
def test_it_ends_confirmed(kind: type[Make], folder: Path, door: Proxy) -> None:
    make = kind()
    here = ours(folder)
    done = send(folder, door, make)
    assert (done.exit_code, sent(done)) == (0, (len(here), 0, 0)), done
    assert held(make) == here
    assert set(make.versions.values()) == {1}, "something was written twice"
    if isinstance(make, makes.HealthLake):
        make.catch_up()
    # the next day's form: what differs is sent, once
    run_registry(folder, form(folder.parent / "corrected.xlsx", True))
    done = send(folder, door, make)
    new, changed, retracted = sent(done)
    assert done.exit_code == 0 and new and changed and retracted, done
    assert held(make) == ours(folder)
    assert sorted(make.versions.values())[-changed:] == [2] * changed
    assert max(make.versions.values()) == 2
    assert sent(send(folder, door, make)) == (0, 0, 0)


@pytest.mark.parametrize("kind", [one for one in WELL if one is not makes.NoIds], ids=lambda kind: kind.name)
def test_a_ledger_is_made_anew(kind: type[Make], folder: Path, door: Proxy) -> None:
    make = kind()
    send(folder, door, make)
    if isinstance(make, makes.HealthLake):
        make.catch_up()
    # of others, who mustn't come into it
    make.store("Patient/other", {"resourceType": "Patient", "id": "other"}, "201 Created")
    forget(folder)
    done = send(folder, door, make)
    assert sent(done) == (0, 0, 0), done
    assert done.summary["found"]["same"] == len(ours(folder))
    assert done.summary["found"]["others"] == 0
    assert "Patient/other" in make.held


def test_what_somebody_deleted_already_is_no_failure(folder: Path, door: Proxy) -> None:
    make = makes.Medplum()
    send(folder, door, make)
    before = set(ours(folder))
    run_registry(folder, form(folder.parent / "corrected.xlsx", True))
    for ref in before - ours(folder).keys():
        del make.held[ref]
    done = send(folder, door, make)
    assert done.exit_code == 0, done
    assert held(make) == ours(folder)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (makes.MedplumOwnIds, "answers 404 to resources that it doesn't hold yet"),
        (makes.MedplumSaysSo, "answers 400 to resources that it doesn't hold yet"),
        (makes.Pyro, "under ids of its own: Patient of ours as Patient/own-"),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_a_server_that_takes_no_ids_is_told_at_once(kind: type[Make], said: str, folder: Path, door: Proxy) -> None:
    make = kind()
    done = send(folder, door, make, connections=1)
    assert done.exit_code == 3
    assert said in done.summary["problem"] and "update as create" in done.summary["problem"]
    assert quarantined(folder) == []
    assert len([path for method, path in make.log if method == "POST" and "_search" not in path]) <= 2


def test_entries_that_come_too_fast_are_sent_again(folder: Path, door: Proxy) -> None:
    make = makes.Throttled()
    done = send(folder, door, make, bundle="batch")
    assert done.exit_code == 0, done
    assert make.throttled and held(make) == ours(folder)
    assert set(make.versions.values()) == {1}


def test_what_a_slow_server_took_is_settled_after_a_minute(
    folder: Path, door: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock on which each look takes 20 s: reading back doesn't wait until the last bundle is through."""
    clock = itertools.count(0, 20)
    monkeypatch.setattr("caseweave.run.deliver.Loader", partial(Loader, now=lambda: float(next(clock))))
    make = makes.Make()
    assert send(folder, door, make, size=7, connections=1).exit_code == 0
    posts = [path for method, path in make.log if method == "POST"]
    first_look = next(n for n, path in enumerate(posts) if path.endswith("_search"))
    assert posts[first_look:].count("/fhir") > 2, posts
    assert held(make) == ours(folder)


class Hours(threading.Event):
    """Time that passes only while somebody waits."""

    seconds = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds += timeout or 0
        return False

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    found = Hours()
    monkeypatch.setattr("caseweave.targets.fhir.server.retry.time", found)
    return found


def first_contact(url: str, hours: Hours) -> Capability:
    server = Server(url, give_up=600)
    with Client(server, Credentials.of({}, server), stop=hours) as client:
        return read(client)


def test_a_busy_server_is_given_the_time_that_it_asks_for(door: Proxy, hours: Hours) -> None:
    make = makes.Busy()
    door.script(Rule(make, lambda exchange: True, 0))
    assert first_contact(door.url, hours).release == "4.0.1"
    assert hours.seconds == 360


def test_a_server_that_is_away_is_told_soon(hours: Hours) -> None:
    with pytest.raises(TargetError, match="can't be reached"):
        first_contact(NOBODY, hours)
    assert 20 < hours.seconds <= FIRST_CONTACT


def test_a_limit_is_found_out_once(folder: Path, door: Proxy) -> None:
    """Bundles of 28 for a server that takes 10: two may be under way before it is known, and one of 14 follows."""
    make = makes.Medplum()
    assert send(folder, door, make, size=28, connections=1).exit_code == 0
    bundles = [bundle.count(b'"request"') for bundle in door.bundles]
    assert len([size for size in bundles if size > make.entries]) <= 4, bundles


def test_a_server_that_cant_search_by_id_cant_be_compared(folder: Path, door: Proxy) -> None:
    make = makes.NoIds()
    assert send(folder, door, make).exit_code == 0
    with pytest.raises(TargetError, match="doesn't let itself be searched"):
        send(folder, door, make, verify=True)
