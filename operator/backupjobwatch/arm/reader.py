"""Sends the requests of one principal in one subscription, in the order that the read planner chooses."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from backupjobwatch.clock import loop_time
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.demand import NextPage, RunningJobs
from backupjobwatch.domain.polling.demands import Demands
from backupjobwatch.domain.polling.observations import ItemList, JobList
from backupjobwatch.domain.polling.pauses import JOB, KINDS, LIST, OPERATION, READS, SECONDARY
from backupjobwatch.domain.polling.queries import JobWindow, PolicyQuery, ProtectedItems
from backupjobwatch.domain.polling.read_planner import ReadPlanner
from backupjobwatch.domain.polling.recording import ObservationRecorder
from backupjobwatch.errors import (
    AuthenticationFailed,
    AzureError,
    AzureUnavailable,
    CredentialsNotFound,
    JobListTooLong,
    Throttled,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from backupjobwatch.arm.client import ArmClient, Page, PageLink, Reading
    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.arm.identities import Credential, CredentialProvider
    from backupjobwatch.arm.slots import Slots
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.demand import Request
    from backupjobwatch.domain.polling.observations import Answer, Result
    from backupjobwatch.domain.polling.pauses import RequestKind
    from backupjobwatch.domain.polling.recording import Update
    from backupjobwatch.domain.polling.token_bucket import TokenBucket

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

RUNNING_FILTER: Final = "status eq 'InProgress'"
MAX_PAGES: Final = 500
"""Maximum number of pages of a list. Azure's pages have 20 to a few hundred jobs."""
PAGE_ATTEMPTS: Final = 3
"""Failed requests for later pages at which a list fails. A retry resumes at the failed page."""
VAULT_PAUSED: Final = (
    "Azure throttles requests to the vault's region, and the secondary region does not return the job."
)
"""Message if the vault's region received no request."""


