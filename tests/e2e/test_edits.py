"""Users and tools change a watch while the operator follows it: apply, edit, suspend, request a poll."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.jobs import name_of
from tests.support.watches import condition, manifest, phase

if TYPE_CHECKING:
    from demo.controlplane import Kubectl
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches


def test_server_side_apply(operator: OperatorProcess, kubectl: Kubectl, watches: Watches, jobs: Jobs) -> None:
    """A server-side apply never conflicts with the operator, which owns only the status."""
    apply = ("apply", "--server-side", "--field-manager=gitops", "-n", watches.namespace, "-f", "-")
    body = manifest("w", {"jobResourceId": jobs.start()})
    assert "serverside-applied" in kubectl(*apply, stdin=json.dumps(body)).stdout
    watches.until_phase("w", "Running")
    kubectl(*apply, stdin=json.dumps(body))
    assert watches.get("w")["metadata"]["generation"] == 1
    body["spec"] = {"jobResourceId": jobs.completed(), "graceSeconds": 60, "pollInterval": "1m"}
    kubectl(*apply, stdin=json.dumps(body))
    done = watches.until_phase("w", "Succeeded")
    body["spec"] = {"jobResourceId": body["spec"]["jobResourceId"]}
    kubectl(*apply, stdin=json.dumps(body))
    assert watches.get("w")["spec"]["pollInterval"] == "30s"
    owners = {
        (each["manager"], each.get("subresource")): each["fieldsV1"] for each in done["metadata"]["managedFields"]
    }
    assert owners.keys() == {("gitops", None), ("backupjobwatch", "status")}
    assert "f:spec" not in owners["backupjobwatch", "status"]
    assert "f:status" not in owners["gitops", None]


def test_client_side_apply(operator: OperatorProcess, kubectl: Kubectl, watches: Watches, jobs: Jobs) -> None:
    """After the operator has written the status, applying the same manifest again changes nothing."""
    text = json.dumps(manifest("w", {"jobResourceId": jobs.completed()}))
    assert "created" in kubectl("apply", "-n", watches.namespace, "-f", "-", stdin=text).stdout
    watches.until_phase("w", "Succeeded")
    assert "unchanged" in kubectl("apply", "-n", watches.namespace, "-f", "-", stdin=text).stdout
    assert kubectl("diff", "-n", watches.namespace, "-f", "-", stdin=text).stdout == ""


def test_target_of_a_running_watch(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A new target resets the status of a running watch and restarts it."""
    first, second = jobs.start("vm-first"), jobs.start("vm-second")
    watches.create("w", jobResourceId=first)
    before = watches.until_phase("w", "Running")["status"]
    time.sleep(1.1)  # times in the status have a resolution of one second
    with jobs.hold(second) as hold:
        watches.edit("w", jobResourceId=second)
        hold.wait_arrived()
    after = watches.until_phase("w", "Running")["status"]
    assert after["job"]["entityFriendlyName"] == "vm-second"
    assert after["watchStartTime"] > before["watchStartTime"]
    assert after["target"] != before["target"]
    watches.prove_honest("w")


@pytest.mark.parametrize("ends", ["Succeeded", "Failed"])
def test_target_of_a_finished_watch(
    operator: OperatorProcess, watches: Watches, jobs: Jobs, kubectl: Kubectl, ends: str
) -> None:
    """A new target makes a finished watch run again and removes the first outcome from the status."""
    first, second = jobs.completed() if ends == "Succeeded" else jobs.failed(), jobs.start()
    watches.create("w", jobResourceId=first)
    watches.until_phase("w", ends)
    watches.edit("w", jobResourceId=second)
    body = watches.until_phase("w", "Running")
    assert {"completionTime", "errors"} & body["status"].keys() == set()
    standing = {each["type"]: each["status"] for each in body["status"]["conditions"]}
    unfinished = {"Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False", "Reconciling": "True"}
    assert standing == {**unfinished, "AzureReachable": "True"}
    wait = ("wait", "bjw/w", "-n", watches.namespace, "--timeout=0")
    for gate in ("complete", "ready", "finished", "failed"):
        assert kubectl(*wait, f"--for=condition={gate}", ok=False).returncode == 1
    jobs.complete(second)
    watches.poll_now("w")
    watches.until_phase("w", "Succeeded")
    watches.prove_honest("w", completed={name_of(second), *([name_of(first)] if ends == "Succeeded" else [])})


