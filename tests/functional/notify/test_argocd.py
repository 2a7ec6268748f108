"""
The examples of Argo CD's customization match what the operator writes.

After an intended change, regenerate the examples and health_test.yaml (the expected health is that of docs/gates.md):

KUBECONFIG=$(mktemp) .venv/bin/python -m tests.functional.notify.test_argocd
"""

from __future__ import annotations

import copy
import itertools
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch.constants import REQUESTED_AT
from demo.simulator import jobs
from tests.contract.project import read, relative
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.gates import argo_cd
from tests.support.gates.states import FINALIZER, all_states
from tests.support.gates.verdicts import CUSTOMIZATION, expected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.gates.kstatus import Body
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

EXAMPLES: Final = {
    "progressing_not_seen": "not-seen",
    "progressing_job_not_visible": "pending-job-not-visible",
    "progressing_running": "running-job-in-progress",
    "progressing_retrying": "running-azure-unavailable",
    "progressing_edited": "succeeded-job-completed-stale",
    "suspended": "running-suspended-edited",
    "healthy": "succeeded-job-completed",
    "healthy_with_warnings": "succeeded-job-completed-with-warnings",
    "degraded_job_failed": "failed-job-failed",
    "degraded_deadline_exceeded": "failed-deadline-exceeded",
    "healthy_deleted_hook": "succeeded-job-completed-deleted-hook",
    "degraded_deleted_hook": "failed-job-failed-deleted-hook",
    "terminating": "succeeded-job-completed-deleted",
    "terminating_hook": "running-job-in-progress-deleted-hook",
}
"""The recorded state of each example file."""
REFRESHED: Final = "actions/testdata/refreshed.yaml"
SEE_NOTHING: Final = {
    "progressing_not_seen": "Waiting for the operator to see this watch",
    "progressing_edited": "Waiting for the operator to see this watch",
    "terminating": f"Pending deletion; blocked by finalizers: {FINALIZER}",
    "terminating_hook": f"Pending deletion; blocked by finalizers: {argo_cd.HOOK_FINALIZER}",
}
"""Health messages that do not come from the status."""


def examples() -> dict[str, Body]:
    """Return the content of each file: examples of states, and one of them after the action."""
    found = {f"testdata/{file}.yaml": _state(name)[1] for file, name in EXAMPLES.items()}
    refreshed = copy.deepcopy(dict(found["testdata/progressing_running.yaml"]))
    # The time of the action is unknown. Argo CD's tests of Flux objects have the same placeholder.
    refreshed["metadata"]["annotations"] = {REQUESTED_AT: "By Argo CD at: 0001-01-01T00:00:00"}
    return {**found, REFRESHED: refreshed}


def health_tests() -> dict[str, Any]:
    """Return the content of health_test.yaml: the health of docs/gates.md and the message of the status."""
    tests = []
    for file, name in EXAMPLES.items():
        row, body = _state(name)
        message = SEE_NOTHING.get(file) or body["status"]["message"]
        health = {"status": expected()[row]["Argo CD"], "message": message}
        tests.append({"healthStatus": health, "inputPath": f"testdata/{file}.yaml"})
    return {"tests": tests}


def _state(name: str) -> tuple[str, Body]:
    (found,) = ((row, bodies[name]) for row, bodies in all_states().items() if name in bodies)
    return found


def timeless(value: Any) -> Any:
    """Return the value without what differs between runs: times, UIDs, versions and request IDs."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in ("uid", "resourceVersion")}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\(request [0-9a-f-]{36}\)", "…", value)
    return value


@pytest.mark.parametrize("file", [*(f"testdata/{name}.yaml" for name in EXAMPLES), REFRESHED])
def test_example(file: str) -> None:
    """Each example equals what the operator writes, except for times, UIDs and versions."""
    recorded = yaml.safe_load((CUSTOMIZATION / file).read_text(encoding="utf-8"))
    assert timeless(recorded) == timeless(examples()[file])


def test_expected_health() -> None:
    """health_test.yaml expects the health of docs/gates.md and the operator's message for each example."""
    recorded = yaml.safe_load((CUSTOMIZATION / "health_test.yaml").read_text(encoding="utf-8"))
    assert timeless(recorded) == timeless(health_tests())


def test_no_others() -> None:
    """The customization contains no other examples."""
    recorded = {relative(path) for path in CUSTOMIZATION.rglob("testdata/*")}
    assert recorded == {relative(CUSTOMIZATION / file) for file in examples()}


# ── the operator's behavior ──────────────────────────────────────────────────────────────────────────────────────────


async def test_refresh_triggers_a_poll(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The refresh action triggers a poll at once, which finds the job's end."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.status(phase="Running")
    vault.set_job(JOB_NAME, job_payload())
    script = (CUSTOMIZATION / "actions" / "refresh" / "action.lua").read_text(encoding="utf-8")
    asked = argo_cd.act(script, api.get())["metadata"]["annotations"][REQUESTED_AT]
    api.annotate(reconcile_fluxcd_io__requestedAt=asked)
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == asked)
    await api.status(phase="Succeeded")
    assert len(sim.requests) == 2


async def test_a_heartbeat_changes_what_argo_cd_ignores(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The heartbeat of a running job changes only fields that Argo CD is configured to ignore."""
    ignored = yaml.safe_load(read("manifests/components/argocd/ignore-resource-updates.yaml"))["jsonPointers"]
    async with start(heartbeat="1s") as operator:
        api.create({"jobResourceId": vault.add_job(jobs.RESTORE), "pollInterval": "10s"})
        await api.status(phase="Running")
        for _ in range(2):
            count = len(api.writes())
            sim.clock.advance(90)
            await operator.advance_until(lambda count=count: len(api.writes()) > count)  # type: ignore[misc]
    writes = api.writes()
    for before, after in itertools.pairwise(writes):
        changed = {f"/status/{name}" for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert changed
        assert changed <= set(ignored)


def _write(files: Mapping[str, Any]) -> None:
    for file, content in files.items():
        path = CUSTOMIZATION / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.dump(content, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=120), "utf-8")


class _Indented(yaml.SafeDumper):
    """Indent lists like the project's YAML files."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's
        super().increase_indent(flow, indentless=False)


if __name__ == "__main__":
    _write({**examples(), "health_test.yaml": health_tests()})