class Reader:
    """Owns the demand of one principal in one subscription, and reads what it needs."""

    def __init__(
        self,
        client: ArmClient,
        credentials: CredentialProvider,
        bucket: TokenBucket,
        slots: Slots,
        *,
        namespace: str,
        identity: Identity,
        heartbeat: float,
        on_update: Callable[[Iterable[Update]], None],
        on_request: Callable[[], None],
    ) -> None:
        """*on_update* is called with new observations, *on_request* for each request that is sent."""
        self._client = client
        self._credentials = credentials
        self._namespace, self._identity = namespace, identity
        self.demands = Demands(bucket=bucket)
        self._planner = ReadPlanner(demands=self.demands)
        self._recorder = ObservationRecorder(demands=self.demands, heartbeat=heartbeat)
        self._slots = slots
        slots.readers.append(self)
        self._on_update, self._on_request = on_update, on_request
        self._credential_key: str | None = None
        self._page_waiters: dict[VaultId, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self.tasks: set[asyncio.Task[list[Update]]] = set()

    def pump(self) -> None:
        """Send the requests that are possible now, and set a timer for the next ones."""
        now = loop_time()
        while not self._is_closing and self._slots.is_free:
            read = self._planner.next_read(now)
            if read is None:
                break
            self._slots.take()
            if isinstance(read, NextPage):
                waiter = self._page_waiters.pop(read.vault)
                if waiter.cancelled():
                    self._slots.put_back()
                else:
                    waiter.set_result(None)
                continue
            task = asyncio.create_task(self._read(read), name="azure-read")
            self.tasks.add(task)
            task.add_done_callback(partial(self._on_done, read))
        self._cancel_timer()
        at = None if self._is_closing else self._planner.wake_at(now)
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self.pump)

    def stop(self) -> None:
        """Send no more requests. Those in flight continue."""
        self._is_closing = True
        self._cancel_timer()
        if self in self._slots.readers:
            self._slots.readers.remove(self)
        for waiter in self._page_waiters.values():
            waiter.cancel()

    def waiting_for(self, vault: VaultId) -> str:
        """Explain why nothing was read for a watch of *vault*."""
        kinds = READS if vault.secondary_region is None else (SECONDARY,)
        left = self.demands.pauses.longest(loop_time(), kinds)
        if left:
            return f"Azure throttles requests. The operator sends the next one in {format_duration(timedelta(seconds=left))}."
        return "Other watches have used up the read budget. The operator polls this watch when the budget allows it."

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_done(self, read: Request, task: asyncio.Task[list[Update]]) -> None:
        self.tasks.discard(task)
        self._slots.put_back()
        if task.cancelled():  # kopf cancels all tasks when it fails, even those that have not started
            self._recorder.abort(read, now=loop_time())
        else:
            self._on_update(task.result())
        self._slots.pump()

    async def _read(self, read: Request) -> list[Update]:
        sent, time = loop_time(), datetime.now(UTC)
        self._on_request()
        credential: Credential | None = None
        result: Result
        try:
            credential = await self._find_credential()
            result = await self._fetch(credential.tokens, read)
        except AzureError as error:
            if isinstance(error, AuthenticationFailed | CredentialsNotFound) and not error.repeated:
                self._credentials.drop(self._namespace, self._identity)
            result = error
        except Exception:  # noqa: BLE001 -- a defect: the query must not stay in flight forever
            _log.exception("Failed to read from Azure: %s", read)
            result = UnexpectedResponse("The operator could not read Azure's response. See the operator's log.")
        if credential is not None and credential.key != self._credential_key:  # replaced meanwhile
            self._recorder.abort(read, now=loop_time())
            return []
        return list(self._recorder.record(read, result, sent=sent, time=time, now=loop_time()))

    async def _find_credential(self) -> Credential:
        credential = await self._credentials.find(self._namespace, self._identity)
        if self._credential_key not in (None, credential.key):
            self.demands.drop_results()
        self._credential_key = credential.key
        return credential

    async def _fetch(self, tokens: TokenSource, read: Request) -> Answer:
        """Send the requests of *read*: one, or one for each page of a list."""
        client, pauses = self._client, self.demands.pauses
        match read:
            case JobId():
                return await self._read_job(tokens, read)
            case OperationId():
                return await self._send(OPERATION, client.get_operation(tokens, read, pauses))
            case PolicyQuery():
                return await self._send(LIST, client.get_policy(tokens, read, pauses))
            case ProtectedItems():
                items = await self._pages(read.vault, partial(client.items_page, tokens, read.vault, pauses))
                return ItemList(tuple(item for page in items for item in page.items))
            case JobWindow():
                list_page = partial(client.list_page, filter_=read.filter_at(datetime.now(UTC)))
            case RunningJobs():
                entries = self.demands.vaults[read.vault].entries
                list_page = partial(client.list_page, filter_=RUNNING_FILTER, known=entries)
        jobs = await self._pages(read.vault, partial(list_page, tokens, read.vault, pauses))
        return JobList(tuple(job for page in jobs for job in page.items), pages=len(jobs))

    async def _read_job(self, tokens: TokenSource, job_id: JobId) -> Job:
        """Read a job, first in the vault's region. A POST in the secondary region follows, even if the vault's is down."""
        pauses, demand = self.demands.pauses, self.demands.by_query.get(job_id)
        get = partial(self._client.get_job, tokens, job_id, pauses)
        if job_id.vault.secondary_region is None:
            return await self._send(JOB, get())
        trouble: AzureError | None = Throttled(VAULT_PAUSED) if pauses.left(JOB, loop_time()) else None
        if not (trouble or (demand and demand.is_only_secondary)):
            try:
                return await self._send(JOB, get())
            except AuthenticationFailed:
                raise
            except AzureError as error:
                trouble = error
                self._on_request()
        try:
            job = await self._send(SECONDARY, get(in_secondary_region=True))
        except AzureError as error:
            # The vault's region may know the job. While it is down or throttled, a 404 of the other region proves nothing.
            if trouble is None or trouble.is_conclusive or not error.is_conclusive:
                raise
            raise trouble from None
        if demand is not None:
            demand.is_only_secondary = True
        return job

    async def _pages(self, vault: VaultId, request: Callable[..., Awaitable[Reading[Page[_T]]]]) -> list[Page[_T]]:
        """Read all pages of a list. Each page takes one token from the bucket."""
        pages: list[Page[_T]] = []
        link: PageLink | None = None
        visited: set[PageLink] = set()
        failures = 0
        while True:
            try:
                page = await self._send(LIST, request(link=link))
            except (Throttled, AzureUnavailable) as error:
                failures += not isinstance(error, Throttled)
                if not visited or failures >= PAGE_ATTEMPTS:
                    raise
            else:
                pages.append(page)
                link = page.next
                if link is None:
                    return pages
                if link in visited:
                    raise UnexpectedResponse("Azure's list repeats a page.")
                visited.add(link)
                if len(visited) >= MAX_PAGES:
                    raise JobListTooLong(
                        f"The vault's job list has more than {MAX_PAGES} pages, which the operator does not read. "
                        "Identify the job with spec.jobName instead of spec.latest."
                    )
            await self._next_page(vault)

    async def _next_page(self, vault: VaultId) -> None:
        """Wait for a token for the next page. Release the slot meanwhile."""
        waiter = self._page_waiters[vault] = asyncio.get_running_loop().create_future()
        self.demands.pages[vault] = None
        self._slots.put_back()
        self._slots.pump()
        try:
            await waiter  # pump() has taken a slot again
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._slots.take()  # _on_done() puts it back
            raise
        self._on_request()

    async def _send(self, kind: RequestKind, request: Awaitable[Reading[_T]]) -> _T:
        """Await *request*, and apply Azure's limits to further requests of its kind."""
        try:
            reading = await request
        except AzureError as error:
            if error.retry_after:
                now, pauses = loop_time(), self.demands.pauses
                self.demands.pause(kind, error, seconds=error.retry_after.total_seconds(), now=now)
                paused = ", ".join(each for each in KINDS if pauses.left(each, now))
                _log.warning("Paused requests of kind %s for %s: %s", paused, format_duration(error.retry_after), error)
            raise
        if reading.remaining is not None and kind != SECONDARY:
            self.demands.bucket.learn(kind, reading.remaining, loop_time())
        return reading.value
