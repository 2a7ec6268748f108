"""An ArmClient that is bound to the tokens of one identity."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.observability.metrics.instruments import Metrics

if TYPE_CHECKING:
    from backupjobwatch.arm.client import Page, PageLink, Reading
    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
    from backupjobwatch.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeList:
    """All pages of a list, and the read quota that Azure reports with the last one."""

    value: tuple[Job, ...]
    pages: int
    remaining: int | None


class BoundClient:
    """An ArmClient that always uses the same tokens."""

    def __init__(self, settings: Settings, tokens: TokenSource) -> None:
        self.arm = ArmClient(settings, Metrics())
        self._tokens = tokens

    async def get_job(self, job_id: JobId) -> Job:
        return (await self.read_job(job_id)).value

    async def get_secondary_job(self, job_id: JobId) -> Job:
        return (await self.arm.get_job(self._tokens, job_id, in_secondary_region=True)).value

    async def read_job(self, job_id: JobId) -> Reading[Job]:
        return await self.arm.get_job(self._tokens, job_id)

    async def read_operation(
        self, operation_id: OperationId
    ) -> Reading[tuple[PinnedJob, ...] | Waiting | OperationFailure]:
        return await self.arm.get_operation(self._tokens, operation_id)

    async def list_jobs(self, vault: VaultId, *, filter_: str = "status eq 'InProgress'") -> WholeList:
        """Read all pages of a list."""
        jobs: list[Job] = []
        link: PageLink | None = None
        for pages in itertools.count(1):
            reading = await self.list_page(vault, filter_=filter_, link=link)
            jobs += reading.value.items
            link = reading.value.next
            if link is None:
                return WholeList(value=tuple(jobs), pages=pages, remaining=reading.remaining)
        raise AssertionError

    async def list_page(
        self, vault: VaultId, *, filter_: str | None = None, link: PageLink | None = None
    ) -> Reading[Page[Job]]:
        return await self.arm.list_page(self._tokens, vault, filter_=filter_, link=link)

    async def get_token(self) -> None:
        await self.arm.get_token(self._tokens)

    def close(self) -> None:
        self.arm.close()
