"""The search for secrets covers everything that the operator sends to the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import WORD
from tests.support.kubernetes import NAME, NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator


@pytest.mark.plants(
    "the log of backupjobwatch.controller.reconciler",
    f"PUT /apis/azurebackup.dev/v1alpha1/namespaces/{NAMESPACE}/backupjobwatches/{NAME}/status",
    f"POST /api/v1/namespaces/{NAMESPACE}/events",
)
async def test_scans_logs_statuses_and_events(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A canary planted as an item name, which is not secret, appears in the log, the status and an Event."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(entityFriendlyName=WORD))})
    await api.status(phase="Succeeded")
    await api.events_emitted(1)
