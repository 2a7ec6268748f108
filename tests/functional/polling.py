"""Asking a poller, as two identities, for the things of one vault."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.identities import Credential
from backupjobwatch.domain.jobs.latest_window import list_filter
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
from backupjobwatch.errors import PollDeferred
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import running_payload
from tests.support.canary import TOKEN
from tests.support.operator import MovableLoop

if TYPE_CHECKING:
    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.domain.jobs.job import Job
    from demo.simulator import Vault

TOKEN_A, TOKEN_B = f"a-{TOKEN}", f"b-{TOKEN}"
A = Credential(key="team-a/a/1", principal="team-a/a", tokens=StaticToken(TOKEN_A))
B = Credential(key="team-b/b/1", principal="team-b/b", tokens=StaticToken(TOKEN_B))
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
OTHER_SUBSCRIPTION = "11111111-5e1f-4000-8000-000000000000"
LIST, GET = "/backupJobs$", "/backupJobs/"
DAY = datetime(2018, 5, 21, tzinfo=UTC)  # when the jobs of the builders started


def pass_time(seconds: float) -> None:
    """Move this event loop's clock, at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop._advance(seconds)


async def turns(count: int = 50) -> None:
    """Let tasks that are ready run; no time passes."""
    for _ in range(count):
        await asyncio.sleep(0)


def job_ids(vault: Vault, count: int) -> list[JobId]:
    """Have so many jobs in progress."""
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(count)]
    return [JobId.parse(vault.set_job(name, running_payload())) for name in names]


async def ask(poller: Poller, job_id: JobId, access: Credential = A, seconds: float = 10) -> Job:
    return await poller.job(access, job_id, interval=timedelta(seconds=seconds))


async def ask_all(poller: Poller, jobs: list[JobId]) -> list[Job | PollDeferred]:
    """Ask for one job after the other; all is told at once, though it be that it is not one's turn."""
    answers: list[Job | PollDeferred] = []
    for job_id in jobs:
        try:
            answers.append(await ask(poller, job_id))
        except PollDeferred as error:
            answers.append(error)
    return answers


async def operation(poller: Poller, access: Credential) -> Any:
    operation_id = OperationId(vault=VAULT_ID, name="00000000-0000-4000-8000-0000000000aa")
    return await poller.operation(access, operation_id, interval=timedelta(seconds=10))


async def window(poller: Poller, access: Credential, seconds: float = 10) -> Any:
    return await poller.jobs(
        access, VAULT_ID, filter_=list_filter(DAY, DAY + timedelta(1)), interval=timedelta(seconds=seconds)
    )


async def one_job(poller: Poller, access: Credential) -> Any:
    return await ask(poller, JobId(vault=VAULT_ID, name="00000000-0000-4000-8000-000000000000"), access)


THINGS = {"job": one_job, "operation": operation, "list": window}
