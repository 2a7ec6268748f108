"""The poller reads cross-region restores in the vault's region, or else with a POST in the secondary region."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from demo.simulator import Bucket, Fault, Operation
from tests.functional.polling import JOB, VAULT_ID, clock
from tests.support.azure import SUBSCRIPTION_ID
from tests.support.builders import job_payload, running_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller
    from tests.functional.polling import Polling

REGION: Final = "westus"
IN_REGION: Final = replace(VAULT_ID, secondary_region=REGION)
RESTORE: Final = JobId(vault=IN_REGION, name=JOB.name)
OTHER: Final = JobId(vault=VAULT_ID, name="00000000-0000-4000-8000-000000000007")
GET: Final = f"/vaults/.*/backupJobs/{JOB.name}$"
POST: Final = f"/locations/{REGION}/backupCrrJob$"
LOCATION: Final = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/{REGION}"


@pytest.fixture
def secondary(vault: Vault) -> Vault:
    """The vault in the secondary region, with a running restore."""
    region = vault.secondary(REGION)
    region.set_job(JOB.name, running_payload())
    return region


async def started(open_poller: OpenPoller, **settings: Any) -> Polling:
    polling = open_poller(**settings)
    polling.require("watch", RESTORE)
    await polling.settle()
    return polling


async def ticks(polling: Polling, count: int) -> None:
    for _ in range(count):
        await polling.tick()


def requests(sim: AzureSimulator) -> list[str]:
    """Return the methods of the requests so far, and forget them."""
    methods = [record.method for record in sim.requests]
    sim.clear_requests()
    return methods


def is_running(polling: Polling) -> bool:
    found = polling.observation(RESTORE)
    return found is not None and found.error is None and found.job is not None and not found.job.ended


@pytest.mark.usefixtures("secondary")
async def test_a_post_after_a_404(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """If the vault's region does not know the job, the secondary region is read, from then on without the first GET."""
    polling = await started(open_poller)
    assert is_running(polling)
    assert requests(sim) == ["GET", "POST"]
    await ticks(polling, 3)
    assert is_running(polling)
    assert requests(sim) == ["POST", "POST", "POST"]


async def test_the_vaults_region_first(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A job that the vault's region knows needs no POST."""
    vault.set_job(JOB.name, running_payload())
    polling = await started(open_poller)
    await ticks(polling, 2)
    assert is_running(polling)
    assert requests(sim) == ["GET", "GET", "GET"]


@pytest.mark.usefixtures("secondary")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.server_error(status=503),
        Fault.forbidden(),
        Fault.reset(),
        Fault.throttled(retry_after=60),
        Fault.server_error(status=400),
    ],
    ids=["unavailable", "forbidden", "reset", "throttled", "unexpected"],
)
async def test_the_vaults_region_is_down(open_poller: OpenPoller, sim: AzureSimulator, fault: Any) -> None:
    """A restore is followed even if the vault's region fails, refuses or throttles requests."""
    sim.faults.add(fault, path=GET, times=None)
    polling = await started(open_poller)
    assert is_running(polling)
    await ticks(polling, 2)
    assert requests(sim)[-2:] == ["POST", "POST"]


async def test_the_end(open_poller: OpenPoller, sim: AzureSimulator, secondary: Vault) -> None:
    """The end of the restore is final: the job is not read again."""
    polling = await started(open_poller)
    secondary.set_job(JOB.name, job_payload())
    await polling.tick()
    found = polling.observation(RESTORE)
    assert found is not None
    assert found.is_final
    sim.clear_requests()
    await ticks(polling, 3)
    assert requests(sim) == []


async def test_no_job(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A job that neither region knows is not found. Later, either region may show it."""
    polling = await started(open_poller)
    assert isinstance(polling.error(RESTORE), errors.JobNotFound)
    vault.set_job(JOB.name, running_payload())
    sim.clear_requests()
    await polling.tick()
    assert is_running(polling)
    assert requests(sim) == ["GET"]


@pytest.mark.parametrize("refusal", [None, Fault.forbidden()], ids=["unknown", "forbidden"])
@pytest.mark.parametrize(
    "trouble",
    [
        (Fault.server_error(status=503), errors.AzureUnavailable),
        (Fault.throttled(retry_after=600), errors.Throttled),
    ],
    ids=["unavailable", "throttled"],
)
async def test_only_the_vaults_region_has_the_job(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, trouble: Any, refusal: Any
) -> None:
    """While the vault's region is down or throttled, a 404 or 403 of the secondary region proves nothing."""
    vault.set_job(JOB.name, running_payload())
    polling = await started(open_poller)
    assert is_running(polling)
    sim.faults.add(trouble[0], path=GET, times=None)
    if refusal is not None:
        sim.faults.add(refusal, path=POST, times=None)
    for _ in range(4):
        await polling.tick()
        found = polling.observation(RESTORE)
        assert found is not None
        assert isinstance(found.error, trouble[1])
        assert (found.failures, found.failures_until_seen) == ((), ())


async def test_both_regions_refuse(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """If the vault's region refuses the request too, the answer of the secondary region counts."""
    vault.set_job(JOB.name, running_payload())
    sim.faults.add(Fault.forbidden(), path=GET, times=None)
    polling = await started(open_poller)
    assert isinstance(polling.error(RESTORE), errors.JobNotFound)


async def test_another_region(open_poller: OpenPoller, vault: Vault) -> None:
    """A job in another secondary region is not found."""
    vault.secondary("eastus").set_job(JOB.name, running_payload())
    polling = await started(open_poller)
    assert isinstance(polling.error(RESTORE), errors.JobNotFound)


@pytest.mark.usefixtures("secondary")
async def test_a_missing_role(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """A role on the vault does not cover the secondary region. The error names the action that is missing."""
    sim.access.grant("principal-a", str(VAULT_ID))
    polling = await started(open_poller)
    error = polling.error(RESTORE)
    assert isinstance(error, errors.AuthorizationFailed)
    assert "'Microsoft.RecoveryServices/locations/backupCrrJob/action'" in str(error)
    sim.access.grant("principal-a", LOCATION)
    await polling.tick()
    assert is_running(polling)


@pytest.mark.usefixtures("secondary")
async def test_own_limits(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A 429 of a POST pauses no other reads of the principal, and a job in the vault is read meanwhile."""
    vault.set_job(OTHER.name, running_payload())
    sim.quotas.enable(writes=Bucket(1, 0.001), now=clock)
    polling = await started(open_poller)
    assert is_running(polling)
    await polling.tick()
    assert isinstance(polling.error(RESTORE), errors.Throttled)
    assert "throttles requests" in polling.poller.waiting_for("watch")
    polling.require("other", OTHER)
    await polling.settle()
    assert polling.observation(OTHER, "other") is not None
    assert "throttles" not in polling.poller.waiting_for("other")
    sim.clear_requests()
    await ticks(polling, 3)
    assert requests(sim) == ["GET"] * 3
    assert sim.quotas.too_early == 0


async def test_an_operation(open_poller: OpenPoller, sim: AzureSimulator, secondary: Vault) -> None:
    """An operation is read with a GET in the secondary region, and names the job."""
    operation = OperationId(vault=IN_REGION, name="ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA==")
    secondary.add_operation(Operation.succeeding(operation.name, JOB.name, after=0))
    polling = open_poller()
    polling.require("watch", operation)
    await polling.settle()
    found = polling.observation(operation)
    assert found is not None
    assert isinstance(found.answer, tuple)
    assert found.answer[0].name == JOB.name
    (record,) = sim.requests
    assert record.path == f"{LOCATION}/backupCrrOperationsStatus/{operation.name}"
