"""The simulator counts each principal's reads and throttles them like Azure Resource Manager."""

from collections.abc import Iterator
from typing import Final

import pytest
import requests

from demo.simulator import AzureSimulator, Bucket, ManualClock, Operation, Vault, running_simulator
from demo.simulator.formats import TICKS
from tests.contract.vault_client import VAULT, send
from tests.support import azure

RESOURCE: Final = "x-ms-ratelimit-remaining-subscription-resource-requests"
READS: Final = "x-ms-ratelimit-remaining-subscription-reads"
TOKENS: Final = {"demo-token": "demo-principal", "other-token": "other-principal"}


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens=TOKENS) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(*VAULT)
    vault.set_job("job", azure.payload("job-iaasvm-completed"))
    vault.add_operation(Operation.succeeding("op", "job"))
    return vault


def count(sim: AzureSimulator, *, reads: Bucket, jobs: Bucket) -> None:
    """Count on the simulated clock, which stands still."""
    sim.quotas.enable(reads=reads, jobs=jobs, now=lambda: sim.clock.ticks() / TICKS)


def left(answer: requests.Response) -> tuple[int, str | None, str | None]:
    return answer.status_code, answer.headers.get(RESOURCE), answer.headers.get(READS)


def test_quotas_are_disabled_by_default(sim: AzureSimulator, vault: Vault) -> None:
    """While quotas are disabled, the simulator neither throttles requests nor counts down the header."""
    answers = [send(sim, vault.job_id("job")) for _ in range(3)]
    assert [left(answer) for answer in answers] == [(200, "249", None)] * 3
    assert sim.quotas.remaining("demo-principal", vault.subscription_id) is None
    count(sim, reads=Bucket(1, 0), jobs=Bucket(1, 0))
    sim.quotas.disable()
    assert [left(send(sim, vault.job_id("job"))) for _ in range(2)] == [(200, "249", None)] * 2


def test_jobs_have_a_bucket_of_their_own(sim: AzureSimulator, vault: Vault) -> None:
    """GETs of jobs count down from 249. Lists and operations use another bucket and another header."""
    sim.quotas.enable(now=lambda: 0.0)
    assert left(send(sim, vault.job_id("job"))) == (200, "249", None)
    assert left(send(sim, vault.job_id("none"))) == (404, "248", None)
    assert left(send(sim, f"{vault.id}/backupJobs")) == (200, None, "249")
    assert left(send(sim, vault.operation_id("op"))) == (200, None, "248")
    assert left(send(sim, vault.job_id("job"))) == (200, "247", None)


def test_backup_vaults_count_as_reads(sim: AzureSimulator, vault: Vault) -> None:
    """GETs of a Backup vault's jobs use the subscription's read bucket."""
    sim.quotas.enable(now=lambda: 0.0)
    other = sim.add_backup_vault(*VAULT)
    assert left(send(sim, other.job_id("none"))) == (404, None, "249")


def test_refuses_what_is_too_much(sim: AzureSimulator, vault: Vault) -> None:
    """An empty bucket returns 429, and one more token is available after Retry-After."""
    count(sim, reads=Bucket(2, 0.5), jobs=Bucket(1, 0.1))
    assert [send(sim, f"{vault.id}/backupJobs").status_code for _ in range(2)] == [200, 200]
    refused = send(sim, f"{vault.id}/backupJobs")
    assert (refused.status_code, refused.headers["Retry-After"], refused.headers[READS]) == (429, "2", "0")
    assert refused.json()["error"]["code"] == "SubscriptionRequestsThrottled"
    assert send(sim, vault.job_id("job")).status_code == 200
    refused = send(sim, vault.job_id("job"))
    assert (refused.status_code, refused.headers["Retry-After"], refused.headers[RESOURCE]) == (429, "10", "0")
    assert refused.json()["error"]["code"] == "ResourceRequestsThrottled"
    assert "vaults/backupJobs/read" in refused.json()["error"]["message"]
    sim.clock.advance(10)
    assert send(sim, vault.job_id("job")).status_code == 200
    assert (sim.quotas.refused, sim.quotas.too_early) == (2, 0)


def test_an_early_request_restarts_the_wait(sim: AzureSimulator, vault: Vault) -> None:
    """A request before the end of Retry-After is refused even if a token is available, and restarts the wait."""
    count(sim, reads=Bucket(1, 10.0), jobs=Bucket(1, 0.1))
    send(sim, vault.job_id("job"))
    assert send(sim, vault.job_id("job")).headers["Retry-After"] == "10"
    sim.clock.advance(9)
    assert send(sim, vault.job_id("job")).headers["Retry-After"] == "10"
    sim.clock.advance(9)
    assert send(sim, vault.job_id("job")).status_code == 429
    sim.clock.advance(10)
    assert send(sim, vault.job_id("job")).status_code == 200
    assert (sim.quotas.refused, sim.quotas.too_early) == (3, 2)


def test_refills_up_to_its_size(sim: AzureSimulator, vault: Vault) -> None:
    """The bucket refills every second, up to its size."""
    count(sim, reads=Bucket(250, 25.0), jobs=Bucket(5, 1.0))
    for _ in range(4):
        send(sim, vault.job_id("job"))
    sim.clock.advance(2)
    assert sim.quotas.remaining("demo-principal", vault.subscription_id) == 3
    sim.clock.advance(3600)
    assert left(send(sim, vault.job_id("job"))) == (200, "4", None)


def test_counts_by_principal_and_subscription(sim: AzureSimulator, vault: Vault) -> None:
    """Each principal and subscription has its own bucket, and letter case does not matter."""
    count(sim, reads=Bucket(1, 0.1), jobs=Bucket(1, 0.1))
    elsewhere = sim.add_vault("6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4c", azure.RESOURCE_GROUP, azure.VAULT)
    path = vault.job_id("job")
    assert [send(sim, path).status_code, send(sim, path.upper()).status_code] == [200, 429]
    assert send(sim, path, token="other-token").status_code == 200
    assert send(sim, elsewhere.job_id("job")).status_code == 404