def test_verdict_of_a_finished_watch(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """`completedWithWarnings` is part of the target: editing it makes the operator poll the job again."""
    job = jobs.completed()
    watches.create("w", jobResourceId=job)
    before = watches.until_phase("w", "Succeeded")["status"]
    watches.edit("w", completedWithWarnings="Succeeded")
    after = watches.until_phase("w", "Succeeded")["status"]
    assert after["target"] != before["target"]
    assert len(jobs.requests(job)) == 2


def test_revision_of_a_finished_watch(
    operator: OperatorProcess, watches: Watches, jobs: Jobs, kubectl: Kubectl
) -> None:
    """Editing `revision` closes the gate. The operator polls the job again and opens the gate for the new revision."""
    job = jobs.completed()
    watches.create("w", jobResourceId=job, revision="v1")
    assert watches.until_phase("w", "Succeeded")["status"]["revision"] == "v1"
    wait = ("wait", "bjw/w", "-n", watches.namespace)
    with jobs.hold(job) as hold:
        watches.edit("w", revision="v2")
        hold.wait_arrived()
        body = watches.until_phase("w", "Pending")
        assert body["status"]["revision"] == "v2"
        assert "job" not in body["status"]
        for gate in ("complete", "ready", "finished"):
            assert kubectl(*wait, f"--for=condition={gate}", "--timeout=0", ok=False).returncode == 1
    kubectl(*wait, "--for=condition=complete", "--timeout=60s")
    assert watches.get("w")["status"]["revision"] == "v2"
    assert len(jobs.requests(job)) == 2
    watches.prove_honest("w", completed={name_of(job)})


def test_other_fields_of_a_running_watch(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """Editing the poll interval keeps the observed state of the job."""
    watches.create("w", jobResourceId=jobs.start())
    before = watches.until_phase("w", "Running")["status"]
    watches.edit("w", pollInterval="2m")
    after = watches.until_phase("w", "Running")["status"]
    assert after["observedGeneration"] == 2
    for name in ("target", "watchStartTime", "job", "phase", "reason"):
        assert after[name] == before[name]
    watches.until_event("w", "JobInProgress")
    assert len(watches.events("w")) == 1


def test_other_fields_of_a_finished_watch(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A finished watch acknowledges edits and poll requests. The operator does not query Azure again."""
    job = jobs.completed()
    watches.create("w", jobResourceId=job)
    before = watches.until_phase("w", "Succeeded")["status"]
    watches.edit("w", pollInterval="2m")
    watches.until_phase("w", "Succeeded")
    watches.edit("w", suspend=True)
    watches.until_phase("w", "Succeeded")
    watches.request("w", "now")
    after = watches.until("w", lambda body: body["status"].get("lastHandledReconcileAt") == "now")["status"]
    stamped = _without_generation(before) | {"lastHandledReconcileAt": "now"}
    assert _without_generation(after) == stamped
    assert {each["observedGeneration"] for each in after["conditions"]} == {after["observedGeneration"]} == {3}
    assert len(jobs.requests(job)) == 1
    watches.until_event("w", "JobCompleted")
    assert len(watches.events("w")) == 1


def test_suspended(operator: OperatorProcess, kubectl: Kubectl, watches: Watches, jobs: Jobs) -> None:
    """A suspended watch keeps its state, is not polled and opens no gate. It continues when resumed."""
    job = jobs.start()
    watches.create("w", jobResourceId=job)
    watches.until_phase("w", "Running")
    watches.edit("w", suspend=True)
    body = watches.until_reason("w", "Suspended")
    assert phase(body) == "Running"
    assert body["status"]["job"]["status"] == "InProgress"
    assert condition(body, "Ready")["status"] == "Unknown"
    assert condition(body, "Reconciling") == {}
    asked = len(jobs.requests(job))
    jobs.complete(job)
    wait = ("wait", "bjw/w", "-n", watches.namespace, "--for=condition=complete")
    assert kubectl(*wait, "--timeout=1s", ok=False).returncode == 1
    assert len(jobs.requests(job)) == asked
    watches.edit("w", suspend=False)
    kubectl(*wait, "--timeout=60s")
    watches.until_event("w", "JobCompleted")
    reasons = [event["reason"] for event in watches.events("w")]
    assert sorted(reasons) == ["JobCompleted", "JobInProgress", "Suspended"]
    watches.prove_honest("w", completed={name_of(job)})


def test_suspended_from_the_start(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """The operator acknowledges a watch created as suspended, and first queries Azure after it is resumed."""
    job = jobs.completed()
    watches.create("w", jobResourceId=job, suspend=True)
    body = watches.until_reason("w", "Suspended")
    assert (phase(body), "watchStartTime" in body["status"]) == ("Pending", False)
    assert not jobs.requests(job)
    watches.edit("w", suspend=False)
    watches.until_phase("w", "Succeeded")


def test_two_watches_of_one_job(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """Two watches of one job share one Azure query, whatever the letter case of the ID. Both finish."""
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("one", jobResourceId=job)
        hold.wait_arrived()
        watches.create("two", jobResourceId=job.upper())
        watches.create("last", jobResourceId=jobs.start())  # the operator knows the others before it
        watches.until_phase("last", "Running")
        assert hold.arrivals == 1
    for name in ("one", "two"):
        watches.until_phase(name, "Succeeded")
        watches.prove_honest(name, completed={name_of(job)})
    assert len(jobs.requests(job)) == 1


def _without_generation(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**each, "observedGeneration": 0} for each in status["conditions"]]
    return {**status, "observedGeneration": 0, "conditions": conditions}
