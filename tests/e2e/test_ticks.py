"""Scenarios that wait up to ten seconds for the next poll. They run concurrently, each in its own namespace."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from demo.controlplane import Cluster, ControlPlane, Kubectl
from demo.controlplane import Fault as ClusterFault
from demo.simulator import AzureSimulator, Fault
from demo.simulator import jobs as demo_jobs
from tests.support.jobs import Jobs, name_of
from tests.support.kubernetes_client import create_namespace, drop_namespace
from tests.support.watches import THEIRS, Watches, condition, phase, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.kubernetes_client import KubernetesClient, Recording
    from tests.support.operator_process import Operators

TICK = 10.5
"""Seconds within which a watch is certain to be polled."""


@dataclass(frozen=True, slots=True)
class Place:
    """The environment of a scenario."""

    watches: Watches
    jobs: Jobs
    kubectl: Kubectl
    azure: AzureSimulator
    cluster: Cluster


def one_poll_at_a_time(place: Place) -> None:
    """The operator sends no second request for a job while a request is in flight."""
    watches, jobs = place.watches, place.jobs
    job = jobs.start()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        time.sleep(TICK)
        assert hold.arrivals == 1
    watches.until_phase("w", "Running")
    watches.until_event("w", "JobInProgress")
    watches.prove_honest("w")
    assert len(watches.history("w")) == 2  # created, and written once
    assert len(watches.events("w")) == 1


def suspended_and_resumed_during_a_tick(place: Place) -> None:
    """A watch that is suspended and resumed during a poll continues to be polled."""
    watches, jobs = place.watches, place.jobs
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Running")
    with jobs.hold(job) as hold:
        hold.wait_arrived()  # the next poll
        watches.edit("w", suspend=True)
        watches.edit("w", suspend=False)
    watches.until_phase("w", "Running")
    jobs.complete(job)
    watches.until_phase("w", "Succeeded")
    watches.prove_honest("w", completed={name_of(job)})


def deletion_ends_the_polls(place: Place) -> None:
    """The operator stops polling for a deleted watch, even if a finalizer still keeps the object."""
    watches, jobs, kubectl = place.watches, place.jobs, place.kubectl
    for name in ("gone", "kept"):
        watches.create(name, jobResourceId=jobs.start())
        watches.until_phase(name, "Running")
    patch = ("patch", "bjw", "kept", "-n", watches.namespace, "--type=merge", "-p")
    kubectl(*patch, json.dumps({"metadata": {"finalizers": [THEIRS]}}))
    kubectl("delete", "bjw", "gone", "kept", "-n", watches.namespace, "--wait=false")
    watches.create("later", jobResourceId=jobs.completed())
    watches.until_event("later", "JobCompleted")  # by then, the operator knows the deletions
    version = watches.get("kept")["metadata"]["resourceVersion"]
    asked = len(jobs.requests())
    time.sleep(TICK)
    assert (len(jobs.requests()), watches.get("kept")["metadata"]["resourceVersion"]) == (asked, version)
    kubectl(*patch, '{"metadata":{"finalizers":null}}')
    until(lambda: not watches.exists("kept"), "the deletion")


def nothing_new_is_not_written(place: Place) -> None:
    """A poll without changes writes nothing and emits no Event. Finished and suspended watches are not polled."""
    watches, jobs = place.watches, place.jobs
    running, finished, suspended = jobs.start(), jobs.completed(), jobs.start()
    for name, job in (("running", running), ("finished", finished), ("suspended", suspended)):
        watches.create(name, jobResourceId=job, suspend=name == "suspended")
    watches.until_phase("running", "Running")
    watches.until_phase("finished", "Succeeded")
    watches.until_reason("suspended", "Suspended")
    before = {name: watches.get(name) for name in ("running", "finished", "suspended")}
    jobs.wait_requests(2, running)
    time.sleep(1)
    assert {name: watches.get(name) for name in before} == before
    assert (len(jobs.requests(finished)), len(jobs.requests(suspended))) == (1, 0)
    assert len(watches.events("running")) == 1


def poll_at_once(place: Place) -> None:
    """The requestedAt annotation triggers a poll within ten seconds, and the status echoes its value."""
    watches, jobs = place.watches, place.jobs
    job = jobs.start()
    watches.create("w", jobResourceId=job, pollInterval="5m")
    watches.until_phase("w", "Running")
    jobs.complete(job)
    annotate = ("annotate", "--overwrite", "bjw", "w", "-n", watches.namespace)
    place.kubectl(*annotate, "reconcile.fluxcd.io/requestedAt=2026-03-04T01:00:00Z")
    body = watches.until_phase("w", "Succeeded")
    assert body["status"]["lastHandledReconcileAt"] == "2026-03-04T01:00:00Z"
    assert len(jobs.requests(job)) == 2


def refused_writes(place: Place) -> None:
    """The operator retries a refused status write until it succeeds, whatever the HTTP status."""
    watches, jobs = place.watches, place.jobs
    if not isinstance(place.cluster, ControlPlane):
        pytest.skip("faults need the embedded control plane: unset E2E_KUBECONFIG")
    faults, requests = place.cluster.faults, place.cluster.requests
    running = {status: jobs.start() for status in (403, 409, 422, 500)}
    puts = {status: f"/{watches.namespace}/.*/w-{status}/status$" for status in running}
    for status, job in running.items():
        faults.add(ClusterFault(method="PUT", path=puts[status], status=status, times=6))
        watches.create(f"w-{status}", jobResourceId=job)
    for status, put in puts.items():
        until(partial(requests.where, method="PUT", path=put), f"a write refused with {status}")
        assert phase(watches.get(f"w-{status}")) is None
    for job in running.values():
        jobs.complete(job)
    faults.clear()
    for status, job in running.items():
        watches.until_phase(f"w-{status}", "Succeeded")
        watches.prove_honest(f"w-{status}", completed={name_of(job)})
        watches.until_event(f"w-{status}", "JobCompleted")
        assert len(watches.events(f"w-{status}", "JobCompleted")) == 1


def throttled(place: Place) -> None:
    """After a 429, the operator sends no requests for the subscription until Retry-After, and then continues."""
    watches, jobs = place.watches, place.jobs
    hit, quiet = jobs.start("vm-hit"), jobs.start("vm-quiet")
    for name, job in (("hit", hit), ("quiet", quiet)):
        watches.create(name, jobResourceId=job)
        watches.until_phase(name, "Running")
    jobs.add_fault(Fault.throttled(retry_after=30))
    watches.poll_now("hit")
    until(lambda: condition(watches.get("hit"), "AzureReachable").get("status") == "False", "the throttling")
    refused, asked = jobs.requests()[-1].time, len(jobs.requests())
    end = refused + timedelta(seconds=29)  # a busy machine may need longer for what follows
    body = watches.get("hit")
    assert (phase(body), body["status"]["reason"]) == ("Running", "Throttled")
    assert condition(body, "Ready")["status"] == "Unknown"
    assert condition(body, "Reconciling")["reason"] == "ProgressingWithRetry"
    jobs.complete(hit)
    jobs.complete(quiet)
    for name in ("hit", "quiet", "quiet"):  # toggles the interval, so each ends at ten seconds
        watches.poll_now(name)
    watches.create("elsewhere", jobResourceId=jobs.elsewhere().completed())
    watches.until_phase("elsewhere", "Succeeded")
    assert phase(watches.until("quiet", lambda body: phase(body) is not None)) == "Running" or datetime.now(UTC) > end
    time.sleep(max((refused - datetime.now(UTC)).total_seconds() + 4, 0))
    assert [request for request in jobs.requests()[asked:] if request.time < end] == []
    for name, job in (("hit", hit), ("quiet", quiet)):
        body = watches.until_phase(name, "Succeeded")
        assert condition(body, "AzureReachable")["status"] == "True"
        watches.prove_honest(name, completed={name_of(job)})
    assert "Throttled" in place.kubectl("describe", "bjw", "hit", "-n", watches.namespace).stdout


def gates_open_at_the_end(place: Place) -> None:
    """When a job ends, the next poll opens the gates for that outcome, and no others."""
    watches, jobs, azure = place.watches, place.jobs, place.azure
    vault = azure.add_vault(demo_jobs.SUBSCRIPTION_ID, demo_jobs.RESOURCE_GROUP, demo_jobs.VAULT)
    page, bad = vault.add_job(demo_jobs.DOCUMENTED), jobs.start()
    azure.clock.advance(60)
    watches.create("good", jobResourceId=page)
    watches.create("bad", jobResourceId=bad)
    running = watches.until_phase("good", "Running")["status"]
    watches.until_phase("bad", "Running")
    assert [task["status"] for task in running["extendedInfo"]["tasks"]] == ["InProgress", "NotStarted"]
    gates = [("good", "complete"), ("good", "ready"), ("good", "finished"), ("bad", "failed"), ("bad", "finished")]
    opening = [_waiting(place, name, gate) for name, gate in gates]
    shut = [_waiting(place, name, gate) for name, gate in (("good", "failed"), ("bad", "complete"))]
    try:
        azure.clock.advance(1200)
        jobs.fail(bad)
        for process in opening:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0, output
        assert [process.poll() for process in shut] == [None, None]
    finally:
        for process in (*opening, *shut):
            process.kill()
            process.communicate()
    done = watches.until_phase("good", "Succeeded")["status"]
    assert [task["status"] for task in done["extendedInfo"]["tasks"]] == ["Completed", "Completed"]
    assert done["extendedInfo"]["properties"]["Backup Size"] == "2332 MB"
    assert (done["duration"], done["job"]["status"]) == ("20m23s", "Completed")
    watches.prove_honest("good", completed={name_of(page)})
    watches.prove_honest("bad")


def _waiting(place: Place, name: str, gate: str) -> subprocess.Popen[str]:
    command = ("wait", f"bjw/{name}", "-n", place.watches.namespace, f"--for=condition={gate}", "--timeout=60s")
    return subprocess.Popen(
        [place.kubectl.path, *command],
        env=place.kubectl.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


STORIES = (
    one_poll_at_a_time,
    suspended_and_resumed_during_a_tick,
    deletion_ends_the_polls,
    nothing_new_is_not_written,
    poll_at_once,
    refused_writes,
    throttled,
    gates_open_at_the_end,
)


@pytest.fixture(scope="module")
def endings(
    *,
    kubectl: Kubectl,
    client: KubernetesClient,
    recording: Recording,
    azure: AzureSimulator,
    cluster: Cluster,
    operators: Operators,
) -> Iterator[dict[str, Future[None]]]:
    """The result of each scenario, by name. The scenarios start together and may still run."""
    operators.shared()
    namespaces = [create_namespace(client) for _ in STORIES]

    def live(story: Callable[[Place], None], namespace: str) -> None:
        watches = Watches(namespace, client, recording)
        story(Place(watches, Jobs(azure), kubectl, azure, cluster))
        watches.prove_unmarked()

    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {story.__name__: pool.submit(live, story, name) for story, name in zip(STORIES, namespaces, strict=True)}
    for name in namespaces:
        drop_namespace(client, cluster, name)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_story(endings: dict[str, Future[None]], operator_log: None, story: Callable[[Place], None]) -> None:
    """Each scenario succeeds. Its docstring states the claim."""
    endings[story.__name__].result(timeout=280)
