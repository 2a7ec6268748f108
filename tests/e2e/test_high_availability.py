"""Two operator processes with default settings: how long a failover takes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.watches import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.controlplane import ControlPlane, Kubectl
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

MANIFESTS = Path(__file__).parents[2] / "manifests"
INTERVAL = 10
"""Seconds between two polls of a watch."""


class Pair:
    """The operators of one namespace, which contains their Lease."""

    def __init__(self, operators: Operators, watches: Watches, client: KubernetesClient) -> None:
        self._operators = operators
        self._namespace = watches.namespace
        self._client = client

    def start(self) -> OperatorProcess:
        """Start another operator and wait until it is ready."""
        own = {"NAMESPACES": self._namespace, "LEASE_NAMESPACE": self._namespace}
        return self._operators.start_beside(LEADER_ELECTION="true", **own).wait_ready()

    def prove_one_acts(self, control_plane: ControlPlane, led: int) -> None:
        """Prove that *led* operators followed the watches. A standby never does."""
        path = f"/{self._namespace}/backupjobwatches$"
        assert len(control_plane.requests.where(path=path, verb="watch", agent="^kopf")) == led

    def lease(self) -> dict[str, Any]:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/backupjobwatch"
        spec: dict[str, Any] = self._client("GET", path).body["spec"]
        return spec

    def until_held_by_another(self, holder: str) -> str:
        """Wait until the holder of the Lease changes, and return the new holder."""
        until(lambda: self.lease()["holderIdentity"] not in ("", holder), "a take-over")
        return str(self.lease()["holderIdentity"])


@pytest.fixture
def pair(own_operators: Operators, watches: Watches, client: KubernetesClient) -> Pair:
    return Pair(own_operators, watches, client)


@contextmanager
def ready_throughout(operator: OperatorProcess) -> Iterator[None]:
    """Prove that an operator stays alive and ready."""
    answers: set[tuple[int | None, int | None]] = set()
    done = threading.Event()

    def probe() -> None:
        while not done.wait(0.2):
            answers.add((operator.probe("healthz"), operator.probe("readyz")))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert answers == {(200, 200)}


def test_standby(pair: Pair, watches: Watches, jobs: Jobs, kubectl: Kubectl, control_plane: ControlPlane) -> None:
    """The standby is ready, follows no watches and does not query Azure. kubectl shows the leader."""
    first, second = pair.start(), pair.start()
    leader = pair.lease()["holderIdentity"]
    assert "Acquired the Lease" in first.log
    assert f"Became a standby: the Lease {watches.namespace}/backupjobwatch is held by {leader}" in second.log
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Running")
    began, asked = time.monotonic(), len(jobs.requests(job))
    with ready_throughout(first), ready_throughout(second):
        time.sleep(2 * INTERVAL + 1)
    polls, intervals = len(jobs.requests(job)) - asked, (time.monotonic() - began) / INTERVAL
    assert 1 <= polls <= intervals + 1  # two active operators would send at least four
    pair.prove_one_acts(control_plane, 1)
    shown = kubectl("get", "lease", "backupjobwatch", "-n", watches.namespace).stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [["NAME", "HOLDER"], ["backupjobwatch", leader]]


def test_crash(pair: Pair, watches: Watches, jobs: Jobs, control_plane: ControlPlane) -> None:
    """After SIGKILL of the leader, the standby acquires the Lease and acts. It emits each Event once."""
    first, second = pair.start(), pair.start()
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_event("w", "JobInProgress")
    leader = pair.lease()["holderIdentity"]
    with ready_throughout(second):
        killed = time.monotonic()
        first.kill()
        jobs.complete(job)
        watches.create("x", jobResourceId=jobs.start())
        pair.until_held_by_another(leader)
        held = time.monotonic() - killed
        watches.until_phase("x", "Running")
        acted = time.monotonic() - killed
        watches.until_event("w", "JobCompleted")
    sys.stdout.write(f"\nSIGKILL: the Lease passed on after {held:.1f} s, and the next acted after {acted:.1f} s\n")
    assert held < 45  # on a busy machine; the Lease duration is 15 s
    assert acted < 60
    assert pair.lease()["leaseTransitions"] == 1
    assert [event["reason"] for event in watches.events("w")] == ["JobInProgress", "JobCompleted"]
    pair.prove_one_acts(control_plane, 2)


def test_end(pair: Pair, watches: Watches, jobs: Jobs, control_plane: ControlPlane) -> None:
    """After SIGTERM of the leader, the standby acquires the Lease. The last operator releases it."""
    first, second = pair.start(), pair.start()
    watches.create("w", jobResourceId=jobs.start())
    watches.until_event("w", "JobInProgress")
    leader = pair.lease()["holderIdentity"]
    with ready_throughout(second):
        told = time.monotonic()
        first.send(signal.SIGTERM)
        pair.until_held_by_another(leader)
        held = time.monotonic() - told
        watches.create("x", jobResourceId=jobs.start())
        watches.until_phase("x", "Running")
        acted = time.monotonic() - told
    assert first.wait() == 0
    sys.stdout.write(f"\nSIGTERM: the Lease passed on after {held:.1f} s, and the next acted after {acted:.1f} s\n")
    assert "Released the Lease" in first.log  # so the standby does not wait for its end
    assert held < 45  # on a busy machine
    assert acted < 60
    assert len(watches.events("w")) == 1
    pair.prove_one_acts(control_plane, 2)
    second.stop()
    assert (pair.lease()["holderIdentity"], pair.lease()["leaseTransitions"]) == ("", 1)


@pytest.mark.parametrize("folder", ["overlays/ha", "samples/sharded"])
def test_manifests(kubectl: Kubectl, folder: str) -> None:
    """Both kustomizations can be applied, and then `kubectl diff` shows no changes."""
    path = str(MANIFESTS / folder)
    kubectl("apply", "-k", path)
    assert kubectl("diff", "-k", path).stdout == ""
    shown = kubectl("-n", "backupjobwatch-system", "get", "deploy,role,rolebinding,pdb", "-o", "name").stdout.split()
    kubectl("delete", "namespace", "backupjobwatch-system")
    kubectl("delete", "clusterrole,clusterrolebinding", "-l", "app.kubernetes.io/name=backupjobwatch", "--wait=false")
    pods = [""] if folder == "overlays/ha" else ["-a", "-b"]
    assert sorted(name.partition("/")[2] for name in shown) == sorted(
        ["backupjobwatch-lease"] * 2
        + ["backupjobwatch-metrics-reader"]
        + [f"backupjobwatch{each}" for each in pods] * 2
    )
