"""The gates of the runnable samples open only when the job has succeeded."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.az import option
from tests.support.jobs import name_of
from tests.support.samples import pick, sample
from tests.support.shell import Shell, ended
from tests.support.watches import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from demo.controlplane import Kubectl
    from tests.support.jobs import Jobs
    from tests.support.kubernetes_client import KubernetesClient
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

    Start = Callable[..., "subprocess.Popen[str]"]

SCRIPT = sample("shell/backup-and-wait.sh").read_text("utf-8")
BLANK = re.compile(r"\$\((?:params\.|context\.taskRun\.|results\.)?(\w+)(?:\.path)?\)")
ARGUMENTS = ("rg-backup", "rsv-prod", "vm1")


@pytest.fixture
def shell(kubectl: Kubectl, namespace: str, tmp_path: Path) -> Shell:
    """A user's shell in the test's namespace."""
    return Shell(kubectl, namespace, tmp_path)


@pytest.fixture(params=["shell", "tekton"])
def start(request: pytest.FixtureRequest, shell: Shell, tmp_path: Path) -> Start:
    """Start a gate for a job: the shell script, or the script of the Tekton Task with its variables replaced."""

    def from_shell(job: str, timeout: int = 60) -> subprocess.Popen[str]:
        shell.az.answer(job)
        return shell.start(SCRIPT, *ARGUMENTS, TIMEOUT=str(timeout))

    def from_tekton(job: str, timeout: int = 60) -> subprocess.Popen[str]:
        (step,) = pick(sample("tekton/task.yaml"), "Task")["spec"]["steps"]
        values = {
            "job": job,
            "timeout": str(timeout),
            "name": "run-1",
            "uid": "u-1",
            "duration": f"{tmp_path}/duration",
        }
        environment = {each["name"]: BLANK.sub(lambda blank: values[blank[1]], each["value"]) for each in step["env"]}
        return shell.start(step["script"], **environment)

    return from_shell if request.param == "shell" else from_tekton


def test_opens(operator: OperatorProcess, start: Start, watches: Watches, jobs: Jobs, tmp_path: Path) -> None:
    """The gate is closed while the job runs, and opens when it succeeds."""
    job = jobs.start()
    process = start(job)
    (name,) = until(watches.names, "the watch")
    watches.until_phase(name, "Running")
    assert process.poll() is None
    jobs.complete(job)
    watches.request(name, "now")
    status, said = ended(process)
    assert status == 0, said
    watches.prove_honest(name, completed={name_of(job)})
    duration = tmp_path / "duration"
    assert not duration.exists() or duration.read_text("utf-8") == watches.get(name)["status"]["duration"]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("job-iaasvm-failed", "JobFailed"),
        ("job-iaasvm-cancelled", "JobCancelled"),
        ("job-iaasvm-completedwithwarnings", "JobCompletedWithWarnings"),
    ],
)
def test_stays_closed(
    operator: OperatorProcess, start: Start, watches: Watches, jobs: Jobs, *, example: str, reason: str
) -> None:
    """If the job ends in any other way, the gate fails at once and prints the reason."""
    started = time.monotonic()
    status, said = ended(start(jobs.become(jobs.start(), example)))
    assert (status, reason in said) == (1, True), said
    assert time.monotonic() - started < 30


def test_stays_closed_at_the_timeout(operator: OperatorProcess, start: Start, watches: Watches, jobs: Jobs) -> None:
    """The gate fails if the job does not end before the timeout."""
    status, said = ended(start(jobs.start(), timeout=3))
    assert (status, "JobInProgress" in said or "DeadlineExceeded" in said) == (1, True), said


def test_stays_closed_without_an_operator(own_operators: Operators, start: Start, watches: Watches, jobs: Jobs) -> None:
    """Without an operator the gate fails, even if the job has succeeded."""
    status, _ = ended(start(jobs.completed(), timeout=3))
    assert status == 1


def test_stays_closed_for_an_invalid_id(start: Start, watches: Watches) -> None:
    """If the job ID is invalid, the gate fails and leaves no watch."""
    status, said = ended(start("cd153561-20d3-467a-b911-cc1de47d4763"))
    assert status == 1
    assert "cd153561-20d3-467a-b911-cc1de47d4763" in said
    assert watches.names() == []


def test_stays_closed_when_az_fails(shell: Shell, watches: Watches) -> None:
    """If `az` fails, the shell script passes on its exit status and output, and creates no watch."""
    shell.az.answer(status=3)
    status, said = shell.run(SCRIPT, *ARGUMENTS)
    assert (status, said) == (3, "ERROR: AuthorizationFailed\n")
    (call,) = shell.az.calls()
    assert [option(call, name) for name in ("--resource-group", "--vault-name", "--item-name")] == list(ARGUMENTS)
    assert watches.names() == []


def test_prints_its_usage(shell: Shell) -> None:
    """The shell script starts no backup if the VM argument is missing."""
    status, said = shell.run(SCRIPT, "rg-backup", "rsv-prod")
    assert status == 2
    assert said.endswith("RESOURCE-GROUP VAULT VM\n")
    assert shell.az.calls() == []


# ── Argo Workflows ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def template() -> dict[str, Any]:
    """The resource template of the Workflow."""
    templates = pick(sample("argo-workflows/workflow.yaml"), "Workflow")["spec"]["templates"]
    (found,) = (each for each in templates if "resource" in each)
    return dict(found)


def holds(client: KubernetesClient, namespace: str, condition: str, body: dict[str, Any]) -> bool:
    """
    Return whether an object meets a condition of a resource template.

    Argo Workflows evaluates conditions as label selectors on fields (workflow/executor/resource.go). This function
    stores the fields as labels of a ConfigMap, and lets the API server evaluate the selector.
    """
    status = body["status"]
    labels = {f"status.{name}": str(status[name]) for name in ("phase", "observedGeneration") if name in status}
    labels = {name: value for name, value in labels.items() if value != "-1"}  # not a valid label value
    labels["metadata.generation"] = str(body["metadata"]["generation"])
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    created = client("POST", path, {"metadata": {"generateName": "fields-", "labels": labels}}).body["metadata"]["name"]
    selected = client("GET", path, labelSelector=condition).body["items"]
    client("DELETE", f"{path}/{created}")
    return bool(selected)


def test_workflow(
    *,
    operator: OperatorProcess,
    kubectl: Kubectl,
    client: KubernetesClient,
    watches: Watches,
    jobs: Jobs,
    template: dict[str, Any],
) -> None:
    """The Workflow step succeeds or fails with the job. It never ends on the status of an edited watch."""
    resource = template["resource"]

    def create(job: str) -> str:
        text = resource["manifest"].replace("{{inputs.parameters.job}}", job)
        return kubectl("create", "-n", watches.namespace, "-o", "name", "-f", "-", stdin=text).stdout.strip()

    def verdict(name: str) -> tuple[bool, bool]:
        body = watches.get(name.partition("/")[2])
        conditions = (resource["failureCondition"], resource["successCondition"])
        failed, succeeded = (holds(client, watches.namespace, each, body) for each in conditions)
        return failed, succeeded

    running, failed, done = (create(job) for job in (jobs.start(), jobs.failed(), jobs.completed()))
    for name, phase in ((running, "Running"), (failed, "Failed"), (done, "Succeeded")):
        watches.until_phase(name.partition("/")[2], phase)
    assert [verdict(name) for name in (running, failed, done)] == [(False, False), (True, False), (False, True)]
    for each in template["outputs"]["parameters"]:
        path = f"jsonpath={each['valueFrom']['jsonPath']}"
        assert kubectl("get", done, "-n", watches.namespace, "-o", path).stdout
    watches.edit(done.partition("/")[2], pollInterval="1m")
    watches.until(done.partition("/")[2], lambda body: body["status"]["observedGeneration"] == 2)
    assert verdict(done) == (False, False)
