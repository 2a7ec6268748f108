"""API server errors, outages and missed events lose no changes and open no gates."""

from __future__ import annotations

import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import Fault
from tests.support.jobs import name_of
from tests.support.kubernetes_client import AGENT
from tests.support.watches import condition, phase, until

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane, Faults
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

OTHERS = rf"^({AGENT}|kubectl)"
"""All clients except the operator."""


@pytest.mark.parametrize("acted", [False, True], ids=["before it took effect", "after it took effect"])
def test_lost_write(operator: OperatorProcess, watches: Watches, jobs: Jobs, faults: Faults, *, acted: bool) -> None:
    """The operator repeats a status write whose connection broke, and emits one Event."""
    faults.add(Fault(method="PUT", path=f"/{watches.namespace}/.*/status$", times=1, acted=acted))
    job = jobs.completed()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Succeeded")
    watches.until_event("w", "JobCompleted")
    assert len(watches.events("w")) == 1
    watches.prove_honest("w", completed={name_of(job)})


def test_refused_event(operator: OperatorProcess, watches: Watches, jobs: Jobs, faults: Faults) -> None:
    """A refused Event does not delay the status. The operator emits the Event later, once."""
    faults.add(Fault(method="POST", path=f"/{watches.namespace}/events$", status=500, times=2))
    watches.create("w", jobResourceId=jobs.failed())
    watches.until_phase("w", "Failed")
    event = watches.until_event("w", "JobFailed")
    assert event["type"] == "Warning"
    assert len(watches.events("w")) == 1


def test_api_server_gone(
    operator: OperatorProcess, watches: Watches, jobs: Jobs, control_plane: ControlPlane, faults: Faults
) -> None:
    """The operator stays alive while the API server is gone, and then processes all changes."""
    running, edited, deleted, late = (jobs.start() for _ in range(4))
    for name, job in (("running", running), ("edited", edited), ("deleted", deleted)):
        watches.create(name, jobResourceId=job)
        watches.until_phase(name, "Running")
    faults.gone(spare=OTHERS)
    jobs.complete(running)
    target = jobs.failed()
    watches.edit("edited", jobResourceId=target)
    watches.delete("deleted")
    watches.create("late", jobResourceId=jobs.complete(late))
    before = len(control_plane.requests.where(agent=r"^(kopf/|backupjobwatch)"))
    until(lambda: len(control_plane.requests.where(agent=r"^(kopf/|backupjobwatch)")) > before, "attempts")
    assert operator.probe("healthz") == 200
    assert phase(watches.get("late")) is None
    faults.back()
    watches.until_phase("running", "Succeeded")
    watches.until_phase("late", "Succeeded")
    watches.until_phase("edited", "Failed")
    watches.prove_honest("running", completed={name_of(running)})
    watches.prove_honest("late", completed={name_of(late)})
    watches.prove_honest("edited")


def test_watch_streams_cut(operator: OperatorProcess, watches: Watches, jobs: Jobs, faults: Faults) -> None:
    """The operator notices all edits, creations and deletions although its watch stream is cut repeatedly."""
    watches.create("edited", jobResourceId=jobs.start())
    watches.create("deleted", jobResourceId=jobs.completed())
    last = ""
    for _ in range(4):
        faults.cut_watches("/backupjobwatches$", agent="^kopf")
        last = jobs.completed()
        watches.edit("edited", jobResourceId=last)
    faults.cut_watches("/backupjobwatches$", agent="^kopf")
    watches.delete("deleted")
    watches.create("deleted", jobResourceId=jobs.start())
    body = watches.until_phase("edited", "Succeeded")
    assert body["status"]["job"]["name"] == name_of(last)
    watches.until_phase("deleted", "Running")
    every = {name_of(record.path) for record in jobs.requests()}
    watches.prove_honest("edited", completed=every)


@pytest.mark.parametrize("status", [401, 403, 410, 429, 500])
def test_watch_streams_refused(
    own_operators: Operators,
    watches: Watches,
    jobs: Jobs,
    control_plane: ControlPlane,
    faults: Faults,
    *,
    status: int,
) -> None:
    """The operator continues after its watch stream is refused, and opens another one."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    path = f"/{watches.namespace}/backupjobwatches$"
    watching = partial(control_plane.requests.where, path=path, verb="watch", agent="^kopf")
    until(watching, "a watch stream")
    faults.add(Fault(path=path, verb="watch", agent="^kopf", status=status, times=1))
    faults.cut_watches(path, agent="^kopf")
    watches.create("w", jobResourceId=jobs.completed())
    watches.until_phase("w", "Succeeded")
    until(lambda: [stream.status for stream in watching()][-1] == HTTPStatus.OK and len(watching()) > 2, "another")
    watches.create("next", jobResourceId=jobs.completed())
    watches.until_phase("next", "Succeeded")
    operator.stop()


def test_nothing_to_follow(own_operators: Operators, watches: Watches) -> None:
    """An operator without watches logs no warnings."""
    operator = own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    time.sleep(2.5)  # the operator resyncs every second
    assert "WARNING" not in operator.log
    assert "ERROR" not in operator.log


def test_missed_deletion(own_operators: Operators, watches: Watches, jobs: Jobs, faults: Faults) -> None:
    """After a resync, the operator stops polling for a watch whose deletion event it missed."""
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Running")
    faults.swallow_events(f"/{watches.namespace}/backupjobwatches$", {"DELETED"})
    watches.delete("w")
    until(lambda: "missed deletion event" in own_operators.logs()[-1], "the resync")
    asked = len(jobs.requests(job))
    watches.create("other", jobResourceId=jobs.start())
    watches.until_phase("other", "Running")
    assert len(jobs.requests(job)) == asked


def test_missed_deletion_and_creation(own_operators: Operators, watches: Watches, jobs: Jobs, faults: Faults) -> None:
    """A recreated watch gets its own verdict, even if the operator missed both events."""
    own_operators.start(NAMESPACES=watches.namespace).wait_ready()
    old, new = jobs.completed(), jobs.start()
    with jobs.hold(old) as hold:
        watches.create("w", jobResourceId=old)
        hold.wait_arrived()
        faults.swallow_events(f"/{watches.namespace}/backupjobwatches$", {"DELETED", "ADDED", "MODIFIED"})
        watches.delete("w")
        watches.create("w", jobResourceId=new)
        watches.until_phase("w", "Running")
    jobs.complete(new)
    watches.poll_now("w")
    body = watches.until_phase("w", "Succeeded")
    assert body["status"]["job"]["name"] == name_of(new)
    assert condition(body, "Complete")["status"] == "True"
    watches.prove_honest("w", completed={name_of(new)})
