"""kubectl's columns, descriptions and gates for watches that succeeded, failed, run or wait."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from demo.simulator import jobs as demo_jobs
from tests.support.kubernetes_client import create_namespace, drop_namespace
from tests.support.watches import Watches

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from demo.controlplane import Cluster, Kubectl
    from demo.simulator import AzureSimulator
    from tests.support.kubernetes_client import KubernetesClient, Recording
    from tests.support.operator_process import Operators

pytestmark = pytest.mark.usefixtures("stage")


class Shown:
    """kubectl in the namespace of the watches."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace

    def __call__(self, *args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return self.kubectl(*args, "-n", self.namespace, ok=ok)

    def rows(self, *args: str) -> dict[str, dict[str, str]]:
        """Return the cells of a table by name and column title. Titles mark the start of the columns."""
        head, *lines = self(*args).stdout.splitlines()
        starts = [i for i, letter in enumerate(head) if letter != " " and (i == 0 or head[i - 1] == " ")]
        edges = list(zip(starts, [*starts[1:], None], strict=True))
        rows = ({head[a:b].strip(): line[a:b].strip() for a, b in edges} for line in lines)
        return {row["NAME"]: row for row in rows}


@pytest.fixture(scope="module")
def stage(
    *,
    kubectl: Kubectl,
    client: KubernetesClient,
    cluster: Cluster,
    recording: Recording,
    azure: AzureSimulator,
    operators: Operators,
) -> Iterator[Shown]:
    """Watches of demo jobs: completed, failed, a running restore, without a job, without a Secret."""
    namespace = create_namespace(client)
    operators.shared()
    watches = Watches(namespace, client, recording)
    vault = azure.add_vault(demo_jobs.SUBSCRIPTION_ID, demo_jobs.RESOURCE_GROUP, demo_jobs.VAULT)
    done, broken = vault.add_job(demo_jobs.DOCUMENTED), vault.add_job(demo_jobs.FAILED)
    azure.clock.advance(2000)
    restore = vault.add_job(demo_jobs.RESTORE)
    azure.clock.advance(668)
    for name, job, phase in (
        ("done", done, "Succeeded"),
        ("broken", broken, "Failed"),
        ("restore", restore, "Running"),
    ):
        watches.create(name, jobResourceId=job)
        watches.until_phase(name, phase)
    watches.create("waits", jobResourceId=vault.job_id("ffffffff-0000-4000-8000-000000000000"))
    watches.create("no-secret", jobResourceId=restore, identity={"secretName": "missing"})
    for name in ("waits", "no-secret"):
        watches.until_phase(name, "Pending")
    for name, reason in (("done", "JobCompleted"), ("broken", "JobFailed"), ("restore", "JobInProgress")):
        watches.until_event(name, reason)
    yield Shown(kubectl, namespace)
    watches.prove_honest("done", completed={demo_jobs.DOCUMENTED.name})
    drop_namespace(client, cluster, namespace)


def test_columns(stage: Shown) -> None:
    """`kubectl get` shows whether a watch is ready, the reason, and the job, in 120 columns."""
    rows = stage.rows("get", "backupjobwatches")
    shown = {name: list(rows[name].values())[1:8] for name in ("done", "broken", "restore")}
    assert shown == {
        "done": ["True", "Succeeded", "JobCompleted", "Backup", "uttestvmub1", "", "20m23s"],
        "broken": ["False", "Failed", "JobFailed", "Backup", "vm-harbour-03", "", "15m3s"],
        "restore": ["Unknown", "Running", "JobInProgress", "Restore", "vm-harbour-02", "43", "11m8s"],
    }
    assert list(rows["done"])[1:] == [
        *("READY", "PHASE", "REASON", "OPERATION", "ITEM", "PROGRESS", "DURATION", "AGE"),
    ]
    assert all(row["AGE"].endswith(("s", "m")) for row in rows.values())
    assert max(map(len, stage("get", "bjw").stdout.splitlines())) <= 120


def test_missing_secret(stage: Shown) -> None:
    """`kubectl get` distinguishes a watch without its Secret from a watch without its job."""
    rows = stage.rows("get", "bjw")
    assert [rows[name][title] for name in ("no-secret", "waits") for title in ("READY", "PHASE", "REASON")] == [
        *("Unknown", "Pending", "CredentialsNotFound"),
        *("Unknown", "Pending", "JobNotVisible"),
    ]
    assert "does not exist" in stage.rows("get", "bjw", "-o", "wide")["no-secret"]["MESSAGE"]


def test_wide(stage: Shown) -> None:
    """`-o wide` adds the start, the vault, Azure's status, the job and a message."""
    rows = stage.rows("get", "bjw", "-o", "wide")
    titles = ("VAULT", "AZURE-STATUS", "JOB", "MESSAGE")
    assert [rows["done"][title] for title in titles] == [
        "abdemovault",
        "Completed",
        "7ddead57-bcb9-4269-ac31-6a1b57588700",
        "Backup of uttestvmub1 completed in 20m23s.",
    ]
    assert rows["done"]["STARTED"].endswith(("y", "d"))  # the job is from 2018
    assert rows["restore"]["STARTED"].endswith(("m", "s", "h"))
    assert rows["broken"]["MESSAGE"] == (
        "Backup of vm-harbour-03 failed after 15m3s. 400239 UserErrorGuestAgentStatusUnavailable: VM agent is "
        "unable to communicate with the Azure Backup Service. Ensure the VM has network connectivity and the VM agent is "
        "latest and running."
    )
    assert rows["restore"]["MESSAGE"] == "Restore of vm-harbour-02 is in progress."


def test_describe(stage: Shown) -> None:
    """`kubectl describe` shows the job's fields as in Microsoft's documentation, and one Event."""
    shown = [" ".join(line.split()) for line in stage("describe", "bjw", "done").stdout.splitlines()]
    for line in (
        "Phase: Succeeded",
        "Status: Completed",
        "Duration: 20m23s",
        "Duration Seconds: 1223",
        "Start Time: 2018-05-21T08:35:40Z",
        "End Time: 2018-05-21T08:56:04Z",
        "Task Id: Take Snapshot",
        "Task Id: Transfer data to vault",
        "Backup Size: 2332 MB",
        "VM Name: uttestvmub1",
        "Entity Friendly Name: uttestvmub1",
    ):
        assert line in shown
    told = [line for line in shown if "JobCompleted" in line and "backupjobwatch" in line]
    assert len(told) == 1
    assert told[0].startswith("Normal JobCompleted")
    assert told[0].endswith("backupjobwatch Backup of uttestvmub1 completed in 20m23s.")


def test_describe_of_a_failure(stage: Shown) -> None:
    """`kubectl describe` shows Azure's error and recommendation for a failed watch, and a warning Event."""
    text = stage("describe", "bjw", "broken").stdout
    for words in ("400239", "UserErrorGuestAgentStatusUnavailable", "For more information", "Skipped"):
        assert words in text
    assert "Warning  JobFailed" in text


def test_tasks_of_a_restore(stage: Shown) -> None:
    """The status of a running restore has its progress and the estimated remaining time."""
    extended = json.loads(stage("get", "bjw", "restore", "-o", "jsonpath={.status.extendedInfo}").stdout)
    assert (extended["progressPercent"], extended["estimatedRemaining"]) == (43, "13m52s")
    assert extended["tasks"][0]["taskId"] == "Transfer data from vault"
    assert extended["properties"]["Job Type"] == "Recover disks"


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("done", {"complete", "finished", "ready", "succeeded"}),
        ("broken", {"failed", "finished"}),
        ("restore", set[str]()),
    ],
)
def test_gates(stage: Shown, name: str, opens: set[str]) -> None:
    """`kubectl wait` exits at once: with 0 for open gates, and with 1 for closed gates."""
    opened = set()
    for gate in ("complete", "failed", "finished", "ready", "succeeded"):
        started = time.monotonic()
        waited = stage("wait", f"bjw/{name}", f"--for=condition={gate}", "--timeout=0", ok=False)
        assert time.monotonic() - started < 30
        assert waited.returncode in (0, 1)
        if waited.returncode == 0:
            assert "condition met" in waited.stdout
            opened.add(gate)
    assert opened == opens


