"""A poller of the simulator's vault, with two namespaces whose identities are different principals."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.identities import Credential
from backupjobwatch.arm.poller import Polls
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.queries import JobWindow
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import running_payload
from tests.support.canary import TOKEN
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.arm.reader import Reader
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query
    from backupjobwatch.errors import AzureError
    from demo.simulator import Vault

TOKEN_A, TOKEN_B = f"a-{TOKEN}", f"b-{TOKEN}"
A, B = "team-a", "team-b"
IDENTITY = Identity(service_account_name="reader")
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
OTHER_SUBSCRIPTION = "11111111-5e1f-4000-8000-000000000000"
LIST, GET = "/backupJobs$", "/backupJobs/"
DAY = datetime(2018, 5, 21, tzinfo=UTC)
"""The day on which the jobs of the builders started."""
JOB = JobId(vault=VAULT_ID, name="00000000-0000-4000-8000-000000000000")
OPERATION = OperationId(vault=VAULT_ID, name="00000000-0000-4000-8000-0000000000aa")
WINDOW = JobWindow(VAULT_ID, DAY)
QUERIES: dict[str, Query] = {"job": JOB, "operation": OPERATION, "list": WINDOW}


def pass_time(seconds: float) -> None:
    """Advance the clock of this event loop immediately."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop._advance(seconds)


async def turns(count: int = 20) -> None:
    """Let ready tasks run without advancing the clock."""
    for _ in range(count):
        await asyncio.sleep(0)


def job_ids(vault: Vault, count: int) -> list[JobId]:
    """Add *count* running jobs, and return their IDs."""
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(count)]
    return [JobId.parse(vault.set_job(name, running_payload())) for name in names]


class Credentials:
    """The credential of each namespace. Tests rotate credentials or replace them with errors."""

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.of: dict[str, Credential | AzureError] = {}
        self.dropped: list[str] = []
        self.rotate(A, TOKEN_A)
        self.rotate(B, TOKEN_B)

    def rotate(self, namespace: str, token: str) -> None:
        """Replace the credential of a namespace."""
        key = f"{namespace}/{next(self._versions)}"
        self.of[namespace] = Credential(key=key, tokens=StaticToken(token))

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return the credential of a namespace."""
        assert identity == IDENTITY
        found = self.of[namespace]
        if isinstance(found, Credential):
            return found
        raise found

    def drop(self, namespace: str, identity: Identity) -> None:
        """Record that a credential was refused."""
        assert identity == IDENTITY
        self.dropped.append(namespace)

    def close(self) -> None:
        """Do nothing, because nothing is open."""


@dataclass(slots=True)
class Polling:
    """A poller, and the watches it polls for. Only these methods and ``pass_time`` advance the clock."""

    poller: Poller
    credentials: Credentials
    news: list[str]
    """The watches that have a new observation, in order."""
    _required: dict[str, Polls] = field(default_factory=dict)

    def require(
        self, uid: str, *queries: Query, namespace: str = A, interval: float = 10, fresh_after: float = NEVER
    ) -> None:
        """Make a watch require *queries*."""
        (vault,) = {query.vault for query in queries}
        self._required[uid] = Polls(
            namespace=namespace,
            identity=IDENTITY,
            vault=vault,
            interval=interval,
            queries=frozenset(queries),
            fresh_after=fresh_after,
        )
        self.poller.require(uid, self._required[uid])

    def require_each(self, jobs: Iterable[JobId], *, namespace: str = A, interval: float = 10) -> None:
        """Add a watch for each of *jobs*. Its uid is that of ``uid_of``."""
        for job_id in jobs:
            self.require(uid_of(job_id, namespace), job_id, namespace=namespace, interval=interval)

    def release(self, jobs: Iterable[JobId], *, namespace: str = A) -> None:
        """Remove the watches of *jobs*."""
        for job_id in jobs:
            del self._required[uid_of(job_id, namespace)]
            self.poller.release(uid_of(job_id, namespace))

    def request(self, uid: str) -> None:
        """Make a watch require a result of a request that is sent from now on."""
        required = self._required[uid]
        self.require(
            uid, *required.queries, namespace=required.namespace, interval=required.interval, fresh_after=clock()
        )

    async def tick(self, seconds: float = 10) -> None:
        """Advance the clock, mark every watch due, and wait for the resulting requests."""
        pass_time(seconds)
        await turns(5)  # lets the simulator close idle connections
        for uid in self._required:
            self.poller.mark_due(uid)
        await self.settle()

    async def run(self, ticks: int, seconds: float = 10) -> None:
        """Tick repeatedly. Between two ticks, the bucket is refilled second by second."""
        for _ in range(ticks):
            await self.tick(1.0)
            await self.pass_seconds(seconds - 1)

    async def pass_seconds(self, seconds: float) -> None:
        """Advance the clock second by second, without a tick."""
        for _ in range(int(seconds)):
            pass_time(1.0)
            await self.settle()

    async def settle(self) -> None:
        """Wait until no request is in flight. Lists may still wait for a token to read their next page."""
        end = time.monotonic() + 60
        idle = 0
        while idle < 5:  # a request that ends starts others one iteration of the event loop later
            await asyncio.sleep(0)
            idle = 0 if any(_is_reading(reader) for reader in self.poller._readers.values()) else idle + 1
            assert time.monotonic() < end, "requests are still in flight"

    def observations(self, uid: str = "watch") -> Mapping[Query, Observation]:
        """Return the observations of a watch."""
        return (
            self.poller.observations(uid, self.poller._required[uid].polls.identity)
            if uid in self.poller._required
            else {}
        )

    def observation(self, query: Query, uid: str = "watch") -> Observation | None:
        """Return a watch's observation of *query*."""
        return self.observations(uid).get(query)

    def error(self, query: Query, uid: str = "watch") -> AzureError | None:
        """Return why the last attempt at *query* failed."""
        found = self.observation(query, uid)
        return None if found is None else found.error

    def job(self, job_id: JobId, namespace: str = A) -> Job | None:
        """Return the job as its watch observes it."""
        found = self.observation(job_id, uid_of(job_id, namespace))
        return None if found is None else found.job

    def seen(self, jobs: Iterable[JobId], *, since: float = NEVER) -> set[JobId]:
        """Return those of *jobs* whose observation is from a request sent at *since* or later."""
        observations = {job_id: self.observation(job_id, uid_of(job_id)) for job_id in jobs}
        return {job_id for job_id, found in observations.items() if found is not None and found.sent >= since}


def uid_of(job_id: JobId, namespace: str = A) -> str:
    """Return the uid of the watch that ``Polling.require_each`` adds for a job."""
    return f"{namespace}/{job_id}"


def clock() -> float:
    """Return the time of the event loop's clock."""
    return asyncio.get_running_loop().time()


def _is_reading(reader: Reader) -> bool:
    return len(reader.tasks) > len(reader.demands.pages)
