"""A gate opens when the job succeeds. The watch decides whether warnings count as success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.simulator import jobs as demo_jobs
from tests.support.jobs import name_of

if TYPE_CHECKING:
    from demo.controlplane import Kubectl
    from demo.simulator import AzureSimulator
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches


def test_opens_for_accepted_warnings_only(
    operator: OperatorProcess, kubectl: Kubectl, watches: Watches, azure: AzureSimulator
) -> None:
    """A job that completes with warnings succeeds only for the watch that accepts warnings."""
    vault = azure.add_vault(demo_jobs.SUBSCRIPTION_ID, demo_jobs.RESOURCE_GROUP, demo_jobs.VAULT)
    job = vault.add_job(demo_jobs.COMPLETED_WITH_WARNINGS)
    azure.clock.advance(2400)
    watches.create("strict", jobResourceId=job)
    watches.create("lenient", jobResourceId=job, completedWithWarnings="Succeeded")
    wait = ("wait", "-n", watches.namespace, "--timeout=60s")
    kubectl(*wait, "bjw/strict", "--for=condition=failed")
    kubectl(*wait, "bjw/lenient", "--for=condition=complete")
    assert "spec.completedWithWarnings to Succeeded" in watches.get("strict")["status"]["message"]
    watches.prove_honest("strict")


def test_name_and_vault(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A job can also be identified by its name and vault."""
    job = jobs.completed()
    vault = {"subscriptionId": jobs.subscription, "resourceGroup": "RG-E2E", "name": "rsv-E2E"}
    watches.create("w", jobName=name_of(job).upper(), vault=vault)
    body = watches.until_phase("w", "Succeeded")
    assert body["status"]["job"]["resourceId"].lower().endswith(name_of(job))
    watches.prove_honest("w", completed={name_of(job)})