def test_wait_for_a_running_watch(stage: Shown) -> None:
    """`kubectl wait` with a timeout waits for that long, reports the timeout, and exits with 1."""
    started = time.monotonic()
    waited = stage("wait", "bjw/restore", "--for=condition=complete", "--timeout=2s", ok=False)
    assert waited.returncode == 1
    assert "timed out waiting for the condition" in waited.stderr
    assert 1.9 < time.monotonic() - started < 30


def test_commands_of_the_readme(stage: Shown) -> None:
    """The two commands in the README distinguish the end of a job from its success."""
    assert stage("wait", "bjw/broken", "--for=condition=finished", "--timeout=4h").returncode == 0
    assert stage("wait", "bjw/broken", "--for=condition=complete", "--timeout=0", ok=False).returncode == 1
    assert stage("wait", "bjw", "--all", "--for=condition=finished", "--timeout=0", ok=False).returncode == 1


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("status.phase=Failed", {"broken"}),
        ("status.phase=Succeeded", {"done"}),
        ("status.phase!=Succeeded", {"broken", "restore", "waits", "no-secret"}),
        ("status.phase=Running,metadata.name=restore", {"restore"}),
    ],
)
def test_field_selector(stage: Shown, selector: str, names: set[str]) -> None:
    """Field selectors select watches by phase."""
    assert stage.rows("get", "bjw", "--field-selector", selector).keys() == names


@pytest.mark.parametrize("word", ["backupjobwatches", "backupjobwatch", "bjw"])
def test_names(stage: Shown, word: str) -> None:
    """kubectl accepts the plural, the singular and the short name of the kind."""
    assert stage.rows("get", word).keys() == {"done", "broken", "restore", "waits", "no-secret"}


@pytest.mark.parametrize("field", ["spec", "spec.vault", "status", "status.conditions"])
def test_explain(stage: Shown, field: str) -> None:
    """`kubectl explain` describes the fields."""
    words = {
        "spec": ("jobResourceId", "az backup job list", "activeDeadlineSeconds", "completedWithWarnings", "30s"),
        "spec.vault": ("subscriptionId", "-required-", "resourceGroup"),
        "status": ("observedGeneration", "gate on conditions instead", "troubleSince"),
        "status.conditions": ("lastTransitionTime", "reason"),
    }
    text = " ".join(stage("explain", f"backupjobwatch.{field}").stdout.split())
    for word in words[field]:
        assert word in text
