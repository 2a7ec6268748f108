"""The operator takes the backup of each sample with ``onDemand``, and its gate opens for that backup only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from backupjobwatch.constants import KIND
from demo.simulator import virtual_machine
from tests.support.gates import argo_workflows
from tests.support.gates.verdicts import judge_by
from tests.support.samples import RUN_UID, every_object, pick, sample
from tests.support.shell import Shell, ended
from tests.support.watches import condition, phase, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from demo.controlplane import Kubectl
    from demo.simulator import AzureSimulator, Vault
    from tests.support.operator_process import Operators
    from tests.support.watches import Body, Watches

VARIABLE: Final = re.compile(r"\$\((?:context\.taskRun\.)(\w+)\)")
OTHER_UID: Final = "22222222-2222-4222-8222-222222222222"


def is_open_for_kubectl(body: Body) -> bool:
    """Apply the rule of `kubectl wait --for=condition=complete`."""
    gate = condition(body, "Complete")
    return gate.get("status") == "True" and gate["observedGeneration"] == body["metadata"]["generation"]


def is_open_for_a_workflow(body: Body) -> bool:
    """Apply the conditions of the sample."""
    steps = pick(sample("argo-workflows/on-demand.yaml"), "Workflow")["spec"]["templates"]
    (resource,) = (step["resource"] for step in steps if "resource" in step)
    success, failure = resource["successCondition"], resource["failureCondition"]
    return argo_workflows.verdict(body, success=success, failure=failure) == "success"


GATES: Final[dict[str, Callable[[Body], bool]]] = {
    "on-demand.yaml": is_open_for_kubectl,
    "flux/on-demand/before-upgrade.yaml": lambda body: judge_by("kstatus", body) == "Current",
    "argocd/on-demand.yaml": lambda body: judge_by("hook, wave", body) == "Succeeded",
    "argo-workflows/on-demand.yaml": is_open_for_a_workflow,
}
"""Whether the gate of each sample is open for a version of its watch."""


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    """The vault of the samples, which protects an item for each of them."""
    vault = sim.add_vault("00000000-0000-0000-0000-000000000000", "rg-backup", "rsv-prod")
    vault.protection.names_job_after = 0.0
    for item in ("vm1", *map(item_of, GATES)):
        vault.protection.add(virtual_machine(item))
    return vault


def item_of(name: str) -> str:
    """Return the item for a sample, and the name of its watch. In the samples, all are the same."""
    return re.sub(r"\W+", "-", name.removesuffix(".yaml"))


def watch_of(name: str) -> Body:
    """Return the watch of a sample with its own name and item."""
    (watch,) = (each for each in every_object(sample(name)) if each["kind"] == KIND)
    spec = watch["spec"]
    changed = {**spec, "onDemand": {**spec["onDemand"], "item": item_of(name)}, "pollInterval": "10s"}
    return {**watch, "metadata": {"name": item_of(name)}, "spec": changed}


@pytest.fixture
def run_task(kubectl: Kubectl, namespace: str, tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Run the step of the Tekton sample in a TaskRun with this UID."""
    shell = Shell(kubectl, namespace, tmp_path)
    back_up, _ = pick(sample("tekton/on-demand.yaml"), "PipelineRun")["spec"]["pipelineSpec"]["tasks"]
    (step,) = back_up["taskSpec"]["steps"]

    def run(uid: str) -> subprocess.Popen[str]:
        values = {"name": "run-1", "uid": uid}
        environment = {
            each["name"]: VARIABLE.sub(lambda found: values[found[1]], each["value"]) for each in step["env"]
        }
        return shell.start(step["script"], **environment)

    return run


def test_gates(  # noqa: PLR0917 -- fixtures
    starters: Operators,
    kubectl: Kubectl,
    watches: Watches,
    sim: AzureSimulator,
    vault: Vault,
    run_task: Callable[[str], subprocess.Popen[str]],
) -> None:
    """Each gate is closed while its backup runs, opens when it has succeeded, and stays closed for a failed one."""
    starters.start(ON_DEMAND_NAMESPACES=watches.namespace).wait_ready()
    text = yaml.safe_dump_all(map(watch_of, GATES))
    kubectl("apply", "-n", watches.namespace, "-f", "-", stdin=text)
    task, of_task = run_task(RUN_UID), f"back-up-{RUN_UID}"
    names = [*map(item_of, GATES), of_task]
    until(lambda: watches.exists(of_task), "the watch of the task")
    await_backups(watches, *names)
    assert task.poll() is None
    good = {started.job for started in vault.protection.started()}
    vault.protection.ends_as = "Failed"  # all later backups
    end_backups(sim, watches, names, "Succeeded")
    status, said = ended(task)
    assert status == 0, said

    again = [name for name in names if "revision" in watches.get(name)["spec"]]
    assert len(again) == 3
    for name in again:
        watches.edit(name, revision="next")
    failing, of_failing = run_task(OTHER_UID), f"back-up-{OTHER_UID}"
    until(lambda: watches.exists(of_failing), "the watch of the second task")
    watches.request(of_failing, "now")  # its poll interval is 30 s
    await_backups(watches, *again, of_failing)
    end_backups(sim, watches, [*again, of_failing], "Failed")
    status, said = ended(failing)
    assert (status, "JobFailed" in said) == (1, True), said
    status, said = ended(run_task(RUN_UID))  # a retry of the first task
    assert (status, "unchanged" in said) == (0, True), said

    assert len(vault.protection.started()) == len(names) + len(again) + 1
    for name, is_open in GATES.items():
        prove_gate(watches, item_of(name), is_open, good)


def await_backups(watches: Watches, *names: str) -> None:
    """Wait until Azure has accepted the backups of all watches."""
    for name in names:
        watches.until(name, is_accepted)


def is_accepted(body: Body) -> bool:
    """Return whether Azure has accepted the backup of the current revision."""
    return phase(body) is not None and body["status"].get("onDemand", {}).get("state") == "Accepted"


def end_backups(sim: AzureSimulator, watches: Watches, names: list[str], wanted: str) -> None:
    """End all backups, and wait until the watches have a phase."""
    sim.clock.advance(700)
    for name in names:
        watches.request(name, wanted)
    for name in names:
        watches.until_phase(name, wanted)


def prove_gate(watches: Watches, name: str, is_open: Callable[[Body], bool], good: set[str]) -> None:
    """Prove that the gate opened, and that it was open only for the revision and the job of its request."""
    versions = [moment.body for moment in watches.history(name) if moment.type != "DELETED"]
    opened = [body for body in versions if is_open(body)]
    assert opened
    for body in opened:
        status, spec = body["status"], body["spec"]
        assert (phase(body), status["job"]["name"] in good) == ("Succeeded", True), body
        assert status["onDemand"].get("revision") == spec.get("revision"), body
        assert status["job"]["activityId"] == status["onDemand"]["requestID"], body
