"""The operator stops or crashes, and another operator continues from the objects alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.controlplane import Fault
from tests.support.jobs import name_of
from tests.support.watches import phase, until

if TYPE_CHECKING:
    from demo.controlplane import ControlPlane, Faults
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches


def start(operators: Operators, watches: Watches) -> OperatorProcess:
    return operators.start(NAMESPACES=watches.namespace).wait_ready()


def prove_one_event(watches: Watches, name: str, reason: str) -> None:
    """Prove that the operators emitted the Event for the end of a watch exactly once."""
    event = watches.until_event(name, reason)
    assert len(watches.events(name, reason)) == event["count"] == 1


def test_in_the_middle(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """A restart keeps the start time of a running watch and does not change a finished watch."""
    going, done, refused = jobs.start(), jobs.completed(), jobs.failed()
    operator = start(own_operators, watches)
    for name, job in (("going", going), ("done", done), ("failed", refused)):
        watches.create(name, jobResourceId=job)
    before = watches.until_phase("going", "Running")["status"]
    finished = watches.until_phase("done", "Succeeded")
    watches.until_phase("failed", "Failed")
    watches.until_event("failed", "JobFailed")
    operator.stop()
    jobs.complete(going)
    late = watches.create("late", jobResourceId=jobs.completed())
    assert late["status"] == {"observedGeneration": -1}
    start(own_operators, watches)
    after = watches.until_phase("going", "Succeeded")["status"]
    watches.until_phase("late", "Succeeded")
    assert after["watchStartTime"] == before["watchStartTime"]
    assert watches.get("done") == finished
    assert len(jobs.requests(done)) == len(jobs.requests(refused)) == 1
    for name, reason in (("going", "JobCompleted"), ("done", "JobCompleted"), ("failed", "JobFailed")):
        prove_one_event(watches, name, reason)
    watches.prove_honest("going", completed={name_of(going)})


def test_edited_meanwhile(own_operators: Operators, watches: Watches, jobs: Jobs) -> None:
    """A watch edited or recreated while no operator ran is judged by its current spec."""
    operator = start(own_operators, watches)
    first, second = jobs.completed(), jobs.failed()
    for name in ("edited", "anew", "suspended"):
        watches.create(name, jobResourceId=first)
        watches.until_phase(name, "Succeeded")
    operator.kill()
    watches.edit("edited", jobResourceId=second)
    watches.delete("anew")
    watches.create("anew", jobResourceId=second)
    watches.edit("suspended", suspend=True)
    assert phase(watches.get("edited")) is None
    start(own_operators, watches)
    watches.until_phase("edited", "Failed")
    watches.until_phase("anew", "Failed")
    watches.until_phase("suspended", "Succeeded")
    for name in ("edited", "anew", "suspended"):
        watches.prove_honest(name, completed={name_of(first)})


@pytest.mark.parametrize("acted", [False, True], ids=["before the event", "after the event"])
def test_killed_between_status_and_event(
    own_operators: Operators,
    watches: Watches,
    jobs: Jobs,
    faults: Faults,
    control_plane: ControlPlane,
    *,
    acted: bool,
) -> None:
    """If an operator dies between the status and its Event, the next operator emits the Event once."""
    operator = start(own_operators, watches)
    events = f"/{watches.namespace}/events$"
    faults.add(Fault(method="POST", path=events, acted=acted))
    watches.create("w", jobResourceId=jobs.completed())
    until(lambda: control_plane.requests.where(method="POST", path=events), "an attempt to post the event")
    operator.kill()
    attempts = len(control_plane.requests.where(method="POST", path=events))
    assert phase(watches.get("w")) == "Succeeded"
    assert len(watches.events("w")) == acted
    faults.clear()
    start(own_operators, watches)
    until(lambda: len(control_plane.requests.where(method="POST", path=events)) > attempts, "another attempt")
    prove_one_event(watches, "w", "JobCompleted")


def test_killed_during_the_write(
    own_operators: Operators, watches: Watches, jobs: Jobs, faults: Faults, control_plane: ControlPlane
) -> None:
    """If an operator dies before it sees that its write took effect, the next operator emits the Event once."""
    job = jobs.completed()
    operator = start(own_operators, watches)
    status = f"/{watches.namespace}/.*/status$"
    faults.add(Fault(method="PUT", path=status, acted=True))
    faults.add(Fault(method="POST", path=f"/{watches.namespace}/events$"))
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Succeeded")
    until(lambda: control_plane.requests.where(method="PUT", path=status), "the write")
    operator.kill()
    faults.clear()
    assert not watches.events("w")
    start(own_operators, watches)
    prove_one_event(watches, "w", "JobCompleted")
    assert len(jobs.requests(job)) == 1
    watches.prove_honest("w", completed={name_of(job)})
