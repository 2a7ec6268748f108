"""A watch's observation when it matters that it is of now: at the deadline, and when somebody asks for a poll."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.aio.client import ApiClient

from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.arm.observer import Observer
from backupjobwatch.constants import REQUESTED_AT
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.errors import PollDeferred
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from tests.functional.polling import GET, job_ids, pass_time
from tests.support.builders import job_payload, watch_body
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller


@dataclass(slots=True)
class Crowd:
    """A watch that is one of many: what it sees of its job is an entry of a list, some seconds old."""

    vault: Vault
    observer: Observer
    body: dict[str, Any]

    async def look(self) -> dict[str, Any]:
        """Observe the watch, and return its new status."""
        watch = Watch.from_body(self.body)
        observed = await self.observer.observe(watch, parse_spec(watch.spec))
        return next_status(watch, observed.observation, consecutive_failures=0, now=datetime.now(UTC))

    def end(self) -> None:
        """Have the job fail."""
        self.vault.set_job(job_ids(self.vault, 1)[0].name, job_payload(status="Failed"))


@pytest.fixture
async def crowd(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> AsyncIterator[Crowd]:
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    values: dict[str, Any] = {"development_token": TOKEN, "operator_identity_namespaces": "*"}
    settings = Settings(azure_endpoint=sim.url, development=True, **values)
    async with ApiClient() as api:
        credentials = ClusterCredentialProvider(settings, KubeClient(api), Metrics())
        access = await credentials.find("team-a", Identity())
        for seconds in (10, 2):
            for job_id in jobs:
                with contextlib.suppress(PollDeferred):
                    await poller.job(access, job_id, interval=timedelta(seconds=30))
            pass_time(seconds)
        crowd = Crowd(vault, Observer(credentials, poller), watch_body({"jobResourceId": str(jobs[0])}))
        crowd.body["status"] = await crowd.look()
        assert crowd.body["status"]["phase"] == "Running"
        sim.clear_requests()
        yield crowd


async def test_a_list_will_do(crowd: Crowd, sim: AzureSimulator) -> None:
    """Before the deadline, and where nobody asks, the list tells enough: its job has ended, which the next one will say."""
    crowd.end()

    assert (await crowd.look())["phase"] == "Running"
    assert sim.requests == ()


async def test_the_deadline_is_judged_after_a_poll(crowd: Crowd, sim: AzureSimulator) -> None:
    """A job that has ended since the list was read keeps its own outcome: Azure is asked once more."""
    crowd.end()
    crowd.body["status"]["watchStartTime"] = "2018-05-21T08:35:40Z"

    assert (await crowd.look())["reason"] == "JobFailed"
    assert len(sim.requests_to(GET)) == 1


async def test_a_request_for_a_poll_is_answered_by_one(crowd: Crowd, sim: AzureSimulator) -> None:
    """What is acknowledged as a poll that somebody asked for is one: a list from before will not do."""
    crowd.end()
    crowd.body["metadata"]["annotations"] = {REQUESTED_AT: "now"}
    status = await crowd.look()

    assert (status["reason"], status["lastHandledReconcileAt"]) == ("JobFailed", "now")
    assert len(sim.requests_to(GET)) == 1
