"""``backupjobwatch watch`` follows the operator's rules for watches that exist only in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from pydantic import SecretStr

from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.settings import Settings
from backupjobwatch.terminal.backup_notes import RequestGuard
from backupjobwatch.terminal.exit_codes import exit_code
from backupjobwatch.terminal.following import follow
from demo.simulator import Fault, Job, Operation, OperationState, State
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, OPERATION
from tests.support.canary import TOKEN
from tests.support.idleness import until_rest_idle
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.simulator import AzureSimulator, Vault

VAULT_REF = {"subscriptionId": SUBSCRIPTION_ID, "resourceGroup": RESOURCE_GROUP, "name": VAULT}


def in_memory(source: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a watch like the ones that the command creates."""
    usual = {"pollInterval": "10s", "activeDeadlineSeconds": 31536000, "graceSeconds": 600}
    return {"metadata": {"name": "job"}, "spec": {**source, **usual, "completedWithWarnings": "Succeeded", **spec}}


class Following:
    """Follows watches quickly: it advances all clocks, including those of the jobs."""

    def __init__(self, sim: AzureSimulator) -> None:
        self._sim = sim
        self._settings = Settings(azure_endpoint=sim.url, development=True, development_token=SecretStr(TOKEN))
        self.states: list[tuple[str, str]] = []
        """Phase and reason after each change."""
        self.once_running: Callable[[], object] = lambda: None
        """Called when a job is first seen running."""

    async def to_the_end(self, *bodies: dict[str, Any], step: float = 2.0) -> int | None:
        """Follow the watches to their ends in steps of *step* seconds. Return the first one's exit code."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        following = asyncio.create_task(follow(bodies, self._settings, RequestGuard(), on_change=self._note))
        with time_machine.travel(datetime.now(UTC), tick=True) as wall:
            while not following.done():
                await until_rest_idle(loop)
                loop._advance(step)
                wall.shift(step)
                self._sim.clock.advance(step)
        await following
        return exit_code(bodies[0])

    def _note(self, body: dict[str, Any]) -> None:
        state = (body["status"]["phase"], body["status"]["reason"])
        if state == ("Running", "JobInProgress") and state not in self.states:
            self.once_running()
        if self.states[-1:] != [state]:
            self.states.append(state)


@pytest.fixture
def following(sim: AzureSimulator) -> Following:
    return Following(sim)


def living(vault: Vault, *states: State) -> dict[str, Any]:
    """Return a watch of a job that passes through these states."""
    return in_memory({"jobResourceId": vault.add_job(Job(name=JOB_NAME, timeline=states))})


@pytest.fixture
def minute(vault: Vault) -> dict[str, Any]:
    """A watch of a job that succeeds after a minute."""
    return living(vault, State(status="InProgress"), State(status="Completed", after=60, ended=True))


# ── responses that end `az backup job wait` too early ────────────────────────────────────────────────────────────────

FAULTS = (
    *(Fault.server_error(status=500), Fault.server_error(status=503), Fault.html(), Fault.reset(), Fault.truncated()),
    *(Fault.throttled(retry_after=17), Fault.unauthorized(), Fault.forbidden(), Fault.job_not_found()),
    Fault.vault_not_found(),
)


@pytest.mark.parametrize("seen", [False, True], ids=["at first", "later on"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
async def test_errors_do_not_end_the_command(
    sim: AzureSimulator, minute: dict[str, Any], following: Following, *, fault: Fault, seen: bool
) -> None:
    """Three errors in a row, at the start or later, do not end the command before the job ends."""
    if seen:
        following.once_running = lambda: sim.faults.add(fault, times=3)
    else:
        sim.faults.add(fault, times=3)
    assert await following.to_the_end(minute) == 0
    assert len({reason for _, reason in following.states} - {"JobInProgress", "JobCompleted"}) == 1


async def test_no_unknown_status_ends_it(vault: Vault, following: Following) -> None:
    """An unknown status is not an end. The command waits for a known one."""
    body = living(vault, State(status="WaitingForTape"), State(status="Failed", after=60, ended=True))
    assert await following.to_the_end(body) == 1
    assert following.states == [("Running", "JobStatusUnknown"), ("Failed", "JobFailed")]


async def test_a_job_being_cancelled_is_running(vault: Vault, following: Following) -> None:
    """A job that is being cancelled is still running. The letter case of its status does not matter."""
    body = living(vault, State(status="CANCELLING"), State(status="Cancelled", after=60, ended=True))
    assert await following.to_the_end(body) == 1
    assert following.states == [("Running", "JobCancelling"), ("Failed", "JobCancelled")]


async def test_a_timeout_of_more_than_a_day(vault: Vault, following: Following) -> None:
    """A timeout of more than a day works: the command exits with 124 after 25 hours."""
    body = living(vault, State(status="InProgress"))
    body["spec"] |= {"activeDeadlineSeconds": 90000, "pollInterval": "5m"}
    assert await following.to_the_end(body, step=900) == 124
    status = body["status"]
    took = parse_time(status["completionTime"]), parse_time(status["watchStartTime"])
    assert took[0] is not None
    assert took[1] is not None
    assert timedelta(hours=25) <= took[0] - took[1] <= timedelta(hours=26)


async def test_a_job_that_ends_at_the_last_moment(vault: Vault, following: Following) -> None:
    """After the timeout, the command polls once more, so that a job that has ended keeps its result."""
    body = living(vault, State(status="InProgress"), State(status="Completed", after=290, ended=True))
    body["spec"] |= {"activeDeadlineSeconds": 300, "pollInterval": "5m"}
    assert await following.to_the_end(body) == 0


async def test_a_detail_that_arrives_later(sim: AzureSimulator, minute: dict[str, Any], following: Following) -> None:
    """If a list shows the end first, the command waits a few seconds for the GET with the details."""
    fault = Fault.throttled(retry_after=65, by_provider=True)
    following.once_running = lambda: sim.faults.add(fault, path=JOB_NAME, times=1)
    assert await following.to_the_end(minute, step=0.4) == 0  # a busy machine needs time for the GET
    assert "detailPending" not in minute["status"]


async def test_a_detail_that_never_arrives(sim: AzureSimulator, minute: dict[str, Any], following: Following) -> None:
    """The command waits only a few seconds for the details. The job still sets the exit code."""
    fault = Fault.throttled(retry_after=3600, by_provider=True)
    following.once_running = lambda: sim.faults.add(fault, path=JOB_NAME, times=None)
    assert await following.to_the_end(minute, step=1.0) == 0
    assert minute["status"]["detailPending"] is True


# ── unknown results ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.unauthorized(), "AuthenticationFailed"),
        (Fault.forbidden(), "AuthorizationFailed"),
        (Fault.job_not_found(), "JobNotFound"),
        (Fault.vault_not_found(), "VaultNotFound"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_grace(
    sim: AzureSimulator, minute: dict[str, Any], following: Following, fault: Fault, reason: str
) -> None:
    """The command tolerates missing jobs and refused access for the grace period, then exits with 3."""
    rule = sim.faults.add(fault, times=None)
    minute["spec"]["graceSeconds"] = 45
    assert await following.to_the_end(minute) == 3
    assert following.states[-1] == ("Failed", reason)
    assert rule.used >= 3


async def test_refused_later_on(sim: AzureSimulator, minute: dict[str, Any], following: Following) -> None:
    """If access is lost after a first success, the command continues until its timeout."""
    following.once_running = lambda: sim.faults.add(Fault.forbidden(), times=None)
    minute["spec"] |= {"graceSeconds": 0, "activeDeadlineSeconds": 600}
    assert await following.to_the_end(minute, step=10) == 124


async def test_an_operation_without_a_job(vault: Vault, following: Following) -> None:
    """An operation that succeeds without a job never counts as success."""
    vault.set_operation(OPERATION, {"status": "Succeeded"})
    body = in_memory({"operationId": OPERATION, "vault": VAULT_REF}, graceSeconds=45)
    assert await following.to_the_end(body) == 3
    assert following.states[-1] == ("Failed", "OperationWithoutJob")


async def test_an_operation_that_fails(vault: Vault, following: Following) -> None:
    """If an operation fails before it starts a job, the command exits with 1."""
    vault.set_operation(OPERATION, {"status": "Failed", "error": {"code": "UserErrorBusy", "message": "Busy."}})
    assert await following.to_the_end(in_memory({"operationId": OPERATION, "vault": VAULT_REF})) == 1


async def test_an_operation_that_takes_its_time(vault: Vault, following: Following) -> None:
    """The command polls an operation until it names its job, then follows the job."""
    job = Job(name=JOB_NAME, timeline=(State(status="InProgress"), State(status="Completed", after=60, ended=True)))
    states = (
        OperationState(status="InProgress"),
        OperationState(status="Succeeded", after=25, jobs=(JOB_NAME,)),
    )
    vault.add_operation(Operation(name=OPERATION, timeline=states), job)
    assert await following.to_the_end(in_memory({"operationId": OPERATION, "vault": VAULT_REF})) == 0
    assert following.states[0] == ("Pending", "Progressing")


# ── request rate ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_retry_after_is_kept(sim: AzureSimulator, minute: dict[str, Any], following: Following) -> None:
    """The command respects Retry-After, however short its interval is."""
    sim.faults.add(Fault.throttled(retry_after=120), times=1)
    assert await following.to_the_end(minute) == 0
    assert len(sim.requests) <= 3


async def test_many_jobs_share_a_budget(sim: AzureSimulator, vault: Vault, following: Following) -> None:
    """For sixty jobs, the command requests lists instead of each job, like the operator."""
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(60)]
    timeline = (State(status="InProgress"), State(status="Completed", after=240, ended=True))
    bodies = [in_memory({"jobResourceId": vault.add_job(Job(name=name, timeline=timeline))}) for name in names]
    for body, name in zip(bodies, names, strict=True):
        body["metadata"]["name"] = name
    assert await following.to_the_end(*bodies) == 0
    assert {exit_code(body) for body in bodies} == {0}
    assert len(sim.requests_to("/backupJobs$")) > 3
    assert len(sim.requests) < 60 * 24 / 2
