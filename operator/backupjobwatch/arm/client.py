"""Client of Azure Resource Manager: reads jobs, operations, protected items, policies and their lists."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from backupjobwatch.arm.responses import (
    Response,
    next_path,
    read_item_list,
    read_job,
    read_job_list,
    read_object,
    read_operation_status,
    remaining_requests,
)
from backupjobwatch.arm.session import ArmSession
from backupjobwatch.domain.jobs.backup_policies import parse_policy
from backupjobwatch.domain.jobs.resource_ids import VaultKind
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, SECONDARY
from backupjobwatch.errors import JobNotFound, Throttled, VaultNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
    from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.protected_items import ProtectedItem
    from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
    from backupjobwatch.domain.polling.pauses import Pauses, RequestKind
    from backupjobwatch.domain.polling.queries import PolicyQuery
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_OPERATIONS: Final[Mapping[RequestKind, str]] = {
    "job": "get_job",
    "list": "list_jobs",
    "operation": "get_operation",
    "secondary": "get_secondary_job",
}
"""Names of the request kinds in metrics."""
_SUBSCRIPTIONS_VERSION: Final = "2022-12-01"
_SECONDARY_QUERY: Final = "api-version=2021-11-15"
"""For Recovery Services, as in the Azure CLI. Newer versions have no requests to secondary regions."""
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[_Value]):
    """A result, and how many more requests Azure allows."""

    value: _Value
    remaining: int | None
    """Azure's count of remaining requests of this kind; None if the response has no count."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """The path and query of a request on the endpoint's own host."""

    path: str
    query: str
    body: Mapping[str, str] | None = None
    """The JSON of a POST. None for a GET."""


@dataclass(frozen=True, slots=True)
class Page(Generic[_Value]):
    """One page of a list."""

    items: tuple[_Value, ...]
    next: PageLink | None
    """The next page; None on the last page."""


class ArmClient:
    """Sends reads with the caller's identity, in a bounded number of threads. Methods raise AzureError.

    *pauses* are those of the identity in the subscription. While one is in effect, a read is not retried after a 401.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._endpoint = settings.azure_endpoint
        self.session = ArmSession(settings, metrics)

    async def get_job(
        self, tokens: TokenSource, job_id: JobId, pauses: Pauses | None = None, *, in_secondary_region: bool = False
    ) -> Reading[Job]:
        """Read one job with a GET in its vault, or with a POST in the secondary region of its vault."""
        link = PageLink(job_id.url_path, self.session.query(job_id.vault))
        if in_secondary_region:
            link = PageLink(job_id.secondary_url_path, self._secondary_query(job_id.vault), job_id.secondary_body)
        kind: RequestKind = SECONDARY if in_secondary_region else JOB
        return await self._read(
            kind, tokens, link, pauses, lambda response: read_job(response, job_id, now=datetime.now(UTC))
        )

    async def get_operation(
        self, tokens: TokenSource, operation_id: OperationId, pauses: Pauses | None = None
    ) -> Reading[tuple[PinnedJob, ...] | Waiting | OperationFailure]:
        """Read the result of an operation: its jobs, its failure, or Waiting."""
        vault = operation_id.vault
        query = self.session.query(vault) if vault.secondary_region is None else self._secondary_query(vault)
        link = PageLink(operation_id.url_path, query)
        return await self._read(
            OPERATION,
            tokens,
            link,
            pauses,
            lambda response: read_operation_status(response, operation_id, now=datetime.now(UTC)),
        )

    async def list_page(
        self,
        tokens: TokenSource,
        vault: VaultId,
        pauses: Pauses | None = None,
        *,
        filter_: str | None = None,
        link: PageLink | None = None,
        known: Mapping[str, Job] | None = None,
    ) -> Reading[Page[Job]]:
        """Read the first page of a vault's job list, or the page at *link*, which already has the filter.

        Lists of Backup vaults have no filter. The caller limits the number of pages and detects cycles. *known* are the
        jobs of the last list, by name in lowercase.
        """

        def read(response: Response) -> Page[Job]:
            jobs, url = read_job_list(response, vault, now=datetime.now(UTC), known=known)
            return Page(tuple(jobs), self._next_page(url))

        query = {} if filter_ is None or vault.kind is VaultKind.BACKUP_VAULT else {"$filter": filter_}
        first = PageLink(vault.jobs_url_path, self.session.query(vault, **query))
        return await self._read(LIST, tokens, link or first, pauses, read)

    async def items_page(
        self, tokens: TokenSource, vault: VaultId, pauses: Pauses | None = None, *, link: PageLink | None = None
    ) -> Reading[Page[ProtectedItem]]:
        """Read the first page of the list of a vault's protected items, or the page at *link*."""

        def read(response: Response) -> Page[ProtectedItem]:
            items, url = read_item_list(response, vault, now=datetime.now(UTC))
            return Page(items, self._next_page(url))

        first = PageLink(vault.items_url_path, self.session.query(vault))
        return await self._read(LIST, tokens, link or first, pauses, read)

    async def get_policy(
        self, tokens: TokenSource, policy: PolicyQuery, pauses: Pauses | None = None
    ) -> Reading[BackupPolicy]:
        """Read a policy of a Backup vault."""
        link = PageLink(policy.url_path, self.session.query(policy.vault))
        return await self._read(LIST, tokens, link, pauses, lambda response: parse_policy(_object(response)))

    async def get_token(self, tokens: TokenSource) -> None:
        """Get a token, or raise AzureError."""
        await self.session.run(lambda: self.session.token(tokens))

    async def check(self, tokens: TokenSource) -> None:
        """Make a request that needs no permission, and raise AzureError unless ARM accepts the token."""
        link = PageLink("/subscriptions", urlencode({"api-version": _SUBSCRIPTIONS_VERSION}))
        with contextlib.suppress(JobNotFound, VaultNotFound):
            await self._read(LIST, tokens, link, None, _object)

    def close(self) -> None:
        """Stop the threads and close the connections. Requests in flight end at once."""
        self.session.close()

    async def _read(
        self,
        kind: RequestKind,
        tokens: TokenSource,
        link: PageLink,
        pauses: Pauses | None,
        parse: Callable[[Response], _Value],
    ) -> Reading[_Value]:
        """Send a request and parse the response, both in a thread."""
        clock = asyncio.get_running_loop().time

        def read() -> Reading[_Value]:
            response = self._send(kind, link, self.session.token(tokens))
            if response.status == HTTPStatus.UNAUTHORIZED and response.is_from_azure:  # retry only once
                token = self.session.token(tokens, refused=response)
                left = 0.0 if pauses is None else pauses.left(kind, clock())
                if left:  # a pause that began after this request was sent
                    wait = timedelta(seconds=left)
                    raise Throttled("Azure refuses requests until its Retry-After has passed.", retry_after=wait)
                response = self._send(kind, link, token)
            return Reading(value=parse(response), remaining=remaining_requests(response))

        return await self.session.run(read)

    def _secondary_query(self, vault: VaultId) -> str:
        return _SECONDARY_QUERY if vault.kind is VaultKind.RECOVERY_SERVICES else self.session.query(vault)

    def _next_page(self, url: str | None) -> PageLink | None:
        return None if url is None else PageLink(*next_path(url, self._endpoint))

    def _send(self, kind: RequestKind, link: PageLink, token: str) -> Response:
        send = partial(self.session.transport.send, link.path, query=link.query, token=token, body=link.body)
        what = f"{'GET' if link.body is None else 'POST'} {link.path}"
        return self.session.exchange(_OPERATIONS[kind], what, str(uuid.uuid4()), send)


def _object(response: Response) -> Mapping[str, Any]:
    return read_object(response, now=datetime.now(UTC))
