"""Two operators as processes, with the usual settings: how long it takes until the one acts in place of the other."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.watches import phase, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import ControlPlane, Kubectl
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

INTERVAL = 10
"""Seconds between two polls of a watch."""


class Pair:
    """Operators of one namespace, with a Lease in it."""

    def __init__(self, operators: Operators, watches: Watches, client: KubernetesClient) -> None:
        self._operators = operators
        self._namespace = watches.namespace
        self._client = client

    def start(self) -> OperatorProcess:
        """Start one more, and wait until it is ready."""
        own = {"NAMESPACES": self._namespace, "LEASE_NAMESPACE": self._namespace}
        return self._operators.start_beside(LEADER_ELECTION="true", **own).wait_ready()

    def lease(self) -> dict[str, Any]:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/backupjobwatch"
        spec: dict[str, Any] = self._client("GET", path).body["spec"]
        return spec

    def until_held_by_another(self, holder: str) -> str:
        """Wait until somebody else holds the Lease; return who."""
        until(lambda: self.lease()["holderIdentity"] not in ("", holder), "a take-over")
        return str(self.lease()["holderIdentity"])


@contextmanager
def ready_throughout(operator: OperatorProcess) -> Iterator[None]:
    """Prove that an operator is alive and ready all the time."""
    answers: set[tuple[int | None, int | None]] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.05):
            answers.add((operator.probe("healthz"), operator.probe("readyz")))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert answers == {(200, 200)}


def test_hand_over(
    own_operators: Operators,
    watches: Watches,
    jobs: Jobs,
    client: KubernetesClient,
    kubectl: Kubectl,
    control_plane: ControlPlane,
) -> None:
    """A leader that is killed is replaced within 15 s, one that ends well at once; one acts, and all is told once."""
    pair = Pair(own_operators, watches, client)
    began = time.monotonic()
    first, second = pair.start(), pair.start()
    leader = pair.lease()["holderIdentity"]
    assert "Leading:" in first.log
    assert f"Standing by: the Lease {watches.namespace}/backupjobwatch is held by {leader}" in second.log
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Running")
    watches.until_event("w", "JobInProgress")
    time.sleep(2 * INTERVAL + 1)  # both could have polled by now
    assert len(jobs.requests(job)) in (2, 3, 4)  # and a second one would have made it five or more
    shown = kubectl("get", "lease", "backupjobwatch", "-n", watches.namespace).stdout.splitlines()
    assert (shown[0].split(), shown[1].split()[:2]) == (["NAME", "HOLDER", "AGE"], ["backupjobwatch", leader])

    with ready_throughout(second):
        killed = time.monotonic()
        first.kill()
        jobs.complete(job)
        leader = pair.until_held_by_another(leader)
        held = time.monotonic() - killed
        watches.create("x", jobResourceId=jobs.start())
        watches.until_phase("x", "Running")
        acted = time.monotonic() - killed
        watches.until_phase("w", "Succeeded")
        watches.until_event("w", "JobCompleted")
    assert pair.lease()["leaseTransitions"] == 1

    third = pair.start()
    with ready_throughout(third):
        told = time.monotonic()
        second.send(signal.SIGTERM)
        pair.until_held_by_another(leader)
        handed = time.monotonic() - told
        assert second.wait() == 0
        watches.create("y", jobResourceId=jobs.start())
        watches.until_phase("y", "Running")
        went_on = time.monotonic() - told
    assert pair.lease()["leaseTransitions"] == 2

    print(  # noqa: T201 -- what this is for
        f"\nSIGKILL: the Lease passes on after {held:.1f} s, and the next acts after {acted:.1f} s\n"
        f"SIGTERM: after {handed:.1f} s, and {went_on:.1f} s"
    )
    assert held < 15.2  # the Lease's duration, and a look at it by this test
    assert acted < 17
    assert handed < 4
    assert went_on < 6
    assert [event["reason"] for event in watches.events("w")] == ["JobInProgress", "JobCompleted"]
    assert [len(watches.events(name)) for name in ("x", "y")] == [1, 1]
    assert len(jobs.requests(job)) <= 3 + (time.monotonic() - began) / INTERVAL
    streams = control_plane.requests.where(path=f"/{watches.namespace}/backupjobwatches$", verb="watch", agent="^kopf")
    assert len(streams) == 3  # one for each that led, and none for those that stood by
    third.stop()
    assert pair.lease()["holderIdentity"] == ""
    assert phase(watches.get("w")) == "Succeeded"
