"""Messages to $process-message: a receiver keeps each patient once, whatever is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.fhir import ours, quarantined, sent
from tests.services.messages import Receiver, receiving
from tests.unit.run.registry import deliver as run_registry
from tests.unit.run.registry import filled, workbook

from caseweave.errors import TargetError
from caseweave.run.deliver import Delivery, deliver
from caseweave.run.workspace import Workspace
from caseweave.targets.fhir.server.settings import Server

pytestmark = pytest.mark.live
PATIENTS = 30


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def first(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    run_registry(folder, workbook(tmp_path / "form.xlsx", filled()))
    return folder


def send(folder: Path, receiver: Receiver, form: str = "json", **how: float) -> Delivery:
    return deliver(Workspace(folder), Server(receiver.url, form, "message", **how), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_message_for_each_patient(first: Path, receiver: Receiver, form: str, tmp_path: Path) -> None:
    here = ours(first)
    assert sent(send(first, receiver, form)) == (len(here), 0, 0)
    assert receiver.held.keys() == here.keys()
    assert form == "xml" or receiver.held == here
    assert len(receiver.messages) == PATIENTS
    assert sent(send(first, receiver, form)) == (0, 0, 0)
    assert len(receiver.messages) == PATIENTS
    rows = filled()
    rows["Patients"][4][5] = 12.5
    rows["Visits"].pop(0)
    run_registry(first, workbook(tmp_path / "corrected.xlsx", rows))
    assert sent(send(first, receiver, form)) == (0, 1, 2)
    assert receiver.held.keys() == ours(first).keys()
    assert sorted(receiver.events[PATIENTS:]) == ["record", "retract"]


def test_what_is_repeated_counts_once(first: Path, receiver: Receiver) -> None:
    receiver.lost, receiver.answers = 3, ["ok", "transient-error", "transient-error"]
    done = send(first, receiver)
    assert done.exit_code == 0
    assert done.summary["retries"] >= 3
    assert receiver.held == ours(first)
    assert len(receiver.messages) == PATIENTS


def test_what_is_not_wanted_lies_in_quarantine(first: Path, receiver: Receiver) -> None:
    receiver.answers = ["fatal-error", "fatal-error"]
    done = send(first, receiver, connections=1)
    assert done.exit_code == 3
    found = quarantined(first)
    assert len({one["subject"] for one in found}) == 1
    assert found[0]["issues"][0]["code"] == "business-rule"
    assert any(one["cells"] for one in found[0]["resources"])
    assert send(first, receiver).exit_code == 0
    assert receiver.held == ours(first)
    assert quarantined(first) == []


def test_a_server_without_messages_is_refused(first: Path, receiver: Receiver) -> None:
    receiver.knows_messages = False
    with pytest.raises(TargetError, match=r"no operation \$process-message.*Nothing was sent"):
        send(first, receiver)
    assert receiver.messages == []
