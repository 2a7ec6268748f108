"""Asks Azure Resource Manager for jobs, lists of jobs, and operations."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from backupjobwatch import __version__
from backupjobwatch.arm.pauses import Pauses
from backupjobwatch.arm.responses import (
    Answer,
    is_subscription_wide,
    next_path,
    pause_after,
    read_job,
    read_job_list,
    read_object,
    remaining_requests,
)
from backupjobwatch.arm.token_answers import noting_status
from backupjobwatch.arm.transport import Transport
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.resource_ids import VaultKind, fold_case
from backupjobwatch.errors import (
    AzureError,
    AzureUnavailable,
    JobNotFound,
    Throttled,
    VaultNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.arm.pauses import RequestKind
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.observations import OperationFailure, PinnedJob, Waiting
    from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_OPERATIONS: Final[Mapping[RequestKind, str]] = {"job": "get_job", "list": "list_jobs", "operation": "get_operation"}
"""The metrics' names for the kinds of requests."""
_SUBSCRIPTIONS_VERSION: Final = "2022-12-01"
_CLAIMS = re.compile(r'\bclaims="(?P<claims>[^"]+)"')
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[_Value]):
    """What was read, and how much more may be read."""

    value: _Value
    remaining: int | None
    """Azure's count of the requests of this kind that remain, where it says so."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """Where a page of a list is, on the endpoint's own host."""

    path: str
    query: str


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of a vault's job list."""

    jobs: tuple[Job, ...]
    next: PageLink | None
    """The next page; None on the last page."""


class ArmClient:
    """Reads with whatever identity it is given, from a bounded number of threads. Its methods raise AzureError."""

    def __init__(self, settings: Settings, metrics: Metrics, *, ca_file: str | None = None) -> None:
        self._metrics = metrics
        self._clock: Callable[[], float] = time.monotonic
        self._endpoint = settings.azure_endpoint
        self._queries = {
            VaultKind.RECOVERY_SERVICES: {"api-version": settings.azure_api_version},
            VaultKind.BACKUP_VAULT: {"api-version": settings.azure_data_protection_api_version},
        }
        self._transport = Transport(settings, ca_file=ca_file)
        self._pauses = Pauses()
        self._threads = ThreadPoolExecutor(settings.azure_connections, thread_name_prefix="azure")

    async def get_job(self, tokens: TokenSource, job_id: JobId) -> Reading[Job]:
        """Ask for one job."""

        def read() -> Reading[Job]:
            answer = self._get("job", tokens, job_id.url_path, self._query(job_id.vault))
            job = read_job(answer, job_id, now=datetime.now(UTC))
            return Reading(value=job, remaining=remaining_requests(answer))

        return await self._in_thread(read)

    async def get_operation(
        self, tokens: TokenSource, operation_id: OperationId
    ) -> Reading[tuple[PinnedJob, ...] | Waiting | OperationFailure]:
        """Ask what became of an operation."""

        def read() -> Reading[tuple[PinnedJob, ...] | Waiting | OperationFailure]:
            answer = self._get("operation", tokens, operation_id.url_path, self._query(operation_id.vault))
            result = read_operation(read_object(answer, now=datetime.now(UTC)))
            return Reading(value=result, remaining=remaining_requests(answer))

        return await self._in_thread(read)

    async def list_page(
        self, tokens: TokenSource, vault: VaultId, *, filter_: str | None = None, link: PageLink | None = None
    ) -> Reading[JobPage]:
        """Read one page of a vault's job list: the first page, or the page at *link*, which already has the filter.

        Backup vaults have no filter and list everything. The caller limits the number of pages and detects circles.
        """
        return await self._in_thread(lambda: self._read_page(tokens, vault, link or self._first_page(vault, filter_)))

    async def get_token(self, tokens: TokenSource) -> None:
        """Find out whether a token can be had."""
        await self._in_thread(lambda: self._token(tokens))

    async def check(self, tokens: TokenSource) -> None:
        """Make a request that needs no permission, and raise AzureError unless ARM accepts the token."""

        def read() -> None:
            answer = self._get("list", tokens, "/subscriptions", urlencode({"api-version": _SUBSCRIPTIONS_VERSION}))
            with contextlib.suppress(JobNotFound, VaultNotFound):
                read_object(answer, now=datetime.now(UTC))

        await self._in_thread(read)

    def close(self) -> None:
        """Let go of threads and connections; requests under way end within their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._transport.close()

    async def _in_thread(self, read: Callable[[], _Value]) -> _Value:
        loop = asyncio.get_running_loop()
        self._clock = loop.time  # the clock of the poller's budgets, which keep the same pauses
        return await loop.run_in_executor(self._threads, read)

    def _query(self, vault: VaultId, **more: str) -> str:
        return urlencode({**self._queries[vault.kind], **more}, quote_via=quote)

    def _first_page(self, vault: VaultId, filter_: str | None) -> PageLink:
        if filter_ is None or vault.kind is VaultKind.BACKUP_VAULT:
            return PageLink(vault.jobs_url_path, self._query(vault))
        return PageLink(vault.jobs_url_path, self._query(vault, **{"$filter": filter_}))

    def _read_page(self, tokens: TokenSource, vault: VaultId, link: PageLink) -> Reading[JobPage]:
        answer = self._get("list", tokens, link.path, link.query)
        jobs, url = read_job_list(answer, vault, now=datetime.now(UTC))
        page = JobPage(tuple(jobs), None if url is None else PageLink(*next_path(url, self._endpoint)))
        return Reading(value=page, remaining=remaining_requests(answer))

    def _get(self, kind: RequestKind, tokens: TokenSource, path: str, query: str) -> Answer:
        answer = self._send(kind, tokens, path, query, self._token(tokens))
        if answer.status == HTTPStatus.UNAUTHORIZED and answer.is_from_azure:
            # Expired between two clocks, revoked, or challenged (continuous access evaluation): once, not in a loop.
            claims = _claims(answer.headers.get("WWW-Authenticate", ""))
            token = self._token(tokens, claims=claims, renewed=True)
            self._await_pause(kind, tokens, path)
            answer = self._send(kind, tokens, path, query, token)
        return answer

    def _await_pause(self, kind: RequestKind, tokens: TokenSource, path: str) -> None:
        """Refuse a retry during a pause that began after the caller was admitted."""
        if left := self._pauses.left((tokens, _subscription(path)), kind, now=self._clock()):
            wait = timedelta(seconds=left)
            raise Throttled("Azure refuses requests until its Retry-After is over.", retry_after=wait)

    def _note_pause(self, kind: RequestKind, tokens: TokenSource, path: str, answer: Answer) -> None:
        if wait := pause_after(answer, now=datetime.now(UTC)):
            key, now = (tokens, _subscription(path)), self._clock()
            until = now + wait.total_seconds()
            if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                everything = is_subscription_wide(answer)
                self._pauses.throttle(key, kind, until=until, now=now, everything=everything)
            else:
                self._pauses.extend(key, kind, until=until, everything=False)

    def _token(self, tokens: TokenSource, *, claims: str | None = None, renewed: bool = False) -> str:
        started = time.monotonic()
        with noting_status() as status:
            unreachable = False
            try:
                return tokens.get(claims=claims, renewed=renewed)
            except AzureError as error:
                self._metrics.observe_token_failure(tokens.owner, error.reason)
                unreachable = isinstance(error, AzureUnavailable) and not error.repeated
                raise
            finally:
                if status() is not None or unreachable:  # else it was in the cache, or there was nobody to ask
                    self._metrics.observe_request("token", status(), time.monotonic() - started)

    def _send(self, kind: RequestKind, tokens: TokenSource, path: str, query: str, token: str) -> Answer:
        client_request_id = str(uuid.uuid4())
        headers = {
            "Accept": "application/json",
            "User-Agent": f"backupjobwatch/{__version__}",
            "x-ms-client-request-id": client_request_id,
            "x-ms-return-client-request-id": "true",
        }
        started = time.monotonic()
        answer: Answer | None = None
        try:
            answer = self._transport.get(path, query=query, headers=headers, token=token)
            self._note_pause(kind, tokens, path, answer)
            return answer
        finally:
            seconds = time.monotonic() - started
            self._metrics.observe_request(_OPERATIONS[kind], answer.status if answer else None, seconds)
            _log.debug(
                "GET %s: %s",
                path,
                answer.status if answer else "no answer",
                extra={
                    "client_request_id": client_request_id,
                    "request_id": answer.request_id if answer else None,
                    "seconds": round(seconds, 3),
                },
            )


def _subscription(path: str) -> str:
    return fold_case("/".join(path.split("/")[1:3]))


def _claims(challenge: str) -> str | None:
    """Read the claims of a challenge, base64 of JSON, as azure-identity wants them.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    match = _CLAIMS.search(challenge)
    if match is None:
        return None
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(match["claims"] + "=" * (-len(match["claims"]) % 4)).decode()
    return None
